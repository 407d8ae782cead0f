// Our networks against MONAI's: the same weights give the same logits, loss, gradients and running statistics.
// The fixtures are what test/oracle/monai_fixtures.py writes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import type { Runtime, Values } from '../../../training/compiler/runtime';
import { Model, toStateDict } from '../../../training/engine/model';
import { permute } from '../../../training/engine/permute';
import { readSafetensors } from '../../../training/engine/safetensors';
import { densenet } from '../../../training/models/densenet';
import { type Network, parameterCount } from '../../../training/models/network';
import { vit } from '../../../training/models/vit';
import { packageRoot } from '../../../training/native/cache';
import { crossEntropy } from '../../../training/ops/loss';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertClose } from '../assert-close';

const TOLERANCE = 1e-4;

const networks: Record<string, () => Network> = {
  densenet: () =>
    densenet({ inChannels: 3, classes: 4, initFeatures: 8, growthRate: 4, blockConfig: [2, 3], bottleneckSize: 2 }),
  densenet_elu: () =>
    densenet({ inChannels: 1, classes: 2, initFeatures: 6, growthRate: 3, blockConfig: [1, 1, 2], activation: 'elu' }),
  // wide enough for the own kernels of convolutions
  densenet_wide: () =>
    densenet({ inChannels: 1, classes: 2, initFeatures: 16, growthRate: 16, blockConfig: [2, 1], bottleneckSize: 2 }),
  vit: () =>
    vit({
      inChannels: 1,
      classes: 3,
      imageSize: [32, 48],
      patchSize: [8, 16],
      hiddenSize: 24,
      mlpDim: 40,
      layers: 2,
      heads: 3,
    }),
  vit_bias: () =>
    vit({
      ...{
        inChannels: 2,
        classes: 2,
        imageSize: [37, 35],
        patchSize: [8, 8],
        hiddenSize: 16,
        mlpDim: 20,
        layers: 1,
        heads: 4,
      },
      ...{ qkvBias: true, postActivation: 'none' },
    }),
};

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({ gpu: false }),
  eager: () => new EagerRuntime(),
};

const kernels: Record<string, <Result>(body: () => Result) => Result> = {
  'own kernels': (body) => body(),
  "TensorFlow's ops": withTensorflowOpsOnly,
};

function section(fixture: Map<string, Values>, prefix: string): Map<string, Values> {
  const entries = [...fixture].filter(([name]) => name.startsWith(prefix));
  return new Map(entries.map(([name, values]) => [name.slice(prefix.length), values]));
}

/** A gradient here in the layout that PyTorch gives it. */
function inTorchLayout(network: Network, name: string, { shape, data }: Values): Float32Array {
  const kernel = network.parameters.find((spec) => spec.name === name)?.layout === 'kernel';
  return kernel ? permute(data as Float32Array, shape, [3, 2, 0, 1]) : (data as Float32Array);
}

for (const [name, build] of Object.entries(networks)) {
  for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
    for (const [kernelName, using] of Object.entries(kernels)) {
      test(`${name} agrees with MONAI (${runtimeName}, ${kernelName})`, async () => {
        const fixture = await readSafetensors(join(packageRoot, 'test', 'fixtures', `${name}.safetensors`));
        const value = (key: string) => fixture.get(key) as Values;
        const network = build();
        const runtime = makeRuntime();
        const model = new Model(network, runtime);
        await model.load(section(fixture, 'weights.'));

        const images = { dtype: 'float32', shape: [-1, ...value('images').shape.slice(1)] } as const;
        const labels = { dtype: 'int32', shape: [-1] } as const;
        const infer = runtime.program({ images }, (inputs) => using(() => ({ logits: model.infer(inputs.images) })));
        const { logits } = await infer.run({ images: value('images') });
        assertClose(logits.data, value('inference.logits').data, TOLERANCE, 'logits');

        const step = runtime.program({ images, labels }, (inputs) =>
          using(() => {
            const key = (site: number) => ({ seed: 0, site });
            const { loss, gradients } = model.gradients(inputs.images, key, (logits) =>
              crossEntropy(logits, inputs.labels),
            );
            return {
              loss,
              ...Object.fromEntries([...gradients].map(([variable, gradient]) => [variable.name, gradient])),
            };
          }),
        );
        const { loss, ...gradients } = await step.run({ images: value('images'), labels: value('labels') });
        assertClose((loss as Values).data, value('loss').data, TOLERANCE, 'loss');
        const expected = section(fixture, 'gradients.');
        assert.deepEqual(Object.keys(gradients).sort(), [...expected.keys()].sort());
        for (const [parameter, gradient] of Object.entries<Values>(gradients)) {
          const actual = inTorchLayout(network, parameter, gradient);
          assertClose(actual, (expected.get(parameter) as Values).data, TOLERANCE, `gradient of ${parameter}`);
        }
        const after = toStateDict(network, await model.values(), 0);
        for (const [buffer, { data }] of section(fixture, 'after.')) {
          assertClose((after.get(buffer) as Values).data, data, TOLERANCE, buffer);
        }
        runtime.dispose();
      });
    }
  }
}

test('parameter counts are those of the papers', () => {
  const count = (blockConfig: number[]) => parameterCount(densenet({ inChannels: 1, classes: 2, blockConfig }));
  assert.equal(count([6, 12, 24, 16]), 6_949_634);
  assert.equal(count([6, 12, 32, 32]), 12_481_538);
  assert.equal(count([6, 12, 48, 32]), 18_090_498);
  assert.equal(count([6, 12, 64, 48]), 30_647_810);
  assert.equal(parameterCount(vit({ inChannels: 1, classes: 2, imageSize: [256, 256] })), 85_443_074);
});
