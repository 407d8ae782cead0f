// Ops that move values about: their values by hand, their gradients by finite differences.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../../../training/native/tensorflow';
import { addConstant, crop, ignoring, lookUp, padReflect, reorder, roll, slice } from '../../../training/ops/layout';
import { dropout, dropPath } from '../../../training/ops/random';
import { assertGradientsAreSlopes, evaluate, normal } from './gradients';

const counted = (shape: number[]) => tf.range(0, tf.util.sizeFromShape(shape)).reshape(shape);

const cases: Readonly<Record<string, { op: (x: Tensor) => Tensor; shape: number[]; value: number[] }>> = {
  'slice takes a part': { op: (x) => slice(x, [1], [2, 1]), shape: [1, 3, 2], value: [2, 4] },
  'slice takes all of axes that are not told': { op: (x) => slice(x, [1], [1]), shape: [1, 3, 2], value: [2, 3] },
  'crop takes what leads': { op: (x) => crop(x, [1, 2]), shape: [1, 3, 2], value: [0, 1] },
  'roll moves round': { op: (x) => roll(x, [1, -1], [1, 2]), shape: [1, 2, 3], value: [4, 5, 3, 1, 2, 0] },
  'reorder takes entries in another order': {
    op: (x) => reorder(x, [2, 0, 1], 2),
    shape: [1, 2, 3],
    value: [2, 0, 1, 5, 3, 4],
  },
  'lookUp takes rows, some of them more than once': {
    op: (x) => lookUp(x, tf.tensor1d([1, 0, 1], 'int32')),
    shape: [3, 2],
    value: [2, 3, 0, 1, 2, 3],
  },
  'padReflect mirrors without the edge': {
    op: (x) =>
      padReflect(x, [
        [0, 0],
        [1, 2],
      ]),
    shape: [1, 3],
    value: [1, 0, 1, 2, 1, 0],
  },
  'addConstant adds to each': { op: (x) => addConstant(x, tf.tensor1d([1, 2])), shape: [2, 2], value: [1, 3, 3, 5] },
};

for (const [what, { op, shape, value }] of Object.entries(cases)) {
  test(`${what}, with its gradient`, () => {
    assert.deepEqual([...op(counted(shape)).dataSync()], value);
    assertGradientsAreSlopes(op, [normal(shape, 1)]);
  });
}

test('what is ignored changes nothing and has no gradient', () => {
  const [x, parameter] = [normal([2, 3], 1), normal([3], 2)];
  const [value, dx, none] = evaluate(ignoring, [x, parameter], tf.ones([2, 3]));
  assert.deepEqual(value, x.dataSync());
  assert.deepEqual([...(dx as Float32Array)], [1, 1, 1, 1, 1, 1]);
  assert.deepEqual([...(none as Float32Array)], [0, 0, 0]);
});

/** What is left of ones. */
const left = (op: (x: Tensor) => Tensor, shape: number[]) => evaluate(op, [tf.ones(shape)], tf.ones(shape));

test('dropPath drops whole samples, scales the rest, and its gradient is the same', () => {
  const [value, gradient] = left((x) => dropPath(x, 0.25, { seed: 1, site: 2 }), [400, 2, 3]) as [
    Float32Array,
    Float32Array,
  ];
  assert.deepEqual(gradient, value);
  const samples = Array.from({ length: 400 }, (_, i) => [...new Set(value.slice(6 * i, 6 * i + 6))]);
  assert.ok(
    samples.every((kept) => kept.length === 1),
    'a sample is dropped as a whole',
  );
  const dropped = samples.filter(([kept]) => kept === 0).length;
  assert.ok(dropped > 70 && dropped < 130, `${dropped} of 400 are dropped`);
  assert.ok(samples.every(([kept]) => kept === 0 || Math.abs((kept as number) - 4 / 3) < 1e-6));
});

test('dropout per channel drops channels of volumes as a whole', () => {
  const [value] = left((x) => dropout(x, 0.5, { seed: 1, site: 2 }, true), [2, 2, 3, 2, 50]) as [Float32Array];
  const kept = (sample: number, channel: number) =>
    Array.from({ length: 12 }, (_, i) => value[(sample * 12 + i) * 50 + channel]);
  const pattern = [0, 1].map((sample) => Array.from({ length: 50 }, (_, channel) => kept(sample, channel)));
  assert.ok(pattern.flat().every((values) => new Set(values).size === 1));
  assert.notDeepEqual(pattern[0], pattern[1]);
});
