// What is taken for the limit of a training, from what was seen of its steps.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findBottleneck, type Observation } from '../../../training/benchmark/bottleneck';
import { readHyperparameters } from '../../../training/settings';

const hyperparameters = readHyperparameters({ given: { model_name: 'segresnet', num_workers: 3, batch_size: 5 } });
const busy: Observation = { step: 100, loadedStep: 104, idle: 0.05, arithmetic: 0.7, efficiency: 0.6 };

const cases: Record<string, { seen: Partial<Observation>; limit: string; says: RegExp }> = {
  'steps that wait for data': {
    seen: { loadedStep: 150, idle: 0.5 },
    limit: 'data loading',
    says: /150 ms with data loading and 100 ms without.*num_workers \(it is 3\)/s,
  },
  'a step in which often no op runs': {
    seen: { idle: 0.4 },
    limit: 'framework overhead',
    says: /40% of a step.*batch_size \(it is 5\)/s,
  },
  'ops that compute': { seen: {}, limit: 'arithmetic', says: /take 70% .* at 60% of the peak.*bf16/s },
  'ops that move numbers': { seen: { arithmetic: 0.3 }, limit: 'memory bandwidth', says: /take 70% .*faster memory/s },
};

for (const [what, { seen, limit, says }] of Object.entries(cases)) {
  test(`${what}: ${limit}`, () => {
    const found = findBottleneck({ ...busy, ...seen }, hyperparameters, true);
    assert.equal(found.limit, limit);
    assert.match(`${found.reason}\n${found.advice}`, says);
  });
}

test('without data, loading is not taken for the limit', () => {
  const { loadedStep: _, ...seen } = busy;
  assert.equal(findBottleneck(seen, hyperparameters, true).limit, 'arithmetic');
});

test('bf16 is not proposed where the machine has none', () => {
  assert.doesNotMatch(findBottleneck(busy, hyperparameters, false).advice, /bf16/);
});
