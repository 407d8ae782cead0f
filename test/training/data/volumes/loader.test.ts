// Batches of crops and whole volumes: their order, where a resumed epoch goes on, the caches and their bounds, unfit subjects.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toValues } from '../../../../training/data/volumes/dataset-json';
import {
  channelsOf,
  findClasses,
  type VolumeBatch,
  VolumeLoader,
  type VolumeLoaderOptions,
  VolumePool,
} from '../../../../training/data/volumes/loader';
import { writeNifti } from '../../../../training/data/volumes/nifti';
import { readSubject } from '../../../../training/data/volumes/read-subject';
import type { Subject } from '../../../../training/data/volumes/subjects';
import type { TransformSpec } from '../../../../training/data/volumes/transforms';
import { labelsOnGrid } from '../../../../training/data/volumes/transforms/resample';
import { type Shape, voxels } from '../../../../training/data/volumes/volume';
import { UserError } from '../../../../training/errors';
import { BALL_SHAPE, ball, writeSubject } from '../../sample-volumes';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();
const ROI: Shape = [8, 6, 4];
const COUNT = 5;
const VOLUME_BYTES = voxels(BALL_SHAPE) * 5;
const prepare: readonly TransformSpec[] = [{ name: 'Orientation', axcodes: 'LPS' }, { name: 'NormalizeIntensity' }];
const augment: readonly TransformSpec[] = [
  { name: 'RandCropByPosNegLabel', spatialSize: ROI, pos: 1, neg: 1, numSamples: 2 },
  { name: 'RandFlip', prob: 0.5, spatialAxis: 0 },
  { name: 'RandGaussianNoise', prob: 0.5, std: 0.1 },
];
const random = { seed: 3, augment };
let subjects: Subject[];
let pool: VolumePool;

const subjectAt = (path: string): Subject => ({
  id: path,
  images: [join(path, 'img.nii.gz')],
  label: join(path, 'label.nii.gz'),
});

before(async () => {
  pool = new VolumePool(2);
  subjects = Array.from({ length: COUNT }, (_, n) => subjectAt(join(folder, `subject_${n}`)));
  for (const [n, { id }] of subjects.entries()) await writeSubject(id, n);
});
after(() => pool.close());

const loading = (options: Partial<VolumeLoaderOptions> = {}) =>
  new VolumeLoader({ subjects, channels: 1, batchSize: 2, pool, onBadFile: 'fail', prepare, random, ...options });

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const result: Item[] = [];
  for await (const item of items) result.push(item);
  return result;
}

test('a batch has the crops of its subjects, and the last is short', async () => {
  const loader = loading();
  const batches = await all(loader.epoch(1));
  assert.equal(loader.batches, 3);
  assert.deepEqual(
    batches.map(({ number, count }) => [number, count]),
    [
      [0, 4],
      [1, 4],
      [2, 2],
    ],
  );
  for (const { images, labels, count, shape, indices } of batches) {
    assert.deepEqual([shape, images.length, labels.length, indices.length], [ROI, count * 192, count * 192, count]);
    assert.ok(labels.every((value) => value === 0 || value === 1));
  }
  assert.deepEqual(batches.flatMap(({ indices }) => indices).sort(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
});

test('order, crops and changes are the same for the same seed and epoch, and others for others', async () => {
  const epochs = [await all(loading().epoch(2)), await all(loading().epoch(2)), await all(loading().epoch(3))] as const;
  const other = await all(loading({ random: { ...random, seed: 4 } }).epoch(2));
  assert.deepEqual(epochs[0], epochs[1]);
  for (const different of [epochs[2], other])
    assert.notDeepEqual(
      different.map(({ images }) => images),
      epochs[0].map(({ images }) => images),
    );
});

test('the number of threads does not change what comes', async () => {
  const single = new VolumePool(1);
  try {
    assert.deepEqual(await all(loading({ pool: single }).epoch(2)), await all(loading().epoch(2)));
  } finally {
    await single.close();
  }
});

test('an epoch that goes on at a batch gives just the batches that remain', async () => {
  const whole = await all(loading().epoch(5));
  assert.deepEqual(await all(loading().epoch(5, 1)), whole.slice(1));
});

test('crops keep image and label together', async () => {
  // the ball is brighter than what is around it, also after flips and noise
  for (const { images, labels } of await all(loading().epoch(1)))
    for (const [n, value] of labels.entries()) assert.ok((images[n] as number) > 1 === (value === 1), `voxel ${n}`);
});

test('whole volumes come one at a time, prepared, with the grid of their files', async () => {
  const volumes = await all(loading().volumes());
  assert.deepEqual(
    volumes.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  );
  for (const { images, labels, shape, affine, source, subject, index } of volumes) {
    assert.deepEqual([images.length, shape, source.shape], [voxels(BALL_SHAPE), BALL_SHAPE, BALL_SHAPE]);
    assert.ok(Math.abs(images.reduce((sum, value) => sum + value, 0) / images.length) < 1e-5);
    const back = labelsOnGrid(Uint8Array.from(labels as Int32Array), { shape, affine }, source);
    assert.deepEqual(back, ball(index).label);
    assert.equal(subject, subjects[index]);
  }
});

test('a volume without a label comes without one', async () => {
  const [volume] = await all(loading({ subjects: [{ id: 'x', images: subjects[0]?.images ?? [] }] }).volumes());
  assert.equal(volume?.labels, undefined);
});

for (const [what, count] of Object.entries({ 'all volumes': 5, 'two of five': 2, none: 0 })) {
  test(`a memory cache with room for ${what} gives the same values, and stays within its bound`, async () => {
    const bytes = count * (VOLUME_BYTES + 1024);
    const [cached, plain] = [loading({ cache: { bytes } }), loading()];
    for (const epoch of [1, 2, 3]) assert.deepEqual(await all(cached.epoch(epoch)), await all(plain.epoch(epoch)));
    assert.equal(cached.cachedBytes, count * VOLUME_BYTES);
    assert.ok(cached.cachedBytes <= bytes);
  });
}

test('what two threads read at the same time is kept once, and the room of the other is free again', async () => {
  const loader = loading({ cache: { bytes: 6 * (VOLUME_BYTES + 1024) } });
  await Promise.all([all(loader.volumes()), all(loader.volumes())]);
  await all(loader.volumes());
  assert.equal(loader.cachedBytes, COUNT * VOLUME_BYTES);
});

test('each subject of an epoch is cropped and changed in its own way', async () => {
  const [first] = subjects as [Subject];
  const batches = await all(loading({ subjects: [first, first, first] }).epoch(1));
  const crops = batches.flatMap(({ images, count }) =>
    Array.from({ length: count }, (_, n) => images.slice(n * voxels(ROI), (n + 1) * voxels(ROI)).join()),
  );
  assert.equal(new Set(crops).size, 6);
});

/** Subjects whose files are only ours. */
async function ownSubjects(name: string): Promise<Subject[]> {
  const own = [0, 1].map((n) => subjectAt(join(folder, `${name}_${n}`)));
  for (const [n, { id }] of own.entries()) await writeSubject(id, n);
  return own;
}

test('a volume that is kept in memory is not read again', async () => {
  const own = await ownSubjects('memory');
  const loader = loading({ subjects: own, cache: { bytes: 1e9 } });
  const first = await all(loader.epoch(1));
  for (const { id } of own) rmSync(id, { recursive: true });
  assert.deepEqual(await all(loader.epoch(1)), first);
});

test('a disk cache is used by the next training, until a file or a transform changes', async () => {
  const own = await ownSubjects('disk');
  const cache = { bytes: 1e9, folder: join(folder, 'cache') };
  const first = await all(loading({ subjects: own, cache }).epoch(1));
  const kept = readdirSync(cache.folder);
  assert.equal(kept.length, 2);
  assert.deepEqual(await all(loading({ subjects: own, cache }).epoch(1)), first);
  assert.deepEqual(readdirSync(cache.folder), kept);
  await all(loading({ subjects: own, cache, prepare: [{ name: 'ScaleIntensity' }] }).epoch(1));
  assert.equal(readdirSync(cache.folder).length, 4);
  await writeSubject(own[0]?.id as string, 7);
  await all(loading({ subjects: own, cache }).epoch(1));
  assert.equal(readdirSync(cache.folder).length, 5);
});

test('a disk cache stays within its bound, and a damaged entry is made anew', async () => {
  const own = await ownSubjects('bound');
  const bound = { bytes: VOLUME_BYTES + 4096, folder: join(folder, 'bound') };
  const plain = await all(loading({ subjects: own }).epoch(1));
  for (const left of [100, VOLUME_BYTES]) {
    assert.deepEqual(await all(loading({ subjects: own, cache: bound }).epoch(1)), plain);
    const [name = '', ...more] = readdirSync(bound.folder);
    assert.equal(more.length, 0);
    assert.ok(statSync(join(bound.folder, name)).size <= bound.bytes);
    truncateSync(join(bound.folder, name), left);
  }
  assert.deepEqual(await all(loading({ subjects: own, cache: bound }).epoch(1)), plain);
});

test('values of the labels become the places of their classes', async () => {
  const path = join(folder, 'values');
  const values = ball(1).label.map((value) => (value === 1 ? 4 : 0));
  await writeSubject(path, 1, { label: values });
  const classes = [0, 2, 4].map((value) => ({ name: `${value}`, value }));
  const [volume] = await all(loading({ subjects: [subjectAt(path)], classes, prepare: [] }).volumes());
  assert.deepEqual(
    volume?.labels,
    Int32Array.from(ball(1).label, (value) => value * 2),
  );
  assert.deepEqual(await findClasses([subjectAt(path)], pool), [
    { name: 'background', value: 0 },
    { name: 'label 4', value: 4 },
  ]);
});

test('a single slice is a volume of one voxel along k', async () => {
  const path = join(folder, 'slice');
  await writeSubject(path, 3, { shape: [16, 14, 1] });
  const specs: readonly TransformSpec[] = [
    { name: 'RandCropByPosNegLabel', spatialSize: [8, 6, 1], pos: 1, neg: 1, numSamples: 2 },
    { name: 'RandRotate90', prob: 1 },
    { name: 'Rand3DElastic', prob: 1, sigmaRange: [1, 2], magnitudeRange: [1, 2] },
    { name: 'RandBiasField', prob: 1, coeffRange: [0, 0.1] },
  ];
  const [batch] = await all(loading({ subjects: [subjectAt(path)], random: { seed: 1, augment: specs } }).epoch(1));
  assert.deepEqual([batch?.shape, batch?.images.length], [[8, 6, 1], 96]);
  assert.ok(batch?.images.every(Number.isFinite));
});

test('a spacing that makes a volume too large for memory is refused by name', async () => {
  const tiny = loading({ prepare: [{ name: 'Spacing', pixdim: [0.001, 0.001, 0.001] }], onBadFile: 'fail' });
  await assert.rejects(
    all(tiny.volumes()),
    /it would have 15001 x 13001 x 11001 voxels; 536870912 values are the most/,
  );
});

test('numbers of classes are written as the values that the files have', () => {
  const classes = [0, 2, 4].map((value) => ({ name: `${value}`, value }));
  assert.deepEqual(toValues([0, 1, 2, 1], classes), Uint8Array.of(0, 2, 4, 2));
  assert.deepEqual(toValues([1], [...classes.slice(0, 1), { name: 'x', value: 1000 }]), Int16Array.of(1000));
});

test('several files and several channels of a file are the channels of one image', async () => {
  const path = join(folder, 'channels');
  mkdirSync(path);
  const grid = { shape: [3, 2, 2] as Shape, affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1] };
  const [one, two] = [
    Float32Array.from({ length: 12 }, (_, n) => n),
    Float32Array.from({ length: 24 }, (_, n) => 100 + n),
  ];
  await writeNifti(join(path, 'a.nii'), one, grid);
  await writeNifti(join(path, 'b.nii.gz'), two, grid);
  const subject = { id: 'x', images: ['a.nii', 'b.nii.gz'].map((name) => join(path, name)) };
  assert.equal(await channelsOf(subject), 3);
  const { image, channels } = await readSubject(subject);
  assert.equal(channels, 3);
  assert.deepEqual(
    [...image],
    [...one].flatMap((value, n) => [value, two[2 * n], two[2 * n + 1]]),
  );
});

test('a label that is stored in another orientation is turned to its image', async () => {
  const path = join(folder, 'turned');
  await writeSubject(path, 2);
  const [I, J, K] = BALL_SHAPE;
  const { label } = ball(2);
  const mirrored = label.map((_, n) => label[(I - 1 - Math.floor(n / (J * K))) * J * K + (n % (J * K))] as number);
  const affine = [-1, 0, 0, -8 + I - 1, 0, 1, 0, -7, 0, 0, 1, -6, 0, 0, 0, 1];
  await writeNifti(join(path, 'label.nii.gz'), mirrored, { shape: BALL_SHAPE, affine });
  assert.deepEqual((await readSubject(subjectAt(path))).label, label);
});

/** Subjects that are unfit, with the reason. */
const UNFIT: Readonly<Record<string, [spoil: (path: string) => Promise<unknown> | unknown, reason: RegExp]>> = {
  'a cut file': [
    (path) => truncateSync(join(path, 'img.nii.gz'), 700),
    /its image img\.nii\.gz cannot be read: the compressed data/,
  ],
  'a missing file': [(path) => rmSync(join(path, 'label.nii.gz')), /its label label\.nii\.gz cannot be read: ENOENT/],
  'no NIfTI': [(path) => writeFileSync(join(path, 'img.nii.gz'), 'hello'), /it is not NIfTI/],
  NaN: [
    (path) =>
      writeSubject(path, 1, { label: ball(1).label }).then(() =>
        writeNifti(join(path, 'img.nii.gz'), new Float32Array(voxels(BALL_SHAPE)).fill(Number.NaN), {
          shape: BALL_SHAPE,
          affine: [1, 0, 0, -8, 0, 1, 0, -7, 0, 0, 1, -6, 0, 0, 0, 1],
        }),
      ),
    /2688 values that are NaN/,
  ],
  'a label of another shape': [
    (path) =>
      writeNifti(join(path, 'label.nii.gz'), new Uint8Array(8), {
        shape: [2, 2, 2],
        affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
      }),
    /its label does not lie where its image does: 2 x 2 x 2 voxels.*16 x 14 x 12/,
  ],
  'another affine': [
    (path) =>
      writeNifti(join(path, 'label.nii.gz'), ball(1).label, {
        shape: BALL_SHAPE,
        affine: [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1],
      }),
    /its label does not lie where its image does.*from \(0, 0, 0\) mm.*from \(-8, -7, -6\) mm/,
  ],
  'labels that are no whole numbers': [
    (path) => writeSubject(path, 1, { label: Float32Array.from(ball(1).label, (value) => value / 2) }),
    /no whole numbers from 0 to 32767, e\.g\. 0\.5/,
  ],
  'another number of channels': [
    (path) =>
      writeSubject(path, 1).then(() =>
        writeNifti(join(path, 'img.nii.gz'), new Float32Array(2 * voxels(BALL_SHAPE)), {
          shape: BALL_SHAPE,
          affine: [1, 0, 0, -8, 0, 1, 0, -7, 0, 0, 1, -6, 0, 0, 0, 1],
        }),
      ),
    /it has 2 channels, the others 1/,
  ],
  'a crop larger than the volume': [
    (path) => writeSubject(path, 1, { shape: [4, 4, 4] }),
    /4 x 4 x 4 voxels are too few for crops of 8 x 6 x 4/,
  ],
};

for (const [what, [spoil, reason]] of Object.entries(UNFIT)) {
  test(`a subject that is unfit ends the epoch by name, or is left out and reported once: ${what}`, async () => {
    const path = join(folder, what);
    await writeSubject(path, 1);
    await spoil(path);
    const mixed = [subjects[0], subjectAt(path), subjects[1]] as Subject[];
    await assert.rejects(all(loading({ subjects: mixed }).epoch(1)), (error: Error) => {
      assert.ok(error instanceof UserError);
      assert.match(error.message, reason);
      assert.ok(error.message.includes(path));
      return true;
    });
    const reports: string[] = [];
    const skipping = loading({
      subjects: mixed,
      onBadFile: 'skip',
      report: (id) => reports.push(id),
      cache: { bytes: 1e9 },
    });
    for (const epoch of [1, 2]) {
      const batches: VolumeBatch[] = await all(skipping.epoch(epoch));
      assert.deepEqual(batches.flatMap(({ indices }) => indices).sort(), [0, 0, 2, 2]);
    }
    assert.deepEqual(reports, [path]);
  });
}
