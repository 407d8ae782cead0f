// Batches: what waits runs together, no more than may, and each gets its own result.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Batcher } from '../../../training/serving/batcher';

/** A model that takes so many milliseconds for each input, and remembers its batches. */
function slow(milliseconds: number) {
  const sizes: number[] = [];
  const run = async (inputs: readonly number[]) => {
    sizes.push(inputs.length);
    await new Promise((resolve) => setTimeout(resolve, milliseconds * inputs.length));
    return inputs.map((input) => 2 * input);
  };
  return { sizes, run };
}

const inputs = (count: number) => Array.from({ length: count }, (_, i) => i);

test('a lone input runs at once; those that come meanwhile run together, in powers of two', async () => {
  const { sizes, run } = slow(1);
  const batcher = new Batcher(run, { maxBatch: 4, latency: 1000 });
  const outputs = await Promise.all(inputs(12).map((input) => batcher.add(input)));
  assert.deepEqual(
    outputs,
    inputs(12).map((input) => 2 * input),
  );
  assert.deepEqual(sizes, [1, 4, 4, 2, 1]);
});

test('batches are as small as the latency needs', async () => {
  const { sizes, run } = slow(20);
  const batcher = new Batcher(run, { maxBatch: 32, latency: 100 });
  await Promise.all(inputs(9).map((input) => batcher.add(input)));
  assert.ok(Math.max(...sizes) <= 4, sizes.join());
  assert.ok(Math.max(...sizes) >= 2, sizes.join());
});

test('a batch that fails fails its inputs alone', async () => {
  const batcher = new Batcher(
    async (values: readonly number[]) => {
      if (values.includes(0)) throw new Error('zero');
      return values;
    },
    { maxBatch: 4, latency: 1000 },
  );
  const results = await Promise.allSettled([0, 1, 2].map((input) => batcher.add(input)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['rejected', 'fulfilled', 'fulfilled'],
  );
});
