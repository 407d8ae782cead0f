// A thousand steps take no more memory than the first ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import { scalar } from '../../../training/compiler/runtime';
import { Model } from '../../../training/engine/model';
import { makeOptimizer } from '../../../training/engine/optimization/optimizers';
import { Updater } from '../../../training/engine/optimization/updater';
import { Inference } from '../../../training/engine/prediction/inference';
import { imageInput } from '../../../training/engine/prediction/preprocessing';
import { TrainingStep } from '../../../training/engine/training-step';
import { vit } from '../../../training/models/vit';
import { tf } from '../../../training/native/tensorflow';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const image = { height: 64, width: 64, channels: 1 };
const network = () =>
  vit({
    ...{ inChannels: 1, classes: 2, imageSize: [64, 64], patchSize: [32, 32] },
    ...{ hiddenSize: 8, mlpDim: 8, layers: 1, heads: 1, dropout: 0.1 },
  });

/** Bytes that a process may grow by in noise; what a leak of one input or output of every step exceeds. */
const NOISE = 16e6;

/**
 * Bytes that the process grows by in 1,000 runs, after 200 in which caches fill. A leak is in every thousand, an allocator that takes
 * its time is not: the least of three thousands counts.
 */
async function growth(run: (index: number) => Promise<unknown>): Promise<number> {
  const measure = async (from: number, to: number) => {
    for (let i = from; i < to; i++) await run(i);
    collectGarbage();
    return process.memoryUsage.rss();
  };
  let least = Number.POSITIVE_INFINITY;
  let before = await measure(0, 200);
  for (let from = 200; from < 3200 && least >= NOISE; from += 1000) {
    const after = await measure(from, from + 1000);
    least = Math.min(least, after - before);
    before = after;
  }
  return least;
}

test('1,000 compiled training steps leave memory as it is', async () => {
  const runtime = new CompiledRuntime({});
  const model = new Model(network(), runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam' });
  const step = new TrainingStep(runtime, model, new Updater(runtime, model.trained, optimizer), {
    ...imageInput(image, 'minmax'),
    seed: 0,
  });
  await model.initialise(0);
  await optimizer.initialise();
  const batch = (count: number) => ({
    ...{ number: 0, count, indices: [] },
    images: new Float32Array(count * 64 * 64).map((_, i) => i % 251),
    labels: new Int32Array(count),
  });
  const [whole, short] = [batch(8), batch(3)];
  const bytes = await growth((i) => step.run(i % 10 === 9 ? short : whole, 0.001, i));
  assert.ok(bytes < NOISE, `it grew by ${(bytes / 1e6).toFixed(1)} MB`);
  runtime.dispose();
});

test('1,000 runs with large outputs leave memory as it is', async () => {
  const runtime = new CompiledRuntime({});
  const program = runtime.program({ x: { dtype: 'float32', shape: [] } }, ({ x }) => ({
    y: tf.fill([128, 128], 1).mul(x),
  }));
  const bytes = await growth((i) => program.run({ x: scalar.float(i) }));
  assert.ok(bytes < NOISE, `it grew by ${(bytes / 1e6).toFixed(1)} MB`);
  runtime.dispose();
});

test('an eager program leaves no tensor behind', async () => {
  const runtime = new EagerRuntime();
  const model = new Model(network(), runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam' });
  const step = new TrainingStep(runtime, model, new Updater(runtime, model.trained, optimizer), {
    ...imageInput(image, 'minmax'),
    seed: 0,
  });
  await model.initialise(0);
  await optimizer.initialise();
  const batch = { number: 0, count: 2, indices: [], images: new Float32Array(2 * 64 * 64), labels: new Int32Array(2) };
  await step.run(batch, 0.001, 0);
  const { numTensors } = tf.memory();
  for (let i = 1; i < 4; i++) await step.run(batch, 0.001, i);
  assert.equal(tf.memory().numTensors, numTensors);
  runtime.dispose();
});

test('recording leaves no tensor behind', () => {
  const { numTensors } = tf.memory();
  const runtime = new CompiledRuntime({});
  const model = new Model(network(), runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam' });
  const updater = new Updater(runtime, model.trained, optimizer);
  new TrainingStep(runtime, model, updater, { ...imageInput(image, 'minmax'), seed: 0 });
  new Inference(runtime, model, imageInput(image, 'minmax'));
  assert.equal(tf.memory().numTensors, numTensors);
  runtime.dispose();
});
