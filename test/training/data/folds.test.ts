// Folds: each item in one, the same mixture of classes in all, and groups kept whole.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { foldsOf } from '../../../training/data/folds';
import { randomSource } from '../../../training/data/random';

interface Item {
  readonly id: number;
  readonly label: number;
  readonly patient: number;
}
const random = randomSource(4);
const items: Item[] = Array.from({ length: 103 }, (_, id) => ({
  id,
  label: random() < 0.3 ? 1 : random() < 0.2 ? 2 : 0,
  patient: Math.floor(random() * 25),
}));
const stratumOf = ({ label }: Item) => label;
const groupOf = ({ patient }: Item) => patient;
const countOf = (fold: readonly Item[], label: number) => fold.filter((item) => item.label === label).length;

test('every item is in exactly one fold', () => {
  const folds = foldsOf(items, { count: 5, seed: 1, stratumOf, groupOf });
  assert.deepEqual(
    folds.flatMap((fold) => fold.map(({ id }) => id)).sort((a, b) => a - b),
    items.map(({ id }) => id),
  );
});

test('each class is spread over the folds as evenly as can be, and so are all items', () => {
  const folds = foldsOf(items, { count: 5, seed: 1, stratumOf });
  for (const label of [0, 1, 2]) {
    const counts = folds.map((fold) => countOf(fold, label));
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, `class ${label}: ${counts}`);
  }
  const sizes = folds.map((fold) => fold.length);
  assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 2, `${sizes}`);
});

test('a group is in one fold, and classes are still mixed', () => {
  const folds = foldsOf(items, { count: 5, seed: 1, stratumOf, groupOf });
  for (let patient = 0; patient < 25; patient++) {
    const holding = folds.filter((fold) => fold.some((item) => item.patient === patient));
    assert.ok(holding.length <= 1, `patient ${patient} is in ${holding.length} folds`);
  }
  const shares = folds.map((fold) => countOf(fold, 0) / fold.length);
  assert.ok(Math.max(...shares) - Math.min(...shares) < 0.2, `${shares}`);
});

test('the same seed gives the same folds, another gives others', () => {
  const ids = (seed: number) => foldsOf(items, { count: 4, seed, stratumOf }).map((fold) => fold.map(({ id }) => id));
  assert.deepEqual(ids(7), ids(7));
  assert.notDeepEqual(ids(7), ids(8));
});

test('fewer groups than folds are refused', () => {
  assert.throws(() => foldsOf(items, { count: 26, seed: 0, groupOf }), /num_folds is 26, but there are only 25 groups/);
});
