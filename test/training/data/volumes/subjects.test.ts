// Layouts of volumes: which are found, what is held out, and what is told of those that are incomplete.
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { test } from 'node:test';
import type { PartFolders } from '../../../../training/data/parts';
import {
  findSubjects,
  type Subject,
  type SubjectOptions,
  subjectsToPredict,
} from '../../../../training/data/volumes/subjects';
import { UserError } from '../../../../training/errors';
import { writeVolumes } from '../../sample-volumes';
import { temporaryFolder } from '../../temporary-folder';

const find = (folders: PartFolders | string, options: Partial<SubjectOptions> = {}) =>
  findSubjects(typeof folders === 'string' ? { data: folders } : folders, { validFraction: 0.25, seed: 1, ...options });

const ids = (subjects: readonly Subject[]) => subjects.map(({ id }) => id);

/** An empty file: what is found is not read. */
function touch(...paths: string[]): void {
  for (const path of paths) {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, '');
  }
}

test('a folder for each subject under train/, val/ and test/', async () => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { train: 2, val: 1, test: 1 });
  rmSync(join(folder, 'test', 'subject_004', 'label.nii.gz'));
  const { modalities, classes, samples, notes } = find(folder);
  assert.deepEqual([modalities, classes, notes], [['image'], undefined, []]);
  assert.deepEqual(
    [ids(samples.train), ids(samples.valid), ids(samples.test)],
    [['subject_001', 'subject_002'], ['subject_003'], ['subject_004']],
  );
  const [first] = samples.train as [Subject];
  assert.deepEqual(
    first.images.map((path) => relative(folder, path)),
    ['train/subject_001/img.nii.gz'],
  );
  assert.equal(relative(folder, first.label as string), 'train/subject_001/label.nii.gz');
  assert.equal(samples.test[0]?.label, undefined);
});

test('SageMaker channels are folders of their own', async () => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { a: 1, b: 2 });
  const { samples } = find({ train: join(folder, 'a'), valid: join(folder, 'b') });
  assert.deepEqual([samples.train.length, samples.valid.length], [1, 2]);
});

test('without a validation part subjects are held out, the same for the same seed, and it is said', async () => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { train: 8 });
  const { samples, notes } = find(folder);
  assert.deepEqual([samples.train.length, samples.valid.length], [6, 2]);
  assert.deepEqual(notes, ['no validation part: 2 of 8 training subjects held out (valid_fraction 0.25)']);
  assert.deepEqual(
    ids([...samples.train, ...samples.valid]).sort(),
    ids(find(folder, { validFraction: 0.5 }).samples.train)
      .concat(ids(find(folder, { validFraction: 0.5 }).samples.valid))
      .sort(),
  );
  assert.deepEqual(find(folder).samples, samples);
  const others = [2, 3, 4, 5].map((seed) => ids(find(folder, { seed }).samples.valid).join());
  assert.ok(new Set(others).size > 1);
});

test('several modalities, sorted by name or in the order asked for', () => {
  const folder = temporaryFolder();
  for (const id of ['a', 'b'])
    touch(...['img_t1', 'img_t2', 'img_flair', 'label'].map((name) => join(folder, 'train', id, `${name}.nii.gz`)));
  touch(...['c_flair.nii', 'c_t1.nii', 'c_t2.nii', 'c_seg.nii'].map((name) => join(folder, 'valid', 'c', name)));
  assert.deepEqual(find(folder).modalities, ['flair', 't1', 't2']);
  const { samples } = find(folder, { modalities: ['t2', 'flair'] });
  assert.deepEqual(
    samples.train[0]?.images.map((path) => basename(path)),
    ['img_t2.nii.gz', 'img_flair.nii.gz'],
  );
  assert.deepEqual(
    samples.valid[0]?.images.map((path) => basename(path)),
    ['c_t2.nii', 'c_flair.nii'],
  );
  assert.equal(basename(samples.valid[0]?.label as string), 'c_seg.nii');
});

test('a folder of DICOM slices is an image', () => {
  const folder = temporaryFolder();
  for (const id of ['a', 'b'])
    touch(join(folder, 'train', id, 'img', '1.dcm'), join(folder, 'train', id, 'label.nii.gz'));
  for (const id of ['c', 'd']) touch(join(folder, 'test', id, '1.dcm'));
  const { samples } = find(folder);
  const images = [...samples.train, ...samples.test, ...samples.valid].flatMap((subject) =>
    subject.images.map((path) => relative(folder, path)),
  );
  assert.deepEqual(images.sort(), ['test/c', 'test/d', 'train/a/img', 'train/b/img']);
});

test('everything that is missing is told at once', () => {
  const folder = temporaryFolder();
  const file = (...names: string[]) => join(folder, 'train', ...names);
  touch(file('a', 'img_t1.nii.gz'), file('a', 'img_t2.nii.gz'), file('a', 'label.nii.gz'));
  touch(file('b', 'img_t1.nii.gz'), file('b', 'label.nii.gz'), file('b', 'other_seg.nii.gz'));
  touch(file('c', 'img_t1.nii.gz'), file('c', 'img_t2.nii.gz'), file('c', 'img_t3.nii.gz'));
  touch(file('d', 'label.nii.gz'));
  assert.throws(
    () => find(folder),
    (error: Error) => {
      assert.ok(error instanceof UserError);
      for (const part of [
        /5 defects/,
        /b: it has no t2 \(it has t1\)/,
        /b: it has 2 labels/,
        /c: it has t3, which/,
        /c: it has no label/,
        /d: it has no image/,
      ])
        assert.match(error.message, part);
      return true;
    },
  );
  assert.throws(() => find(folder, { modalities: ['t9'] }), /a: it has no t9 \(it has t1, t2\)/);
});

test('the Decathlon: a dataset.json lists images and labels, and names the classes', () => {
  const folder = temporaryFolder();
  touch(
    ...['a', 'b', 'c'].flatMap((id) => [
      join(folder, 'imagesTr', `${id}.nii.gz`),
      join(folder, 'labelsTr', `${id}.nii.gz`),
    ]),
  );
  touch(join(folder, 'imagesTs', 'd.nii.gz'));
  const training = ['a', 'b', 'c'].map((id) => ({
    image: `./imagesTr/${id}.nii.gz`,
    label: `./labelsTr/${id}.nii.gz`,
  }));
  const contents = {
    modality: { 0: 'CT' },
    labels: { 0: 'background', 1: 'spleen' },
    training,
    test: ['./imagesTs/d.nii.gz'],
  };
  writeFileSync(join(folder, 'dataset.json'), JSON.stringify(contents));
  const { samples, classes } = find(folder);
  assert.deepEqual([samples.train.length, samples.valid.length, ids(samples.test)], [2, 1, ['d']]);
  assert.deepEqual(classes, [
    { name: 'background', value: 0 },
    { name: 'spleen', value: 1 },
  ]);
});

test('MONAI: a list with a validation part and several images for a subject', () => {
  const folder = temporaryFolder();
  const entry = (id: string) => ({ image: [`${id}/t1.nii.gz`, `${id}/t2.nii.gz`], label: `${id}/seg.nii.gz` });
  for (const id of ['a', 'b', 'c']) touch(...['t1', 't2', 'seg'].map((name) => join(folder, id, `${name}.nii.gz`)));
  writeFileSync(
    join(folder, 'dataset.json'),
    JSON.stringify({ training: [entry('a'), entry('b')], validation: [entry('c')] }),
  );
  const { samples, modalities } = find(folder);
  assert.deepEqual(modalities, ['0000', '0001']);
  assert.deepEqual([ids(samples.train), samples.valid.length], [['a', 'b'], 1]);
});

test('nnU-Net: channels by number, named by dataset.json, with values that are not 0, 1, 2', () => {
  const folder = temporaryFolder();
  for (const id of ['a', 'b'])
    touch(
      ...[0, 1].map((n) => join(folder, 'imagesTr', `case_${id}_000${n}.nii.gz`)),
      join(folder, 'labelsTr', `case_${id}.nii.gz`),
    );
  const contents = {
    channel_names: { 0: 'T1', 1: 'FLAIR' },
    labels: { background: 0, edema: 2, core: 4 },
    numTraining: 2,
    file_ending: '.nii.gz',
  };
  writeFileSync(join(folder, 'dataset.json'), JSON.stringify(contents));
  const { samples, modalities, classes } = find(folder, { modalities: ['FLAIR'] });
  assert.deepEqual(modalities, ['FLAIR']);
  assert.match([...samples.train, ...samples.valid].flatMap(({ images }) => images).join(), /case_._0001/);
  assert.deepEqual(
    classes?.map(({ value }) => value),
    [0, 2, 4],
  );
});

test('a dataset.json that names what is not there, or is wrong, is refused by name', () => {
  const folder = temporaryFolder();
  const write = (contents: unknown) =>
    writeFileSync(join(folder, 'dataset.json'), typeof contents === 'string' ? contents : JSON.stringify(contents));
  const entry = { image: 'imagesTr/a.nii.gz', label: 'labelsTr/a.nii.gz' };
  write({ training: [entry, entry] });
  assert.throws(() => find(folder), /there is no .*imagesTr\/a\.nii\.gz[\s\S]*there is no .*labelsTr\/a\.nii\.gz/);
  write('{');
  assert.throws(() => find(folder), /dataset\.json is not JSON/);
  write({ training: [{ label: 'x' }] });
  assert.throws(() => find(folder), /training\[0\] names no image/);
  write({ training: [entry], labels: { background: 0, whole: [1, 2] } });
  assert.throws(() => find(folder), /each class needs a whole number/);
  write({ training: [entry], labels: { tissue: 1, tumour: 2 } });
  assert.throws(() => find(folder), /one is 0, the background/);
  write({});
  assert.throws(() => find(folder), /lists no training subjects/);
});

test('what is to be predicted: subjects, NIfTI files in a folder, or one file', async () => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { new: 2 });
  assert.deepEqual(ids(subjectsToPredict(join(folder, 'new'))), ['subject_001', 'subject_002']);
  assert.deepEqual(ids(subjectsToPredict(join(folder, 'new', 'subject_001'))), ['subject_001']);
  const file = join(folder, 'flat', 'case7.nii.gz');
  mkdirSync(join(folder, 'flat'));
  renameSync(join(folder, 'new', 'subject_001', 'img.nii.gz'), file);
  assert.deepEqual(
    [ids(subjectsToPredict(join(folder, 'flat'))), ids(subjectsToPredict(file))],
    [['case7'], ['case7']],
  );
  touch(
    join(folder, 'series', '1.dcm'),
    join(folder, 'several', 'one', '1.dcm'),
    join(folder, 'several', 'two', '1.dcm'),
  );
  assert.deepEqual(subjectsToPredict(join(folder, 'series'))[0]?.images, [join(folder, 'series')]);
  assert.deepEqual(ids(subjectsToPredict(join(folder, 'several'))), ['one', 'two']);
  assert.throws(() => subjectsToPredict(join(folder, 'nothing')), /there is no folder/);
});

test("nnU-Net's label of what does not count is none of the classes; MONAI's test list is called testing", () => {
  const folder = temporaryFolder();
  for (const id of ['a', 'b', 'c']) touch(join(folder, `${id}.nii.gz`), join(folder, `${id}_seg.nii.gz`));
  const listed = ['a', 'b'].map((id) => ({ image: `${id}.nii.gz`, label: `${id}_seg.nii.gz` }));
  const labels = { background: 0, ignore: 2, core: 1 };
  writeFileSync(
    join(folder, 'dataset.json'),
    JSON.stringify({ labels, training: listed, testing: [{ image: 'c.nii.gz' }] }),
  );
  const { samples, classes } = find(folder);
  assert.deepEqual(ids(samples.test), ['c']);
  assert.deepEqual(
    classes?.map(({ name, ignored }) => [name, ignored]),
    [
      ['background', undefined],
      ['core', undefined],
      ['ignore', true],
    ],
  );
});
