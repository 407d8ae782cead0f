// Loss scaling: steps that overflow are skipped whole, and all others are those of a training without it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../../training/compiler/compiled';
import { Model } from '../../../../training/engine/model';
import { LossScale } from '../../../../training/engine/optimization/loss-scale';
import { makeOptimizer, type OptimizerName } from '../../../../training/engine/optimization/optimizers';
import { Updater } from '../../../../training/engine/optimization/updater';
import { imageInput } from '../../../../training/engine/prediction/preprocessing';
import { TrainingStep } from '../../../../training/engine/training-step';
import { vit } from '../../../../training/models/vit';

const image = { height: 8, width: 8, channels: 1 };
const COUNT = 4;

function batch(value: (i: number) => number) {
  const images = Float32Array.from({ length: COUNT * 64 }, (_, i) => value(i));
  return { number: 0, count: COUNT, images, labels: Int32Array.from([0, 1, 0, 1]), indices: [] };
}

const good = batch((i) => (i * 37) % 256);
const overflowing = batch((i) => (i === 5 ? Number.NaN : i));

async function trainer(name: OptimizerName, lossScale?: LossScale) {
  const runtime = new CompiledRuntime({ threads: 1 });
  const network = vit({
    ...{ inChannels: 1, classes: 2, imageSize: [8, 8], patchSize: [4, 4] },
    ...{ hiddenSize: 8, mlpDim: 8, layers: 1, heads: 2 },
  });
  const model = new Model(network, runtime);
  const optimizer = makeOptimizer(runtime, model.trained, { name, weightDecay: 0.1 });
  const updater = new Updater(runtime, model.trained, optimizer, lossScale && { lossScale });
  const step = new TrainingStep(runtime, model, updater, { ...imageInput(image, 'none'), seed: 0 });
  await model.initialise(0);
  await optimizer.initialise();
  const state = async () => [...(await model.values()), ...(await runtime.read(optimizer.state))];
  return { step, state, close: () => runtime.dispose() };
}

for (const optimizer of ['adam', 'adamw', 'sgd'] as const) {
  test(`a power of two changes nothing in float32 (${optimizer})`, async () => {
    const plain = await trainer(optimizer);
    const scaled = await trainer(optimizer, new LossScale());
    for (let i = 0; i < 3; i++) {
      const expected = await plain.step.run(good, 0.01, i);
      assert.deepEqual(await scaled.step.run(good, 0.01, i), expected);
    }
    assert.deepEqual(await scaled.state(), await plain.state());
    plain.close();
    scaled.close();
  });

  test(`a step that overflows moves neither weights nor the optimizer's state (${optimizer})`, async () => {
    const lossScale = new LossScale();
    const { step, state, close } = await trainer(optimizer, lossScale);
    await step.run(good, 0.01, 0);
    const before = await state();
    assert.equal((await step.run(overflowing, 0.01, 1)).skipped, true);
    assert.deepEqual(await state(), before);
    assert.deepEqual(lossScale.state, { scale: 2 ** 15, steps: 0 });
    assert.equal((await step.run(good, 0.01, 2)).skipped, false);
    assert.notDeepEqual(await state(), before);
    close();
  });
}

test('the scale doubles after as many good steps as it takes, and begins to count again', () => {
  const lossScale = new LossScale(3);
  const scales = [true, true, true, true, false, true, true, true].map((finite) => {
    lossScale.update(finite);
    return Math.log2(lossScale.state.scale);
  });
  assert.deepEqual(scales, [16, 16, 17, 17, 16, 16, 16, 17]);
});
