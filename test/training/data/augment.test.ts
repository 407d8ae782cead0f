// Augmentation: decided by its key alone, exact where it can be, and never out of the image's range.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Augmentation, augment } from '../../../training/data/augment';
import { randomSource } from '../../../training/data/random';
import { assertClose } from '../assert-close';

const OFF: Augmentation = { flip: 'none', rotate: 0, zoom: 0, intensity: 0, probability: 0 };
const ALL: Augmentation = { flip: 'both', rotate: 30, zoom: 0.3, intensity: 0.5, probability: 1 };
const SIZE = { height: 6, width: 9, channels: 2 };
const KEYS = Array.from({ length: 50 }, (_, key) => key);

const random = randomSource(1);
const image = Float32Array.from({ length: 6 * 9 * 2 }, () => 100 + Math.floor(random() * 100));

const augmented = (options: Augmentation, ...keys: number[]) => augment(image.slice(), SIZE, options, ...keys);

function flipped(axis: 'horizontal' | 'vertical', values = image): Float32Array<ArrayBuffer> {
  const { height, width, channels } = SIZE;
  return values.map((_, i) => {
    const [row, column, channel] = [Math.floor(i / (width * channels)), Math.floor(i / channels) % width, i % channels];
    const [y, x] = axis === 'horizontal' ? [row, width - 1 - column] : [height - 1 - row, column];
    return values[(y * width + x) * channels + channel] as number;
  });
}

test('with all switched off the image is as it was', () => {
  for (const key of KEYS) assert.deepEqual(augmented(OFF, key), image);
});

test('with probability 0 only flips are left', () => {
  for (const key of KEYS) assert.deepEqual(augmented({ ...ALL, flip: 'none', probability: 0 }, key), image);
});

test('the same key gives the same image, another key another', () => {
  for (const key of KEYS) assert.deepEqual(augmented(ALL, 7, key), augmented(ALL, 7, key));
  assert.equal(new Set(KEYS.map((key) => augmented(ALL, 7, key).join())).size, KEYS.length);
  assert.notDeepEqual(augmented(ALL, 7, 8), augmented(ALL, 8, 7));
});

for (const axis of ['horizontal', 'vertical'] as const) {
  test(`half of the images are flipped, exactly: ${axis}`, () => {
    const results = KEYS.map((key) => augmented({ ...OFF, flip: axis }, key).join());
    assert.deepEqual(new Set(results), new Set([image.join(), flipped(axis).join()]));
    const flips = results.filter((result) => result !== image.join()).length;
    assert.ok(flips > 12 && flips < 38, `${flips} of 50 are flipped`);
  });
}

test('flips along both axes are independent', () => {
  const results = new Set(KEYS.map((key) => augmented({ ...OFF, flip: 'both' }, key).join()));
  const all = [image, flipped('horizontal'), flipped('vertical'), flipped('vertical', flipped('horizontal'))];
  assert.deepEqual(results, new Set(all.map((values) => values.join())));
});

test('each change happens as often as its probability says', () => {
  for (const options of [{ rotate: 30 }, { zoom: 0.3 }, { intensity: 0.5 }]) {
    const changed = (probability: number) =>
      Array.from({ length: 200 }, (_, key) => augmented({ ...OFF, ...options, probability }, key)).filter(
        (result) => result.join() !== image.join(),
      ).length;
    const share = changed(0.25) / 200;
    assert.ok(share > 0.15 && share < 0.35, `${JSON.stringify(options)}: ${share}`);
    assert.ok(changed(1) >= 198, JSON.stringify(options));
  }
});

test('values stay within those of the image', () => {
  const [low, high] = [Math.min(...image), Math.max(...image)];
  for (const key of KEYS) {
    const result = augmented(ALL, key);
    assert.ok(
      result.every((value) => value >= low && value <= high),
      `key ${key}: ${Math.min(...result)}..${Math.max(...result)}`,
    );
  }
});

test('an image of one value stays it', () => {
  const flat = new Float32Array(image.length).fill(42);
  for (const key of KEYS) assert.deepEqual(augment(flat.slice(), SIZE, ALL, key), flat);
});

test('gamma keeps the order of the values and their extremes', () => {
  for (const key of KEYS) {
    const result = augmented({ ...OFF, intensity: 0.5, probability: 1 }, key);
    assert.equal(Math.min(...result), Math.min(...image));
    assert.equal(Math.max(...result), Math.max(...image));
    const order = Array.from(image.keys()).sort((a, b) => (image[a] as number) - (image[b] as number));
    for (let i = 1; i < order.length; i++)
      assert.ok((result[order[i] as number] as number) >= (result[order[i - 1] as number] as number));
  }
});

test('rotation is about the centre, by no more than asked', () => {
  // a bright dot to the right of the centre of a square moves along a circle
  const [side, radius] = [41, 15];
  const size = { height: side, width: side, channels: 1 };
  const angles = KEYS.map((key) => {
    const dot = new Float32Array(side * side);
    for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) dot[(20 + dy) * side + 20 + radius + dx] = 100;
    const result = augment(dot, size, { ...OFF, rotate: 30, probability: 1 }, key);
    const total = result.reduce((sum, value) => sum + value, 0);
    const [x, y] = [0, 1].map((axis) =>
      result.reduce((sum, value, i) => sum + value * ((axis === 0 ? i % side : Math.floor(i / side)) - 20), 0),
    ) as [number, number];
    assertClose([Math.hypot(x / total, y / total)], [radius], 0.1, 'distance from the centre');
    return (Math.atan2(y, x) * 180) / Math.PI;
  });
  assert.ok(Math.max(...angles) <= 30.5 && Math.min(...angles) >= -30.5, `${angles}`);
  assert.ok(Math.max(...angles) > 20 && Math.min(...angles) < -20, `${angles}`);
});
