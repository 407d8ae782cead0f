// Gradient checkpointing: every network's loss, gradients and running statistics are the same to the bit, and less is kept for them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import { type Runtime, scalar, type Values } from '../../../training/compiler/runtime';
import { Model } from '../../../training/engine/model';
import { crossEntropy } from '../../../training/losses';
import { densenet } from '../../../training/models/densenet';
import type { Network } from '../../../training/models/network';
import { resnet } from '../../../training/models/resnet';
import { segresnet } from '../../../training/models/segresnet';
import { swinUNETR } from '../../../training/models/swin-unetr';
import { unet } from '../../../training/models/unet';
import { vit } from '../../../training/models/vit';
import { convStemViT } from '../../../training/models/vit-conv';
import { reshape } from '../../../training/ops/layout';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { draw } from './formula-weights';

interface Case {
  readonly build: () => Network;
  /** Sides of the images, of one channel. */
  readonly sides: readonly number[];
  /** Rows of logits of an image. */
  readonly rows: number;
}

const base = { inChannels: 1, classes: 3, dropout: 0.25 };

const cases: Record<string, Case> = {
  segresnet: {
    build: () => segresnet({ ...base, initFilters: 8, blocksDown: [1, 2], blocksUp: [1] }),
    ...{ sides: [8, 8, 8], rows: 512 },
  },
  'segresnet in 2D with batch norm': {
    build: () =>
      segresnet({
        ...{ ...base, spatialDims: 2, initFilters: 4, blocksDown: [1, 1], blocksUp: [1] },
        ...{ norm: { name: 'batch' }, upsampleMode: 'deconv' },
      }),
    ...{ sides: [12, 8], rows: 96 },
  },
  unet: { build: () => unet({ ...base, channels: [4, 6, 8], strides: [2, 2] }), ...{ sides: [8, 8, 12], rows: 768 } },
  'unet with residual units': {
    build: () => unet({ ...base, channels: [4, 6], strides: [2], residualUnits: 2, norm: { name: 'batch' } }),
    ...{ sides: [8, 8, 12], rows: 768 },
  },
  swinunetr: {
    build: () =>
      swinUNETR({
        ...{ ...base, spatialDims: 2, featureSize: 12, windowSize: 3, depths: [2, 1, 1, 1] },
        ...{ attentionDropout: 0.2, dropPath: 0.2, norm: { name: 'group', groups: 4 } },
      }),
    ...{ sides: [32, 32], rows: 1024 },
  },
  // wide enough for the own kernels of convolutions
  densenet: {
    build: () => densenet({ ...base, initFeatures: 16, growthRate: 16, blockConfig: [2, 3], bottleneckSize: 2 }),
    ...{ sides: [32, 40], rows: 1 },
  },
  resnet: {
    build: () => resnet({ ...base, layers: [1, 2, 1, 1], planes: [4, 6, 8, 12] }),
    ...{ sides: [20, 17], rows: 1 },
  },
  vit: {
    build: () =>
      vit({
        ...{ ...base, imageSize: [32, 48], patchSize: [8, 16] },
        ...{ hiddenSize: 24, mlpDim: 40, layers: 2, heads: 3 },
      }),
    ...{ sides: [32, 48], rows: 1 },
  },
  'vit with a convolutional stem': {
    build: () => convStemViT({ ...base, imageSize: [16, 24], hiddenSize: 16, layers: 2, heads: 4, mlpDim: 24 }),
    ...{ sides: [16, 24], rows: 1 },
  },
};

/** What a step works out, by name: loss, gradients, and running statistics after it. */
async function outcome(
  { build, sides, rows }: Case,
  runtime: Runtime,
  checkpointing: boolean,
  using: <Result>(body: () => Result) => Result = (body) => body(),
): Promise<Map<string, Float32Array>> {
  const network = build();
  const model = new Model(network, runtime);
  await model.initialise(3);
  const images = draw('images', [2, ...sides, 1]);
  const inputs = {
    images: { dtype: 'float32', shape: [-1, ...sides, 1] },
    labels: { dtype: 'int32', shape: [-1] },
    step: { dtype: 'int32', shape: [] },
  } as const;
  const program = runtime.program(inputs, ({ images, labels, step }) => {
    const key = (site: number) => ({ seed: 7, site, step });
    const loss = (logits: Tensor) => crossEntropy(reshape(logits, [-1, 3]), labels);
    const { loss: value, gradients } = using(() => model.gradients(images, key, loss, checkpointing));
    return { loss: value, ...Object.fromEntries([...gradients].map(([{ name }, gradient]) => [name, gradient])) };
  });
  const labels = Int32Array.from({ length: 2 * rows }, (_, row) => row % 3);
  const results = (await program.run({
    images,
    labels: { shape: [2 * rows], data: labels },
    step: scalar.int(5),
  })) as Record<string, Values>;
  const all = new Map(Object.entries(results).map(([name, { data }]) => [name, data as Float32Array]));
  const values = await model.values();
  network.parameters.forEach(({ name, role }, index) => {
    if (role === 'buffer') all.set(name, values[index] as Float32Array);
  });
  runtime.dispose();
  return all;
}

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({}),
  eager: () => new EagerRuntime(),
};

function assertSameBits(actual: Map<string, Float32Array>, expected: Map<string, Float32Array>): void {
  assert.deepEqual([...actual.keys()], [...expected.keys()]);
  for (const [name, values] of expected) assert.deepEqual(actual.get(name), values, name);
}

for (const [name, example] of Object.entries(cases)) {
  for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
    test(`${name} with checkpointing has the same loss, gradients and running statistics (${runtimeName})`, async () => {
      const plain = await outcome(example, makeRuntime(), false);
      assertSameBits(await outcome(example, makeRuntime(), true), plain);
    });
  }
}

for (const name of ['densenet', 'segresnet', 'swinunetr']) {
  test(`${name} with checkpointing has the same of all of them by TensorFlow's ops alone`, async () => {
    const example = cases[name] as Case;
    const plain = await outcome(example, new CompiledRuntime({}), false, withTensorflowOpsOnly);
    assertSameBits(await outcome(example, new CompiledRuntime({}), true, withTensorflowOpsOnly), plain);
  });
}

/** How many convolutions forward run in a step, by what TensorFlow tells of each op that it ran. */
async function executed(checkpointing: boolean): Promise<number> {
  const { build, sides } = cases.segresnet as Case;
  const runtime = new CompiledRuntime({});
  const model = new Model(build(), runtime);
  await model.initialise(0);
  const images = { dtype: 'float32', shape: [-1, ...sides, 1] } as const;
  const labels = { dtype: 'int32', shape: [-1] } as const;
  const program = runtime.program({ images, labels }, (inputs) => {
    const key = (site: number) => ({ seed: 7, site });
    const loss = (logits: Tensor) => crossEntropy(reshape(logits, [-1, 3]), inputs.labels);
    const { gradients } = model.gradients(inputs.images, key, loss, checkpointing);
    return Object.fromEntries([...gradients].map(([{ name }, gradient]) => [name, gradient]));
  });
  let trace: Uint8Array = new Uint8Array();
  runtime.traceNextRun((metadata) => {
    trace = metadata;
  });
  await program.run({
    images: draw('images', [1, ...sides, 1]),
    labels: { shape: [512], data: new Int32Array(512) },
  });
  runtime.dispose();
  const text = Buffer.from(trace).toString('latin1');
  return text.match(/(?:Conv3D|ScanlineConvolution|ScanlineVolumeConvolution)\(/g)?.length ?? 0;
}

test("TensorFlow's rewriting does not take what is computed again for what was computed before", async () => {
  const [plain, again] = [await executed(false), await executed(true)];
  // of five parts: in the first level the first convolution and that of the first half of its block, in the second one more block with two,
  // and on the way up that of one half; of each part the last convolution is nobody's input
  assert.equal(again - plain, 2 + 4 + 1);
});
