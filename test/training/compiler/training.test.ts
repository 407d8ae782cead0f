// Training as one graph against training op by op: the same losses, whatever the network, the batch and the step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import type { Runtime } from '../../../training/compiler/runtime';
import { randomSource } from '../../../training/data/random';
import { Model } from '../../../training/engine/model';
import { makeOptimizer, type OptimizerName } from '../../../training/engine/optimization/optimizers';
import { Updater } from '../../../training/engine/optimization/updater';
import { Inference } from '../../../training/engine/prediction/inference';
import { imageInput, windowInput } from '../../../training/engine/prediction/preprocessing';
import { TrainingStep } from '../../../training/engine/training-step';
import { makeLoss } from '../../../training/losses';
import { densenet } from '../../../training/models/densenet';
import type { Network } from '../../../training/models/network';
import { segresnet } from '../../../training/models/segresnet';
import { vit } from '../../../training/models/vit';
import { hasBf16, inspectMachine } from '../../../training/native/machine';

const image = { height: 32, width: 32, channels: 1 };
const LENGTH = 32 * 32;

const networks: Record<string, () => Network> = {
  DenseNet: () =>
    densenet({ inChannels: 1, classes: 3, initFeatures: 8, growthRate: 4, blockConfig: [2, 2], dropout: 0.2 }),
  ViT: () =>
    vit({
      ...{ inChannels: 1, classes: 3, imageSize: [32, 32], patchSize: [8, 8] },
      ...{ hiddenSize: 24, mlpDim: 32, layers: 2, heads: 3, dropout: 0.2 },
    }),
};

function batchOf(count: number, key: number) {
  const random = randomSource(key);
  const labels = Int32Array.from({ length: count }, () => Math.floor(random() * 3));
  // a little brighter towards the class's own side, so that there is something to learn
  const pixel = (i: number) =>
    random() * 255 + ((i % LENGTH) / LENGTH) * 90 * (labels[Math.floor(i / LENGTH)] as number);
  const images = Float32Array.from({ length: count * LENGTH }, (_, i) => pixel(i));
  return { number: 0, images, labels, count, indices: [] };
}

/** Losses of a few steps, each epoch's last batch a short one; then logits of five images. */
async function train(build: () => Network, runtime: Runtime, optimizer: OptimizerName, sizes: readonly number[]) {
  const model = new Model(build(), runtime);
  const mover = makeOptimizer(runtime, model.trained, { name: optimizer, weightDecay: 0.01 });
  const step = new TrainingStep(runtime, model, new Updater(runtime, model.trained, mover), {
    ...imageInput(image, 'minmax'),
    seed: 5,
  });
  const inference = new Inference(runtime, model, imageInput(image, 'minmax'));
  await model.initialise(5);
  await mover.initialise();
  const losses: number[] = [];
  for (const [i, size] of sizes.entries()) losses.push((await step.run(batchOf(size, i), 0.003, i)).loss);
  const logits = await inference.logits(batchOf(5, 100).images, 5);
  runtime.dispose();
  return { losses, logits: logits.flat() };
}

const withoutBf16 = hasBf16(inspectMachine()) ? false : 'this processor has no bfloat16 instructions';

const SIZES = [6, 6, 5, 6, 6, 1];

/** Fails unless every value is within a share of the expected one. */
function assertRelative(actual: readonly number[], expected: readonly number[], share: number, what: string): void {
  assert.equal(actual.length, expected.length);
  for (const [i, value] of actual.entries()) {
    const difference = Math.abs(value / (expected[i] as number) - 1);
    assert.ok(difference <= share, `${what} ${i} is ${value}, expected ${expected[i]} to a share of ${share}`);
  }
}

for (const [name, build] of Object.entries(networks)) {
  for (const optimizer of ['adam', 'sgd'] as const) {
    test(`${name} has the same losses compiled as eagerly, short batches too (${optimizer}, dropout)`, async () => {
      const compiled = await train(build, new CompiledRuntime({}), optimizer, SIZES);
      const eager = await train(build, new EagerRuntime(), optimizer, SIZES);
      assertRelative(compiled.losses, eager.losses, 1e-5, 'loss');
      // a logit is a sum that may come near 0, whose rounding is a share of the terms; Adam divides a weight's gradient by its own size, and
      // so makes the rounding of the smallest gradients whole steps, which SGD does not
      const largest = Math.max(...eager.logits.map(Math.abs));
      const differences = compiled.logits.map((logit, i) => Math.abs(logit - (eager.logits[i] as number)) / largest);
      const share = optimizer === 'adam' ? 1e-4 : 1e-6;
      assert.ok(Math.max(...differences) <= share, `logits differ by ${Math.max(...differences)} of the largest`);
    });
  }

  test(`${name} trains to the very same losses again`, async () => {
    const [first, second] = [
      await train(build, new CompiledRuntime({}), 'adam', SIZES),
      await train(build, new CompiledRuntime({}), 'adam', SIZES),
    ];
    assert.deepEqual(first, second);
  });

  test(`${name} in bfloat16 stays close to float32, and is not float32`, { skip: withoutBf16 }, async () => {
    const full = await train(build, new CompiledRuntime({}), 'adam', SIZES);
    const half = await train(build, new CompiledRuntime({ precision: 'bf16' }), 'adam', SIZES);
    assertRelative(half.losses, full.losses, 0.03, 'loss');
    assert.notDeepEqual(half.losses, full.losses);
  });
}

/** Losses of steps of a SegResNet on the same two volumes, in which every fifth voxel is of the second class. */
async function segment(runtime: Runtime, loss: 'cross_entropy' | 'dice_ce', steps: number): Promise<number[]> {
  const sides = [12, 8, 8];
  const levels = { initFilters: 4, blocksDown: [1, 1], blocksUp: [1], norm: { name: 'group', groups: 2 } } as const;
  const model = new Model(segresnet({ inChannels: 1, classes: 2, ...levels }), runtime);
  const mover = makeOptimizer(runtime, model.trained, { name: 'adam' });
  const input = windowInput(sides, 1);
  const step = new TrainingStep(runtime, model, new Updater(runtime, model.trained, mover), {
    ...input,
    loss: makeLoss({ name: loss }),
    seed: 5,
  });
  await model.initialise(5);
  await mover.initialise();
  const random = randomSource(9);
  const voxels = 2 * 12 * 8 * 8;
  const images = Float32Array.from({ length: voxels }, () => 2 * random() - 1);
  const labels = Int32Array.from({ length: voxels }, (_, voxel) => Number(voxel % 5 === 0));
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await step.run({ images, labels, count: 2 }, 0.02, i)).loss);
  runtime.dispose();
  return losses;
}

test('a segmenter has the same losses compiled as eagerly, for as long as it learns', async () => {
  const [compiled, eager] = [
    await segment(new CompiledRuntime({}), 'cross_entropy', 24),
    await segment(new EagerRuntime(), 'cross_entropy', 24),
  ];
  assertRelative(compiled, eager, 1e-5, 'loss');
});

// The Dice loss alone has a softmax: a graph's is oneDNN's, and op by op it is Eigen's, which differs in the last bit of a probability.
// Adam makes a thousand times as much of that in 20 steps.
test('with the Dice loss it has the same losses while a bit is a bit', async () => {
  const [compiled, eager] = [
    await segment(new CompiledRuntime({}), 'dice_ce', 8),
    await segment(new EagerRuntime(), 'dice_ce', 8),
  ];
  assertRelative(compiled, eager, 1e-5, 'loss');
});

test('dropout differs from step to step', async () => {
  const model = (dropout: number) => () =>
    vit({
      ...{ inChannels: 1, classes: 3, imageSize: [32, 32], patchSize: [16, 16] },
      ...{ hiddenSize: 24, mlpDim: 32, layers: 1, heads: 3, dropout },
    });
  const losses = async (dropout: number) => {
    const runtime = new CompiledRuntime({});
    const network = new Model(model(dropout)(), runtime);
    const still = makeOptimizer(runtime, network.trained, { name: 'sgd' });
    const step = new TrainingStep(runtime, network, new Updater(runtime, network.trained, still), {
      ...imageInput(image, 'minmax'),
      seed: 5,
    });
    await network.initialise(5);
    await still.initialise();
    const batch = batchOf(4, 0);
    const results = [await step.run(batch, 0, 0), await step.run(batch, 0, 1), await step.run(batch, 0, 0)];
    runtime.dispose();
    return results.map(({ loss }) => loss);
  };
  const [first, second, again] = await losses(0.5);
  assert.notEqual(first, second);
  assert.equal(first, again);
  assert.equal(new Set(await losses(0)).size, 1);
});
