// Batches: their order, where a resumed epoch goes on, files that cannot be read, and the cache.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Augmentation } from '../../../training/data/augment';
import { decodeImage } from '../../../training/data/decode';
import type { Sample } from '../../../training/data/image-folders';
import { type Batch, DecodePool, Loader, type LoaderOptions } from '../../../training/data/loader';
import { UserError } from '../../../training/errors';
import { SIDE, stripes, writeGrey } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const size = { height: SIDE, width: SIDE, channels: 1 };
const COUNT = 11;
const augmentation: Augmentation = { flip: 'both', rotate: 10, zoom: 0.1, intensity: 0.2, probability: 0.5 };
const random = { seed: 3, augmentation };
let samples: Sample[];
let pool: DecodePool;

before(async () => {
  pool = new DecodePool(2);
  samples = Array.from({ length: COUNT }, (_, i) => ({ path: join(folder, `${i}.png`), label: i % 3 }));
  for (const [i, { path }] of samples.entries()) await writeGrey(path, stripes('along', i), SIDE);
});
after(() => pool.close());

const loading = (options: Partial<LoaderOptions> = {}) =>
  new Loader({ samples, size, batchSize: 4, pool, onBadFile: 'fail', ...options });

async function all(batches: AsyncIterable<Batch>): Promise<Batch[]> {
  const result: Batch[] = [];
  for await (const batch of batches) result.push(batch);
  return result;
}

const indices = (batches: readonly Batch[]) => batches.map((batch) => batch.indices);

test('without random numbers the images come in the given order, unchanged, the last batch short', async () => {
  const loader = loading();
  const batches = await all(loader.epoch(1));
  assert.equal(loader.batches, 3);
  assert.deepEqual(indices(batches), [
    [0, 1, 2, 3],
    [4, 5, 6, 7],
    [8, 9, 10],
  ]);
  assert.deepEqual(
    batches.map(({ count, number }) => [count, number]),
    [
      [4, 0],
      [4, 1],
      [3, 2],
    ],
  );
  for (const { images, labels, indices, count } of batches) {
    assert.equal(images.length, count * SIDE * SIDE);
    for (const [position, index] of indices.entries()) {
      const { path, label } = samples[index] as Sample;
      const image = images.slice(position * SIDE * SIDE, (position + 1) * SIDE * SIDE);
      assert.deepEqual(image, Float32Array.from(await decodeImage(path, size)));
      assert.equal(labels[position], label);
    }
  }
});

test('order and changes are the same for the same seed and epoch', async () => {
  const [first, again] = [await all(loading({ random }).epoch(2)), await all(loading({ random }).epoch(2))];
  assert.deepEqual(first, again);
});

test('the number of threads does not change what comes', async () => {
  const single = new DecodePool(1);
  try {
    assert.deepEqual(await all(loading({ random, pool: single }).epoch(2)), await all(loading({ random }).epoch(2)));
  } finally {
    await single.close();
  }
});

test('another epoch, and another seed, gives another order of the same images', async () => {
  const orders = [
    indices(await all(loading({ random }).epoch(1))),
    indices(await all(loading({ random }).epoch(2))),
    indices(await all(loading({ random: { ...random, seed: 4 } }).epoch(1))),
  ];
  assert.equal(new Set(orders.map((order) => order.join())).size, 3);
  for (const order of orders)
    assert.deepEqual(
      order.flat().sort((a, b) => a - b),
      [...samples.keys()],
    );
});

test('an epoch that goes on at a batch gives just the batches that remain', async () => {
  const whole = await all(loading({ random }).epoch(5));
  assert.deepEqual(await all(loading({ random }).epoch(5, 1)), whole.slice(1));
  assert.deepEqual(await all(loading({ random }).epoch(5, 3)), []);
});

test('each image of an epoch is changed in its own way', async () => {
  const same = samples.map((sample) => ({ ...sample, path: (samples[0] as Sample).path }));
  const always = { seed: 3, augmentation: { ...augmentation, probability: 1 } };
  const batches = await all(loading({ samples: same, random: always }).epoch(1));
  const changed = batches.flatMap(({ images, count }) =>
    Array.from({ length: count }, (_, i) => images.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE).join()),
  );
  assert.equal(new Set(changed).size, COUNT);
});

test('an image is changed otherwise in another epoch', async () => {
  const imageOf = (batches: readonly Batch[], wanted: number) => {
    const batch = batches.find((candidate) => candidate.indices.includes(wanted)) as Batch;
    const position = batch.indices.indexOf(wanted);
    return batch.images.slice(position * SIDE * SIDE, (position + 1) * SIDE * SIDE);
  };
  const epochs = [await all(loading({ random }).epoch(1)), await all(loading({ random }).epoch(2))] as const;
  const same = [...samples.keys()].filter((i) => imageOf(epochs[0], i).join() === imageOf(epochs[1], i).join());
  assert.ok(same.length < COUNT / 2, `unchanged: ${same}`);
});

for (const [what, cacheBytes] of Object.entries({ 'all images': 1e9, 'half of the images': 5.5 * SIDE * SIDE * 2 })) {
  test(`a cache for ${what} gives the same values, also once the files are gone from it`, async () => {
    const [cached, plain] = [loading({ random, cacheBytes }), loading({ random })];
    for (const epoch of [1, 2]) assert.deepEqual(await all(cached.epoch(epoch)), await all(plain.epoch(epoch)));
  });
}

test('a cached image is not decoded again', async () => {
  const own = samples.map((sample, i) => ({ ...sample, path: join(folder, `cached${i}.png`) }));
  for (const [i, { path }] of own.entries()) await writeGrey(path, stripes('across', i), SIDE);
  const loader = loading({ samples: own, cacheBytes: 1e9 });
  const first = await all(loader.epoch(1));
  for (const { path } of own) writeFileSync(path, 'gone');
  assert.deepEqual(await all(loader.epoch(2)), first);
});

test('a file that cannot be read ends the epoch, by name', async () => {
  const bad = join(folder, 'bad.png');
  writeFileSync(bad, 'not an image');
  const loader = loading({ samples: [...samples, { path: bad, label: 0 }] });
  await assert.rejects(all(loader.epoch(1)), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(error.message, /bad\.png cannot be read as an image: .*unsupported image format/);
    return true;
  });
});

test('skipped, it is reported once, and the others come with their own labels', async () => {
  const bad = ['bad1.png', 'bad2.png'].map((name) => join(folder, name));
  for (const path of bad) writeFileSync(path, 'not an image');
  const mixed = samples.flatMap((sample, i) => (i === 1 ? [{ path: bad[0] as string, label: 9 }, sample] : [sample]));
  const reports: string[] = [];
  const loader = loading({
    samples: [...mixed, { path: bad[1] as string, label: 9 }],
    ...{ onBadFile: 'skip', cacheBytes: 1e9, report: (path: string) => reports.push(path) },
  });
  for (const epoch of [1, 2]) {
    const batches = await all(loader.epoch(epoch));
    assert.deepEqual(indices(batches), [
      [0, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10, 11],
    ]);
    assert.deepEqual(
      batches.flatMap(({ labels }) => [...labels]),
      samples.map(({ label }) => label),
    );
    assert.deepEqual(
      batches.map(({ images }) => images.length / SIDE / SIDE),
      [3, 4, 4],
    );
  }
  assert.deepEqual(reports, bad);
  assert.deepEqual([...loader.bad], bad);
});

test('a batch of which nothing can be read is passed over, and the numbers of the others stay', async () => {
  const bad = join(folder, 'bad.png');
  writeFileSync(bad, 'not an image');
  const loader = loading({
    samples: samples.map((sample, i) => (i >= 4 && i < 8 ? { path: bad, label: 0 } : sample)),
    onBadFile: 'skip',
  });
  const batches = await all(loader.epoch(1));
  assert.deepEqual(
    batches.map(({ number }) => number),
    [0, 2],
  );
});

test('a thread that is lost ends what waits for it, and what comes after', async () => {
  const lost = new DecodePool(1);
  const waiting = lost.run({ size, images: undefined } as never);
  await assert.rejects(waiting);
  await assert.rejects(lost.run({ size, images: [] }));
  await lost.close();
});
