// Splitting class folders: what goes where, what stays together, and what is refused.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { describeSplit, type GroupKey, parseGroupKey, type SplitOptions, split } from '../../../training/data/split';
import { UserError } from '../../../training/errors';
import { temporaryFolder } from '../temporary-folder';

const PARTS = ['train', 'valid', 'test'] as const;

/** Files that differ, for a split copies bytes and does not decode them. */
function filesIn(folder: string, paths: readonly string[]): string {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), path);
  }
  return folder;
}

const numbered = (className: string, count: number) => Array.from({ length: count }, (_, i) => `${className}/${i}.png`);

/** Five patients of each class with four slices each. */
const patients = ['a', 'b'].flatMap((className) =>
  Array.from({ length: 20 }, (_, i) => `${className}/${className}p${Math.floor(i / 4)}_slice${i % 4}.png`),
);

async function splitting(input: string, options: Partial<SplitOptions> = {}) {
  const output = temporaryFolder();
  const outputs = { train: join(output, 'train'), valid: join(output, 'valid'), test: join(output, 'test') };
  const fractions = { train: 0.6, valid: 0.2, test: 0.2 };
  const report = await split({ input, outputs, fractions, seed: 1, strategy: 'stratified', ...options });
  const files = (part: (typeof PARTS)[number]) =>
    existsSync(outputs[part])
      ? readdirSync(outputs[part], { recursive: true, encoding: 'utf8' })
          .filter((path) => path.endsWith('.png'))
          .sort()
      : [];
  return { report, outputs, files: { train: files('train'), valid: files('valid'), test: files('test') } };
}

/** The parts that each group has files in. */
function partsOfGroups(files: Record<string, string[]>, groupOf: (path: string) => string): Map<string, Set<string>> {
  const result = new Map<string, Set<string>>();
  for (const [part, paths] of Object.entries(files)) {
    for (const path of paths) result.set(groupOf(path), (result.get(groupOf(path)) ?? new Set()).add(part));
  }
  return result;
}

const patientOf = (path: string) => /([ab]p\d+)_/.exec(path)?.[1] as string;

async function assertWhole(input: string, groupBy: GroupKey, groupOf: (path: string) => string, groups: number) {
  const { files } = await splitting(input, { groupBy });
  const parts = partsOfGroups(files, groupOf);
  assert.equal(parts.size, groups);
  for (const [group, places] of parts) assert.equal(places.size, 1, `${group} is in ${[...places].join(' and ')}`);
  for (const part of PARTS) assert.ok(files[part].length > 0, `${part} is empty`);
}

test('every image goes into exactly one part, with its bytes', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 30), ...numbered('b', 20)]);
  const { files, outputs } = await splitting(input);
  const all = [...files.train, ...files.valid, ...files.test];
  assert.deepEqual(all.sort(), [...numbered('a', 30), ...numbered('b', 20)].sort());
  for (const part of PARTS)
    for (const path of files[part]) assert.equal(readFileSync(join(outputs[part], path), 'utf8'), path);
});

test('a stratified split gives each part its share of every class', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('common', 50), ...numbered('rare', 10)]);
  const { report } = await splitting(input);
  assert.deepEqual(report.counts, {
    train: { common: 30, rare: 6 },
    valid: { common: 10, rare: 2 },
    test: { common: 10, rare: 2 },
  });
});

test('a random split gives each part its share of all images', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 50), ...numbered('b', 50)]);
  const { report, files } = await splitting(input, { strategy: 'random' });
  assert.deepEqual(
    PARTS.map((part) => files[part].length),
    [60, 20, 20],
  );
  assert.notDeepEqual(report.counts.train, { a: 30, b: 30 });
});

test('the seed decides the split', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 20), ...numbered('b', 20)]);
  for (const strategy of ['stratified', 'random'] as const) {
    const [first, again, other] = [
      await splitting(input, { strategy, seed: 1 }),
      await splitting(input, { strategy, seed: 1 }),
      await splitting(input, { strategy, seed: 2 }),
    ];
    assert.deepEqual(first.files, again.files);
    assert.notDeepEqual(first.files, other.files);
  }
});

test('groups by a pattern of the file name stay whole', async () => {
  const input = filesIn(temporaryFolder(), patients);
  await assertWhole(input, { kind: 'pattern', pattern: '^(\\w+)_slice\\d' }, patientOf, 10);
});

test('groups by folder stay whole', async () => {
  const input = filesIn(
    temporaryFolder(),
    patients.map((path) => path.replace('_slice', '/p_slice')),
  );
  await assertWhole(input, { kind: 'folder' }, (path) => path.split('/')[1] as string, 10);
});

test('groups by the column of a CSV file stay whole', async () => {
  const input = filesIn(temporaryFolder(), patients);
  const csv = join(temporaryFolder(), 'patients.csv');
  // by path and by file name
  const rows = patients.map((path, i) => `${i % 2 === 0 ? path : (path.split('/')[1] as string)},"${patientOf(path)}"`);
  writeFileSync(csv, `file,patient\n${rows.join('\n')}\n`);
  await assertWhole(input, { kind: 'csv', path: csv, column: 'patient' }, patientOf, 10);
});

test('without groups the slices of a patient are torn apart: grouping is what keeps them', async () => {
  const { files } = await splitting(filesIn(temporaryFolder(), patients));
  const torn = [...partsOfGroups(files, patientOf).values()].filter((parts) => parts.size > 1);
  assert.ok(torn.length > 0);
});

test('the report counts classes and groups, and is told in lines', async () => {
  const { report } = await splitting(filesIn(temporaryFolder(), patients), {
    groupBy: { kind: 'pattern', pattern: '^(\\w+)_slice\\d' },
  });
  assert.deepEqual(report.groups, { train: 6, valid: 2, test: 2 });
  assert.deepEqual(describeSplit(report), [
    'train: 24 images in 6 groups (a 12, b 12)',
    'valid: 8 images in 2 groups (a 4, b 4)',
    'test: 8 images in 2 groups (a 4, b 4)',
  ]);
});

test('split.csv tells where every image went, label_dict.json the classes', async () => {
  const { outputs, files } = await splitting(filesIn(temporaryFolder(), [...numbered('a', 10), ...numbered('b', 10)]));
  const lines = readFileSync(join(outputs.train, 'split.csv'), 'utf8').trim().split('\n');
  assert.equal(lines[0], 'file,class,group,part');
  const told = lines.slice(1).map((line) => line.split(','));
  assert.equal(told.length, 20);
  for (const part of PARTS) {
    const inPart = told.filter((cells) => cells[3] === part).map(([file]) => file);
    assert.deepEqual(inPart.sort(), files[part]);
    assert.deepEqual(JSON.parse(readFileSync(join(outputs[part], 'label_dict.json'), 'utf8')), { a: 0, b: 1 });
  }
});

test('the same content under two names in different parts is refused', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 20), ...numbered('b', 20)]);
  for (let i = 0; i < 10; i++) cpSync(join(input, `a/${i}.png`), join(input, `a/copy${i}.png`));
  await assert.rejects(splitting(input), (error: Error) => {
    assert.ok(error instanceof UserError);
    assert.match(
      error.message,
      /the split would leak: \d+ images stand in two parts, e\.g\.\n.*a\/.*\((train|valid|test)\) = /,
    );
    return true;
  });
});

test('the same content in one part is no leak', async () => {
  const input = filesIn(temporaryFolder(), patients);
  for (const className of ['a', 'b'])
    cpSync(join(input, className, `${className}p0_slice0.png`), join(input, className, `${className}p0_slice9.png`));
  await splitting(input, { groupBy: { kind: 'pattern', pattern: '^(\\w+)_slice\\d' } });
});

test('a group key that puts all into one group is told as the reason', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 10), ...numbered('b', 10)]);
  await assert.rejects(
    splitting(input, { groupBy: { kind: 'pattern', pattern: '(\\.png)$' } }),
    /leaves classes out[\s\S]*puts 20 images into 1 group\./,
  );
});

test('nothing is written when the split is refused', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 10), ...numbered('b', 1)]);
  const output = temporaryFolder();
  const outputs = { train: join(output, 'train'), valid: join(output, 'valid'), test: join(output, 'test') };
  const fractions = { train: 0.6, valid: 0.2, test: 0.2 };
  await assert.rejects(
    split({ input, outputs, fractions, seed: 0, strategy: 'stratified' }),
    /the split leaves classes out: .*valid has no b/,
  );
  assert.deepEqual(readdirSync(output), []);
});

test('a part with no share gets nothing', async () => {
  const input = filesIn(temporaryFolder(), [...numbered('a', 10), ...numbered('b', 10)]);
  const { files, outputs } = await splitting(input, { fractions: { train: 0.8, valid: 0.2, test: 0 } });
  assert.deepEqual(
    PARTS.map((part) => files[part].length),
    [16, 4, 0],
  );
  assert.equal(existsSync(outputs.test), false);
});

test('images without a group are refused by name', async () => {
  const input = filesIn(temporaryFolder(), [...patients, 'a/stray.png']);
  const csv = join(temporaryFolder(), 'other.csv');
  writeFileSync(csv, 'file,patient\nx.png,1\n');
  const keys: GroupKey[] = [
    { kind: 'pattern', pattern: 'p\\d+_' },
    { kind: 'folder' },
    { kind: 'csv', path: csv, column: 'patient' },
  ];
  for (const groupBy of keys) {
    await assert.rejects(
      splitting(input, { groupBy }),
      /the group key finds no group for \d+ of 41 images, e\.g\. a\//,
    );
  }
  await assert.rejects(
    splitting(input, { groupBy: keys[0] as GroupKey }),
    /no group for 1 of 41 images, e\.g\. a\/stray\.png/,
  );
});

test('a CSV file without the column, and a pattern that is none, are refused', async () => {
  const input = filesIn(temporaryFolder(), patients);
  const csv = join(temporaryFolder(), 'columns.csv');
  writeFileSync(csv, 'name,patient\nx.png,1\n');
  await assert.rejects(
    splitting(input, { groupBy: { kind: 'csv', path: csv, column: 'subject' } }),
    /has no column file and no column subject; its columns are name, patient/,
  );
  await assert.rejects(splitting(input, { groupBy: { kind: 'pattern', pattern: '(' } }), /is not a regular expression/);
});

test('group keys are parsed from text; others are refused', () => {
  assert.deepEqual(parseGroupKey('pattern:^(a:b)'), { kind: 'pattern', pattern: '^(a:b)' });
  assert.deepEqual(parseGroupKey('folder'), { kind: 'folder' });
  assert.deepEqual(parseGroupKey('csv:C:/x.csv:patient'), { kind: 'csv', path: 'C:/x.csv', column: 'patient' });
  for (const wrong of ['', 'patient', 'csv:file.csv', 'folder:x', 'pattern'])
    assert.throws(() => parseGroupKey(wrong), UserError, wrong);
});

test('a folder that is not empty is refused: what is in it would leak', async () => {
  const input = filesIn(temporaryFolder(), patients);
  const first = await splitting(input);
  await assert.rejects(splitting(input, { seed: 2, outputs: first.outputs }), (error: Error) => {
    return error instanceof UserError && error.message.includes(first.outputs.train) && /not empty/.test(error.message);
  });
});

test('a CSV file that puts an image into two groups is refused', async () => {
  const input = filesIn(temporaryFolder(), numbered('a', 10));
  const path = join(temporaryFolder(), 'groups.csv');
  writeFileSync(path, 'file,patient\n0.png,p1\n1.png,p1\n0.png,p2\n');
  await assert.rejects(
    splitting(input, { groupBy: { kind: 'csv', path, column: 'patient' } }),
    /0\.png into two groups: p1 and p2/,
  );
});
