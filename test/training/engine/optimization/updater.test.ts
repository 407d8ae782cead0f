// What becomes of gradients, against PyTorch (test/oracle/training/optimization_fixtures.py), and of gradients that are summed over batches.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../../../../training/compiler/compiled';
import { EagerRuntime } from '../../../../training/compiler/eager';
import type { Runtime, Variable } from '../../../../training/compiler/runtime';
import { Model } from '../../../../training/engine/model';
import { LossScale } from '../../../../training/engine/optimization/loss-scale';
import { makeOptimizer, type OptimizerName } from '../../../../training/engine/optimization/optimizers';
import { clip, type UpdateOptions, Updater } from '../../../../training/engine/optimization/updater';
import { imageInput } from '../../../../training/engine/prediction/preprocessing';
import { TrainingStep } from '../../../../training/engine/training-step';
import { vit } from '../../../../training/models/vit';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

interface Trained {
  readonly start: number[][];
  readonly factors: number[];
  readonly decay: number;
  readonly weights: number[][][];
  readonly averages: number[][][];
}
interface Fixture {
  readonly shapes: number[][];
  readonly gradients: number[][][];
  readonly clipped: Record<'norm' | 'value', number[][][]>;
  readonly trained: Record<OptimizerName, Trained>;
}
const { shapes, gradients, clipped, trained } = readFixture<Fixture>('optimization.json');

const runtimes: Record<string, () => Runtime> = {
  compiled: () => new CompiledRuntime({ threads: 1 }),
  eager: () => new EagerRuntime(),
};

const variablesIn = (runtime: Runtime) => shapes.map((shape, i) => runtime.variable(`weights_${i}`, shape));

/** The inputs of a program that takes given gradients. */
const inputs = {
  g0: { dtype: 'float32', shape: shapes[0] as number[] },
  g1: { dtype: 'float32', shape: shapes[1] as number[] },
} as const;

const feedsOf = (step: number[][]) => ({
  g0: { shape: shapes[0] as number[], data: Float32Array.from(step[0] as number[]) },
  g1: { shape: shapes[1] as number[], data: Float32Array.from(step[1] as number[]) },
});

for (const [name, options] of Object.entries({ norm: { clipNorm: 5 }, value: { clipValue: 1.5 } })) {
  test(`gradients are clipped by ${name} as PyTorch does it`, async () => {
    const runtime = new CompiledRuntime({ threads: 1 });
    const variables = variablesIn(runtime);
    const program = runtime.program(inputs, ({ g0, g1 }) => {
      const given = new Map([g0, g1].map((gradient, i) => [variables[i] as Variable, gradient]));
      const [c0, c1] = [...clip(given, options).values()] as [Tensor, Tensor];
      return { c0, c1 };
    });
    for (const [i, expected] of clipped[name as 'norm' | 'value'].entries()) {
      const { c0, c1 } = await program.run(feedsOf(gradients[i] as number[][]));
      assertClose(c0.data as Float32Array, expected[0] as number[], 1e-6, 'first gradient');
      assertClose(c1.data as Float32Array, expected[1] as number[], 1e-6, 'second gradient');
    }
    runtime.dispose();
  });
}

test('gradients shorter than the limit stay as they are', async () => {
  const runtime = new CompiledRuntime({ threads: 1 });
  const variables = variablesIn(runtime);
  const program = runtime.program(inputs, ({ g0, g1 }) => {
    const given = new Map([g0, g1].map((gradient, i) => [variables[i] as Variable, gradient]));
    const [c0, c1] = [...clip(given, { clipNorm: 1e3 }).values()] as [Tensor, Tensor];
    return { c0, c1 };
  });
  const step = gradients[0] as number[][];
  const { c0, c1 } = await program.run(feedsOf(step));
  assertClose([...c0.data, ...c1.data], step.flat(), 1e-6, 'gradients');
  runtime.dispose();
});

for (const name of ['adam', 'adamw', 'sgd'] as const) {
  for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
    test(`${name} with a learning rate for each parameter, and the average of its weights, are PyTorch's (${runtimeName})`, async () => {
      const { start, factors, decay, weights, averages } = trained[name];
      const runtime = makeRuntime();
      const variables = variablesIn(runtime);
      const rateFactor = (variable: (typeof variables)[number]) => factors[variables.indexOf(variable)] as number;
      const optimizer = makeOptimizer(runtime, variables, { name, weightDecay: 0.1, momentum: 0.9, rateFactor });
      const updater = new Updater(runtime, variables, optimizer, { averageDecay: decay });
      const program = runtime.program({ ...inputs, ...updater.inputs }, ({ g0, g1, ...numbers }) => {
        const given = new Map([g0, g1].map((gradient, i) => [variables[i] as Variable, gradient]));
        updater.take(given, numbers);
        return {};
      });
      await runtime.write(new Map(variables.map((variable, i) => [variable, Float32Array.from(start[i] as number[])])));
      await updater.initialise();
      for (const [i, step] of gradients.entries()) {
        await program.run({ ...feedsOf(step), ...updater.feeds(0.05, i, 1) });
        const found = await runtime.read([...variables, ...updater.averages.values()]);
        const expected = [...(weights[i] as number[][]), ...(averages[i] as number[][])];
        for (const [j, values] of expected.entries())
          assertClose(found[j] as Float32Array, values, 1e-6, `variable ${j} after step ${i + 1}`);
      }
      runtime.dispose();
    });
  }
}

const image = { height: 8, width: 8, channels: 1 };

function batchOf(from: number, count: number, value: (i: number) => number = (i) => (i * 37) % 256) {
  const images = Float32Array.from({ length: count * 64 }, (_, i) => value(from * 64 + i));
  return {
    number: 0,
    count,
    images,
    labels: Int32Array.from({ length: count }, (_, i) => (from + i) % 2),
    indices: [],
  };
}

/** A network without batch statistics, and what moves it. */
async function trainer(options: UpdateOptions, runtime: Runtime = new CompiledRuntime({ threads: 1 })) {
  const network = vit({
    ...{ inChannels: 1, classes: 2, imageSize: [8, 8], patchSize: [4, 4] },
    ...{ hiddenSize: 8, mlpDim: 8, layers: 1, heads: 2 },
  });
  const model = new Model(network, runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name: 'adam', weightDecay: 0.1 });
  const updater = new Updater(runtime, model.trained, optimizer, options);
  const step = new TrainingStep(runtime, model, updater, { ...imageInput(image, 'none'), seed: 0 });
  await model.initialise(0);
  await updater.initialise();
  const state = async () => [...(await model.values()), ...(await runtime.read(optimizer.state))];
  return { step, state, close: () => runtime.dispose() };
}

for (const [runtimeName, makeRuntime] of Object.entries(runtimes)) {
  test(`three batches of unequal size make the same update as one large batch (${runtimeName})`, async () => {
    const whole = await trainer({ clipNorm: 0.5, averageDecay: 0.9 }, makeRuntime());
    const parts = await trainer({ clipNorm: 0.5, averageDecay: 0.9, accumulate: 3 }, makeRuntime());
    for (const [update, from] of [0, 9].entries()) {
      await whole.step.run(batchOf(from, 9), 0.01, update);
      const done = [];
      for (const [i, [start, count]] of [
        [0, 4],
        [4, 4],
        [8, 1],
      ].entries()) {
        const batch = batchOf(from + (start as number), count as number);
        done.push((await parts.step.run(batch, 0.01, 3 * update + i, { update })).updated);
      }
      assert.deepEqual(done, [false, false, true]);
    }
    const [expected, found] = [await whole.state(), await parts.state()];
    for (const [i, values] of expected.entries()) assertClose(found[i] as Float32Array, values, 2e-6, `state ${i}`);
    for (const { close } of [whole, parts]) close();
  });
}

test('the last batch of an epoch is not waited for: what there is makes an update', async () => {
  const whole = await trainer({});
  const parts = await trainer({ accumulate: 4 });
  await whole.step.run(batchOf(0, 6), 0.01, 0);
  await parts.step.run(batchOf(0, 4), 0.01, 0, { update: 0 });
  assert.deepEqual(parts.step.updater.accumulated, { batches: 1, images: 4 });
  const { updated } = await parts.step.run(batchOf(4, 2), 0.01, 1, { update: 0, last: true });
  assert.equal(updated, true);
  assert.deepEqual(parts.step.updater.accumulated, { batches: 0, images: 0 });
  const [expected, found] = [await whole.state(), await parts.state()];
  for (const [i, values] of expected.entries()) assertClose(found[i] as Float32Array, values, 2e-6, `state ${i}`);
  for (const { close } of [whole, parts]) close();
});

test('a batch that overflows spoils its update alone: nothing moves, the average neither, and the sums begin anew', async () => {
  const lossScale = new LossScale();
  const { step, state, close } = await trainer({ accumulate: 2, averageDecay: 0.5, lossScale });
  const average = () => readAverages(step);
  const [before, averageBefore] = [await state(), await average()];
  const overflowing = batchOf(0, 4, (i) => (i === 5 ? Number.NaN : i));
  await step.run(overflowing, 0.01, 0, { update: 0 });
  assert.deepEqual(await step.run(batchOf(0, 4), 0.01, 1, { update: 0 }).then(({ skipped }) => skipped), true);
  assert.deepEqual(await state(), before);
  assert.deepEqual(await average(), averageBefore);
  assert.equal(lossScale.state.scale, 2 ** 15);
  await step.run(batchOf(0, 4), 0.01, 2, { update: 1 });
  const { skipped } = await step.run(batchOf(4, 4), 0.01, 3, { update: 1 });
  assert.equal(skipped, false);
  assert.notDeepEqual(await state(), before);
  close();
});

function readAverages({ updater }: TrainingStep): Promise<Float32Array[]> {
  return (updater as unknown as { runtime: Runtime }).runtime.read([...updater.averages.values()]);
}
