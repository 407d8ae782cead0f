// Learning rates against those of PyTorch's schedulers (test/oracle/training/torch_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { learningRate, Plateau, type ScheduleName } from '../../../../training/engine/optimization/schedules';
import { assertClose } from '../../assert-close';
import { readFixture } from '../../fixture';

type Fixture = { schedules: { steps: number; peak: number } & Record<Exclude<ScheduleName, 'plateau'>, number[]> };
const { schedules } = readFixture<Fixture>('torch.json');
const { steps, peak } = schedules;

for (const name of ['constant', 'cosine', 'onecycle', 'polynomial', 'step'] as const) {
  test(`${name} gives the rates of PyTorch`, () => {
    const rates = Array.from({ length: steps }, (_, step) => learningRate(step, { name, peak, steps, warmupSteps: 0 }));
    assertClose(rates, schedules[name], 1e-12, 'learning rate');
  });
}

for (const name of ['constant', 'cosine', 'polynomial', 'step'] as const) {
  test(`${name} rises to the peak in the warm-up, and then takes its course over the rest`, () => {
    const warm = (step: number) => learningRate(step, { name, peak, steps: steps + 5, warmupSteps: 5 });
    assertClose([0, 1, 2, 3, 4].map(warm), [0.002, 0.004, 0.006, 0.008, 0.01], 1e-12, 'learning rate');
    assertClose(
      Array.from({ length: steps }, (_, step) => warm(step + 5)),
      schedules[name],
      1e-12,
      'learning rate',
    );
  });
}

test('onecycle has its own rise: warm-up steps do not touch it', () => {
  const [without, given] = [0, 5].map((warmupSteps) => learningRate(2, { name: 'onecycle', peak, steps, warmupSteps }));
  assert.equal(given, without);
});

test('no schedule fails on a training of a few steps', () => {
  for (const name of ['constant', 'cosine', 'onecycle', 'polynomial', 'step'] as const) {
    for (const few of [1, 2, 3, 4]) {
      for (let step = 0; step < few; step++) {
        const rate = learningRate(step, { name, peak, steps: few, warmupSteps: 0 });
        assert.ok(rate > 0 && rate <= peak, `${name}, step ${step} of ${few}: ${rate}`);
      }
    }
  }
});

type Course = { scores: number[]; rates: number[] };
const { plateau } = readFixture<{ plateau: Record<'min' | 'max', Course> }>('optimization.json');

for (const mode of ['min', 'max'] as const) {
  const { scores, rates } = plateau[mode];
  const options = { mode, patience: 2, factor: 0.1, peak: 1e-5 };

  test(`a plateau (${mode}) lowers the rate when PyTorch does, and no further`, () => {
    const course = new Plateau(options);
    const found = scores.map((score) => {
      course.update(score);
      return course.state.factor * 1e-5;
    });
    assertClose(found, rates, 1e-15, 'learning rate');
  });

  test(`a plateau (${mode}) that is restored goes on as if it had never stopped`, () => {
    const [whole, first, second] = [new Plateau(options), new Plateau(options), new Plateau(options)];
    for (const score of scores) whole.update(score);
    for (const score of scores.slice(0, 5)) first.update(score);
    second.restore(JSON.parse(JSON.stringify(first.state)));
    for (const score of scores.slice(5)) second.update(score);
    assert.deepEqual(second.state, whole.state);
  });
}
