// Splitting subjects: folders of volumes in, a folder for each part out, whatever lists them; and what is refused.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeSplit, type SplitOptions, split } from '../../../training/data/split';
import { findSubjects } from '../../../training/data/volumes/subjects';
import { scanline, start } from '../command-line';
import { writeSubject, writeVolumes } from '../sample-volumes';
import { temporaryFolder } from '../temporary-folder';

const PARTS = ['train', 'valid', 'test'] as const;

async function splitting(input: string, options: Partial<SplitOptions> = {}) {
  const output = temporaryFolder();
  const outputs = { train: join(output, 'train'), valid: join(output, 'valid'), test: join(output, 'test') };
  const fractions = { train: 0.6, valid: 0.2, test: 0.2 };
  const report = await split({ input, outputs, fractions, seed: 1, strategy: 'stratified', ...options });
  const subjects = (part: (typeof PARTS)[number]) =>
    existsSync(outputs[part]) ? readdirSync(outputs[part]).filter((name) => !name.includes('.')) : [];
  return {
    ...{ output, outputs, report },
    subjects: { train: subjects('train'), valid: subjects('valid'), test: subjects('test') },
  };
}

/** Ten subjects, two visits of each of five patients. */
async function visits(): Promise<string> {
  const folder = temporaryFolder();
  for (let n = 0; n < 10; n++) await writeSubject(join(folder, `patient${n >> 1}_visit${n % 2}`), n);
  return folder;
}

test('each subject goes whole into exactly one part, with its bytes, and is found there by the training', async () => {
  const input = await visits();
  writeFileSync(join(input, 'label_dict.json'), '{"background": 0, "ball": 1}');
  // what is no volume of the subject, as a letter about the patient, is not copied
  writeFileSync(join(input, 'patient0_visit0', 'letter.txt'), 'private');
  const { outputs, output, subjects } = await splitting(input);
  assert.deepEqual(
    Object.values(subjects).flat().sort(),
    readdirSync(input).filter((name) => !name.includes('.')),
  );
  assert.deepEqual([subjects.train.length, subjects.valid.length, subjects.test.length], [6, 2, 2]);
  for (const part of PARTS)
    for (const subject of subjects[part]) {
      assert.deepEqual(readdirSync(join(outputs[part], subject)), ['img.nii.gz', 'label.nii.gz']);
      for (const file of ['img.nii.gz', 'label.nii.gz'])
        assert.ok(readFileSync(join(outputs[part], subject, file)).equals(readFileSync(join(input, subject, file))));
    }
  const found = findSubjects({ data: output }, { validFraction: 0.5, seed: 0 });
  assert.deepEqual(found.notes, []);
  assert.deepEqual(
    found.samples.test.map(({ id }) => id),
    subjects.test,
  );
  assert.deepEqual(found.classes, [
    { name: 'background', value: 0 },
    { name: 'ball', value: 1 },
  ]);
});

test('all visits of a patient stay together, by a pattern and by the column of a CSV file', async () => {
  const input = await visits();
  const csv = join(temporaryFolder(), 'patients.csv');
  const rows = readdirSync(input).map((name) => `${name},${name.slice(0, 8)}`);
  writeFileSync(csv, `file,patient\n${rows.join('\n')}\n`);
  for (const groupBy of [
    { kind: 'pattern', pattern: '^(patient\\d)' },
    { kind: 'csv', path: csv, column: 'patient' },
  ] as const) {
    const { subjects, report } = await splitting(input, { groupBy });
    for (const part of PARTS) {
      const patients = new Set(subjects[part].map((name) => name.slice(0, 8)));
      assert.equal(subjects[part].length, 2 * patients.size, `${part} has half of a patient`);
    }
    assert.deepEqual(describeSplit(report), [
      'train: 6 subjects in 3 groups',
      'valid: 2 subjects in 1 groups',
      'test: 2 subjects in 1 groups',
    ]);
  }
});

test('split.csv tells where every subject went', async () => {
  const { outputs, subjects } = await splitting(await visits());
  const [head, ...lines] = readFileSync(join(outputs.train, 'split.csv'), 'utf8').trim().split('\n');
  assert.equal(head, 'subject,group,part');
  const told = lines.map((line) => line.split(','));
  for (const part of PARTS)
    assert.deepEqual(
      told.filter((cells) => cells[2] === part).map(([name]) => name),
      subjects[part],
    );
});

test('subjects that a dataset.json lists become folders, their modalities and classes named; those without labels stay behind', async () => {
  const input = temporaryFolder();
  for (const name of ['imagesTr', 'labelsTr', 'imagesTs']) mkdirSync(join(input, name));
  for (let n = 0; n < 7; n++) {
    const made = join(temporaryFolder(), 'made');
    await writeSubject(made, n, { images: ['a', 'b'] });
    const images = n < 6 ? 'imagesTr' : 'imagesTs';
    for (const [channel, name] of ['a', 'b'].entries())
      renameSync(join(made, `${name}.nii.gz`), join(input, images, `case${n}_000${channel}.nii.gz`));
    if (n < 6) renameSync(join(made, 'label.nii.gz'), join(input, 'labelsTr', `case${n}.nii.gz`));
  }
  writeFileSync(
    join(input, 'dataset.json'),
    JSON.stringify({ channel_names: { 0: 'T1', 1: 'T2' }, labels: { background: 0, ball: 1 } }),
  );
  const { outputs, subjects, report } = await splitting(input);
  assert.deepEqual(
    Object.values(subjects).flat().sort(),
    [0, 1, 2, 3, 4, 5].map((n) => `case${n}`),
  );
  const [first] = subjects.test;
  const files = ['img_T1.nii.gz', 'img_T2.nii.gz', 'label.nii.gz'];
  assert.deepEqual(readdirSync(join(outputs.test, first as string)), files);
  const source = readFileSync(join(input, 'imagesTr', `${first}_0001.nii.gz`));
  assert.ok(readFileSync(join(outputs.test, first as string, 'img_T2.nii.gz')).equals(source));
  assert.match(readFileSync(join(outputs.test, 'label_dict.json'), 'utf8'), /"ball": 1/);
  assert.match(describeSplit(report)[0] as string, /left out: 1 test subjects without a label/);
});

test('parts that the data has are kept: a missing test part takes its share of the validation part', async () => {
  const input = temporaryFolder();
  await writeVolumes(input, { train: 5, valid: 4 });
  const { subjects } = await splitting(input);
  assert.deepEqual(subjects.train, readdirSync(join(input, 'train')));
  assert.deepEqual([subjects.valid.length, subjects.test.length], [2, 2]);
  assert.deepEqual([...subjects.valid, ...subjects.test].sort(), readdirSync(join(input, 'valid')));
});

test('a patient in two parts of the data is refused', async () => {
  const input = temporaryFolder();
  for (const [n, name] of ['train/ann_1', 'train/bob_1', 'valid/ann_2', 'valid/cid_1'].entries())
    await writeSubject(join(input, name), n);
  const groupBy = { kind: 'pattern', pattern: '^([a-z]+)' } as const;
  await assert.rejects(splitting(input, { groupBy }), /a group stands in two of its parts, e\.g\. ann\./);
});

test('the same volume under two names in different parts is refused, and nothing is written', async () => {
  const input = await visits();
  for (let n = 0; n < 5; n++) cpSync(join(input, 'patient0_visit0'), join(input, `copy${n}`), { recursive: true });
  const outputs = temporaryFolder();
  const parts = { train: join(outputs, 'train'), valid: join(outputs, 'valid'), test: join(outputs, 'test') };
  await assert.rejects(splitting(input, { outputs: parts }), /would leak: \d+ volumes stand in two parts/);
  assert.deepEqual(readdirSync(outputs), []);
});

test('a subject without a label, too few subjects, and a key that finds no group are refused by name', async () => {
  const input = await visits();
  await assert.rejects(
    splitting(input, { groupBy: { kind: 'pattern', pattern: '^nobody' } }),
    /finds no group for 10 of 10 subjects, e\.g\. patient0_visit0/,
  );
  await writeSubject(join(input, 'unlabelled'), 11, { label: 'none' });
  await assert.rejects(splitting(input), /unlabelled: it has no label/);
  const few = temporaryFolder();
  for (const n of [1, 2]) await writeSubject(join(few, `subject_${n}`), n);
  await assert.rejects(splitting(few), /leaves parts out: (valid|test) has no subject/);
});

test('the command and the entry point of the container split subjects alike', async () => {
  const input = await visits();
  const out = temporaryFolder();
  const groupBy = ['--group-by', 'pattern:^(patient\\d)'];
  const typed = await scanline('split', '--data', input, '--out', join(out, 'a'), ...groupBy);
  assert.equal(typed.status, 0, typed.stderr);
  const folders = ['train', 'validation', 'test'].flatMap((name) => [`--${name}`, join(out, 'b', name)]);
  const args = ['--input', input, ...folders, ...groupBy];
  const run = await start('containers/byoc/entrypoints/split.js', args).ended;
  assert.equal(run.status, 0, run.stderr);
  assert.equal(run.stdout, typed.stdout);
  assert.deepEqual(readdirSync(join(out, 'b', 'validation')), readdirSync(join(out, 'a', 'valid')));
});
