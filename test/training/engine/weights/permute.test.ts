// Reordering axes: against the definition, value by value.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { permute } from '../../../../training/engine/weights/permute';

const count = (length: number) => Float32Array.from({ length }, (_, i) => i);

test('a matrix is transposed', () => {
  assert.deepEqual(permute(count(6), [2, 3], [1, 0]), Float32Array.of(0, 3, 1, 4, 2, 5));
});

test('every order of four axes puts each value where it belongs', () => {
  const shape = [2, 3, 4, 5];
  const at = (place: readonly number[], lengths: readonly number[]) =>
    place.reduce((offset, position, axis) => offset * (lengths[axis] as number) + position, 0);
  const orders = [0, 1, 2, 3].flatMap((a) =>
    [0, 1, 2, 3].flatMap((b) => [0, 1, 2, 3].map((c) => [a, b, c, 6 - a - b - c]).filter((o) => new Set(o).size === 4)),
  );
  assert.equal(orders.length, 24);
  for (const order of orders) {
    const result = permute(count(120), shape, order);
    const lengths = order.map((axis) => shape[axis] as number);
    for (let i = 0; i < 120; i++) {
      const place = [Math.floor(i / 60), Math.floor(i / 20) % 3, Math.floor(i / 5) % 4, i % 5];
      const target = at(
        order.map((axis) => place[axis] as number),
        lengths,
      );
      assert.equal(result[target], i, `${order}: value ${i}`);
    }
  }
});

test('sides that are longer than the squares that are moved at once, and no multiple of them', () => {
  const [places, channels, filters] = [9, 20, 33];
  const result = permute(count(places * channels * filters), [3, 3, channels, filters], [3, 2, 0, 1]);
  for (let filter = 0; filter < filters; filter++)
    for (let channel = 0; channel < channels; channel++)
      for (let place = 0; place < places; place++) {
        const target = (filter * channels + channel) * places + place;
        assert.equal(result[target], (place * channels + channel) * filters + filter, `value ${target}`);
      }
});

test('there and back again is the same', () => {
  const there = permute(count(24), [2, 3, 4], [2, 0, 1]);
  assert.deepEqual(permute(there, [4, 2, 3], [1, 2, 0]), count(24));
});

test('the given values stay as they are', () => {
  const data = count(6);
  permute(data, [2, 3], [1, 0]);
  assert.deepEqual(data, count(6));
});
