// Deep supervision against MONAI's (test/oracle/training/deep_supervision_fixtures.py): logits of each level, the weighted loss, gradients.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import type { Runtime, Values } from '../../../training/compiler/runtime';
import { Model, torchShape, toStateDict } from '../../../training/engine/model';
import { permute } from '../../../training/engine/weights/permute';
import { readSafetensors } from '../../../training/engine/weights/safetensors';
import { UserError } from '../../../training/errors';
import { deepSupervisionLoss, makeLoss } from '../../../training/losses';
import { buildNetwork } from '../../../training/models';
import type { Network, ParameterSpec, Pass } from '../../../training/models/network';
import { segresnet } from '../../../training/models/segresnet';
import { unet } from '../../../training/models/unet';
import { packageRoot } from '../../../training/native/cache';
import { tf } from '../../../training/native/tensorflow';
import { readHyperparameters } from '../../../training/settings';
import { assertClose } from '../assert-close';
import { largest } from '../ops/gradients';
import { draw, formulaWeight, sample } from './formula-weights';

const CLASSES = 3;
const norm = { name: 'group', groups: 2 } as const;

const networks: Record<string, (supervisedLevels: number) => Network> = {
  segresnet_deep: (supervisedLevels) =>
    segresnet({
      ...{ inChannels: 1, classes: CLASSES, initFilters: 4, blocksDown: [1, 1, 1, 1], blocksUp: [1, 1, 1], norm },
      supervisedLevels,
    }),
  unet_deep: (supervisedLevels) =>
    unet({ inChannels: 2, classes: CLASSES, channels: [4, 6, 8, 10], strides: [2, 1, 2], norm, supervisedLevels }),
};

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({}),
  eager: () => new EagerRuntime(),
};

/** What of a fixture begins so. */
function section(fixture: Map<string, Values>, prefix: string): Map<string, Values> {
  const entries = [...fixture].filter(([name]) => name.startsWith(prefix));
  return new Map(entries.map(([name, values]) => [name.slice(prefix.length), values]));
}

/** A gradient in the layout that PyTorch gives it. */
function inTorchLayout(network: Network, name: string, { shape, data }: Values): Float32Array {
  const spec = network.parameters.find((parameter) => parameter.name === name);
  const last = shape.length - 1;
  const axes = [last, last - 1, ...shape.map((_, axis) => axis).slice(0, -2)];
  return spec?.layout === 'kernel' ? permute(data as Float32Array, shape, axes) : (data as Float32Array);
}

for (const [name, build] of Object.entries(networks)) {
  for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
    test(`${name}: levels, loss and gradients are MONAI's (${runtimeName})`, async () => {
      const fixture = await readSafetensors(join(packageRoot, 'test', 'fixtures', `${name}.safetensors`));
      const network = build(2);
      const runtime = makeRuntime();
      const model = new Model(network, runtime);
      const shapes = [...section(fixture, 'shape.')];
      await model.load(new Map(shapes.map(([key, { data }]) => [key, formulaWeight(key, [...(data as Int32Array)])])));
      const given = draw('images', [...((fixture.get('shape_of_images') as Values).data as Int32Array)]);
      const labelShape = given.shape.slice(0, -1);
      const voxels = labelShape.reduce((product, length) => product * length, 1);
      const inputs = {
        images: { dtype: 'float32', shape: [-1, ...given.shape.slice(1)] },
        labels: { dtype: 'int32', shape: [-1, ...labelShape.slice(1)] },
      } as const;
      const loss = makeLoss({ name: 'dice_ce' });
      const step = runtime.program(inputs, ({ images, labels }) => {
        const seen: Record<string, Tensor> = {};
        const { loss: value, gradients } = model.gradients(
          images,
          (site) => ({ seed: 0, site }),
          (_, levels) => {
            levels.forEach((logits, number) => {
              seen[`level.${number}`] = tf.keep(logits.clone());
            });
            return deepSupervisionLoss(loss, levels, labels);
          },
        );
        return { loss: value, ...seen, ...Object.fromEntries([...gradients].map(([{ name }, g]) => [name, g])) };
      });
      const labels = Int32Array.from({ length: voxels }, (_, voxel) => ((voxel * 7) % 11) % CLASSES);
      const results = await step.run({ images: given, labels: { shape: labelShape, data: labels } });
      runtime.dispose();
      const found = new Map(Object.entries<Values>(results));
      assertClose((found.get('loss') as Values).data, (fixture.get('loss') as Values).data, 1e-5, 'loss');
      for (const [key, { data }] of section(fixture, 'level.')) {
        const { data: logits } = found.get(`level.${key}`) as Values;
        assertClose(sample(logits as Float32Array, data.length), data, 1e-5, `logits of level ${key}`);
      }
      const expected = section(fixture, 'gradients.');
      assert.ok(expected.has('deep_supervision_heads.1.weight'));
      for (const [key, { data }] of expected) {
        const whole = inTorchLayout(network, key, found.get(key) as Values);
        const tolerance = Math.max(1e-6, 1e-3 * largest(data as Float32Array));
        assertClose(sample(whole, data.length), data, tolerance, `gradient of ${key}`);
      }
    });
  }

  test(`${name}: what is computed of an image has no use for the heads`, () => {
    const network = build(2);
    const heads = network.parameters.filter(({ trainingOnly }) => trainingOnly).map((spec) => spec.name);
    assert.deepEqual(
      heads,
      [0, 1].flatMap((index) => ['weight', 'bias'].map((part) => `deep_supervision_heads.${index}.${part}`)),
    );
    const asked = new Set<string>();
    const pass: Pass = {
      training: false,
      parameter: (parameter) => {
        asked.add(parameter);
        const { shape } = network.parameters.find((spec) => spec.name === parameter) as ParameterSpec;
        return tf.zeros([...shape]);
      },
      assign: () => assert.fail(),
      key: () => assert.fail(),
    };
    const channels = name.startsWith('unet') ? 2 : 1;
    tf.tidy(() => network.forward(tf.zeros([1, 8, 8, 8, channels]), pass));
    assert.deepEqual(
      heads.filter((head) => asked.has(head)),
      [],
    );
    assert.ok(asked.size > 10);
  });

  test(`${name}: a state dict is MONAI's own, and is loaded without heads; a checkpoint has them`, async () => {
    const network = build(2);
    const runtime = new CompiledRuntime({});
    const model = new Model(network, runtime);
    await model.initialise(1);
    const values = await model.values();
    const plain = build(0).parameters.map((spec) => [spec.name, torchShape(spec).join()]);
    const weights = toStateDict(network, values, 0);
    assert.deepEqual(
      [...weights].map(([key, { shape }]) => [key, shape.join()]),
      plain,
    );
    assert.equal(toStateDict(network, values, 0, true).size, plain.length + 4);
    await model.load(weights);
    runtime.dispose();
  });
}

for (const [given, message] of [
  [{ model_name: 'segresnet', blocks_down: '1,1', blocks_up: '1' }, /SegResNet .* 2 heads .* 0 levels/],
  [{ model_name: 'unet', channels: '4,8,8', strides: '2,2' }, /UNet .* 2 heads .* 1 levels .*\n.*deep_supr_num 1 or/s],
] as const) {
  test(`a ${given.model_name} of too few levels is refused with what it has`, () => {
    const hyperparameters = readHyperparameters({ given: { ...given, deep_supervision: true } });
    assert.throws(
      () => buildNetwork(hyperparameters, { inChannels: 1, classes: 2, imageSize: [32, 32, 32] }),
      (error) => error instanceof UserError && message.test(error.message),
    );
  });
}
