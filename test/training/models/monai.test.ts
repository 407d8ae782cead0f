// Our networks against MONAI's: the same weights give the same logits, loss, gradients and running statistics.
// The fixtures are what test/oracle/training/monai_fixtures.py writes.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import type { Runtime, Values } from '../../../training/compiler/runtime';
import { Model, toStateDict } from '../../../training/engine/model';
import { permute } from '../../../training/engine/weights/permute';
import { readSafetensors } from '../../../training/engine/weights/safetensors';
import { crossEntropy } from '../../../training/losses/cross-entropy';
import { densenet } from '../../../training/models/densenet';
import { type Network, parameterCount } from '../../../training/models/network';
import { RESNET_VARIANTS, resnet } from '../../../training/models/resnet';
import { segresnet } from '../../../training/models/segresnet';
import { swinUNETR } from '../../../training/models/swin-unetr';
import { unet } from '../../../training/models/unet';
import { vit } from '../../../training/models/vit';
import { convStemViT } from '../../../training/models/vit-conv';
import { packageRoot } from '../../../training/native/cache';
import { reshape } from '../../../training/ops/layout';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertClose } from '../assert-close';
import { largest } from '../ops/gradients';
import { draw, formulaWeight, sample } from './formula-weights';

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
  // wide enough, and with tokens enough, for Strassen's algorithm
  vit_wide: () =>
    vit({
      inChannels: 1,
      classes: 2,
      imageSize: [144, 144],
      patchSize: [8, 8],
      hiddenSize: 640,
      mlpDim: 650,
      layers: 2,
      heads: 4,
    }),
  segresnet: () => segresnet({ inChannels: 2, classes: 3, initFilters: 8, blocksDown: [1, 2, 1], blocksUp: [1, 2] }),
  segresnet_deconv: () =>
    segresnet({
      ...{ inChannels: 1, classes: 2, initFilters: 4, blocksDown: [1, 1], blocksUp: [1], upsampleMode: 'deconv' },
      ...{ norm: { name: 'group', groups: 2 }, activation: 'leakyrelu' },
    }),
  segresnet_pixelshuffle: () =>
    segresnet({
      ...{ inChannels: 1, classes: 2, initFilters: 4, blocksDown: [1, 1], blocksUp: [1] },
      ...{ upsampleMode: 'pixelshuffle', norm: { name: 'instance' } },
    }),
  segresnet_2d: () =>
    segresnet({
      ...{ spatialDims: 2, inChannels: 1, classes: 2, initFilters: 8, blocksDown: [1, 1], blocksUp: [1] },
      ...{ upsampleMode: 'deconv', norm: { name: 'batch' } },
    }),
  unet: () => unet({ inChannels: 1, classes: 2, channels: [4, 8, 16], strides: [2, 2] }),
  unet_residual: () =>
    unet({
      ...{ inChannels: 2, classes: 4, channels: [4, 6, 8], strides: [2, 1], residualUnits: 2 },
      norm: { name: 'group', groups: 2 },
    }),
  unet_batch: () =>
    unet({
      ...{ inChannels: 1, classes: 2, channels: [4, 8], strides: [2], norm: { name: 'batch' }, activation: 'relu' },
      ...{ kernelSize: [1, 3, 3], upKernelSize: [1, 3, 3] },
    }),
  resnet: () => resnet({ inChannels: 2, classes: 3, layers: [1, 2, 1, 1], planes: [4, 6, 8, 12] }),
  resnet_bottleneck: () =>
    resnet({
      ...{ spatialDims: 3, inChannels: 1, classes: 2, block: 'bottleneck', layers: [1, 1, 2, 1], planes: [2, 3, 4, 6] },
      ...{ firstKernel: 3, firstStride: 2, maxPool: false, downsampleBias: false },
    }),
  vit_conv: () =>
    convStemViT({
      ...{ inChannels: 3, classes: 4, imageSize: [16, 24], hiddenSize: 16, layers: 2, heads: 4, mlpDim: 24 },
      stem: [4, 6, 6, 8],
    }),
  swinunetr: () =>
    swinUNETR({
      ...{ inChannels: 2, classes: 3, featureSize: 12, windowSize: 3, depths: [2, 1, 1, 1] },
      norm: { name: 'group', groups: 4 },
    }),
  swinunetr_2d: () =>
    swinUNETR({
      ...{ spatialDims: 2, inChannels: 1, classes: 2, featureSize: 12, norm: { name: 'batch' }, qkvBias: false },
    }),
  unet_2d: () =>
    unet({
      ...{ spatialDims: 2, inChannels: 1, classes: 3, channels: [4, 8, 16], strides: [2, 2] },
      ...{ residualUnits: 1, activation: 'leakyrelu' },
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

/** The weights of MONAI's network: the fixture's own, or where it holds their shapes alone those of the formula. */
function weightsOf(fixture: Map<string, Values>): Map<string, Values> {
  const shapes = section(fixture, 'shape.');
  if (shapes.size === 0) return section(fixture, 'weights.');
  return new Map([...shapes].map(([name, { data }]) => [name, formulaWeight(name, [...(data as Int32Array)])]));
}

/** The images: the fixture's own, or where it holds their shape alone those of the formula. */
function imagesOf(fixture: Map<string, Values>): Values {
  const shape = fixture.get('shape_of_images');
  return shape ? draw('images', [...(shape.data as Int32Array)]) : (fixture.get('images') as Values);
}

/** One label for each row of logits: the fixture's own, or those of the formula. */
function labelsOf(fixture: Map<string, Values>, logits: Values): Values {
  const classes = logits.shape.at(-1) as number;
  const count = logits.data.length / classes;
  const formula = Int32Array.from({ length: count }, (_, row) => ((row * 7) % 11) % classes);
  return fixture.get('labels') ?? { shape: [count], data: formula };
}

/** A gradient here in the layout that PyTorch gives it. */
function inTorchLayout(network: Network, name: string, { shape, data }: Values): Float32Array {
  const kernel = network.parameters.find((spec) => spec.name === name)?.layout === 'kernel';
  const size = shape.map((_, axis) => axis).slice(0, -2);
  const torchAxes = [shape.length - 1, shape.length - 2, ...size];
  return kernel ? permute(data as Float32Array, shape, torchAxes) : (data as Float32Array);
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
        await model.load(weightsOf(fixture));

        const given = imagesOf(fixture);
        const images = { dtype: 'float32', shape: [-1, ...given.shape.slice(1)] } as const;
        const labels = { dtype: 'int32', shape: [-1] } as const;
        const infer = runtime.program({ images }, (inputs) => using(() => ({ logits: model.infer(inputs.images) })));
        const { logits } = await infer.run({ images: given });
        const expectedLogits = value('inference.logits').data;
        assertClose(sample(logits.data as Float32Array, expectedLogits.length), expectedLogits, TOLERANCE, 'logits');

        const step = runtime.program({ images, labels }, (inputs) =>
          using(() => {
            const key = (site: number) => ({ seed: 0, site });
            const { loss, gradients } = model.gradients(inputs.images, key, (logits) =>
              crossEntropy(reshape(logits, [-1, logits.shape.at(-1) as number]), inputs.labels),
            );
            return {
              loss,
              ...Object.fromEntries([...gradients].map(([variable, gradient]) => [variable.name, gradient])),
            };
          }),
        );
        const { loss, ...gradients } = await step.run({ images: given, labels: labelsOf(fixture, logits) });
        assertClose((loss as Values).data, value('loss').data, TOLERANCE, 'loss');
        const expected = section(fixture, 'gradients.');
        assert.deepEqual(Object.keys(gradients).sort(), [...expected.keys()].sort());
        for (const [parameter, gradient] of Object.entries<Values>(gradients)) {
          const whole = inTorchLayout(network, parameter, gradient);
          const { data } = expected.get(parameter) as Values;
          // small gradients to three digits, down to what rounding leaves of zero
          const tolerance = Math.min(TOLERANCE, Math.max(1e-6, 1e-3 * largest(data as Float32Array)));
          assertClose(sample(whole, data.length), data, tolerance, `gradient of ${parameter}`);
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
  assert.equal(parameterCount(segresnet({ inChannels: 1, classes: 2, initFilters: 16 })), 4_700_914);
  const [image, images] = [
    { inChannels: 1, classes: 2 },
    { inChannels: 3, classes: 9 },
  ];
  assert.equal(parameterCount(convStemViT({ ...images, imageSize: [64, 64] })), 5_232_937);
  assert.equal(parameterCount(swinUNETR({ ...image, featureSize: 48 })), 62_186_708);
  for (const [name, flat, deep] of [
    ['resnet18', 11_172_162, 33_161_922],
    ['resnet34', 21_280_322, 63_471_554],
    ['resnet50', 23_509_698, 46_163_010],
  ] as const) {
    const variant = { ...image, ...RESNET_VARIANTS[name] };
    assert.equal(parameterCount(resnet(variant)), flat);
    assert.equal(parameterCount(resnet({ ...variant, spatialDims: 3 })), deep);
  }
  const channels = [64, 128, 256, 512, 1024];
  assert.equal(parameterCount(unet({ inChannels: 1, classes: 2, channels })), 31_640_394);
});
