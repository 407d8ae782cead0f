// How a data set is found: its parts, classes and labels, and what is told of what was left out.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import {
  describeImages,
  findImages,
  fingerprint,
  labelledImages,
  type PartFolders,
} from '../../../training/data/image-folders';
import { UserError } from '../../../training/errors';
import { temporaryFolder } from '../temporary-folder';

/** Empty files: nothing is decoded here. */
function filesIn(folder: string, ...paths: readonly string[]): string {
  for (const path of paths) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
  return folder;
}

function images(part: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts).flatMap(([name, count]) =>
    Array.from({ length: count }, (_, i) => join(part, name, `${String(i).padStart(3, '0')}.png`)),
  );
}

const find = (folders: PartFolders, options: { validFraction?: number; seed?: number; labelPaths?: string[] } = {}) =>
  findImages(folders, { validFraction: 0.2, seed: 0, ...options });

function refusal(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail('nothing was refused');
}

for (const name of ['valid', 'val', 'validation']) {
  test(`the validation part may be called ${name}`, () => {
    const data = filesIn(
      temporaryFolder(),
      ...images('train', { a: 3, b: 2 }),
      ...images(name, { a: 1, b: 1 }),
      ...images('test', { a: 2, b: 1 }),
    );
    const found = find({ data });
    assert.deepEqual(describeImages(found), [
      'train: 5 images (a 3, b 2)',
      'valid: 2 images (a 1, b 1)',
      'test: 3 images (a 2, b 1)',
    ]);
    assert.deepEqual(found.notes, []);
  });
}

test('each part may be a folder of its own, as SageMaker channels are', () => {
  const root = filesIn(
    temporaryFolder(),
    ...images('x', { a: 3, b: 2 }),
    ...images('y', { a: 1, b: 1 }),
    ...images('z', { a: 1 }),
  );
  const { samples } = find({ train: join(root, 'x'), valid: join(root, 'y'), test: join(root, 'z') });
  assert.deepEqual([samples.train.length, samples.valid.length, samples.test.length], [5, 2, 1]);
});

test('a part given on its own wins over that in the data folder', () => {
  const root = filesIn(
    temporaryFolder(),
    ...images('data/train', { a: 3, b: 2 }),
    ...images('data/valid', { a: 1 }),
    ...images('more', { a: 5, b: 5 }),
  );
  assert.equal(find({ data: join(root, 'data'), valid: join(root, 'more') }).samples.valid.length, 10);
});

test('folders that are no part are ignored, by name', () => {
  const data = filesIn(
    temporaryFolder(),
    ...images('train', { a: 2, b: 2 }),
    ...images('valid', { a: 1, b: 1 }),
    ...images('holdout', { a: 4 }),
    'old/notes.txt',
    '.cache/x.png',
  );
  const { notes, samples } = find({ data });
  assert.deepEqual(notes, [`ignored in ${data}: holdout/, old/`]);
  assert.equal(samples.train.length, 4);
});

test('a second folder of a part is ignored, by name', () => {
  const data = filesIn(
    temporaryFolder(),
    ...images('train', { a: 2, b: 2 }),
    ...images('valid', { a: 1, b: 1 }),
    ...images('val', { a: 1, b: 1 }),
  );
  assert.deepEqual(find({ data }).notes, [`ignored in ${data}: val/`]);
});

test('class folders that are not split are refused, with some of their names and the command that splits them', () => {
  const names = Array.from({ length: 11 }, (_, i) => `class${String(i).padStart(2, '0')}`);
  const data = filesIn(temporaryFolder(), ...names.map((name) => `${name}/1.png`));
  assert.throws(() => find({ data }), /class07, and 3 more[\s\S]*scanline split/);
});

test('files that are not PNG or JPEG are ignored, and counted', () => {
  const data = filesIn(
    temporaryFolder(),
    ...images('valid', { a: 1, b: 1 }),
    ...[
      'train/a/1.PNG',
      'train/a/2.jpeg',
      'train/b/deep/3.jpg',
      'train/b/notes.txt',
      'train/b/4.gif',
      'train/readme.md',
    ],
  );
  const { notes, samples } = find({ data });
  assert.deepEqual(notes, [`ignored in ${join(data, 'train')}: 3 files that are not PNG or JPEG`]);
  assert.deepEqual(
    samples.train.map(({ path, label }) => [path.slice(data.length), label]),
    [
      ['/train/a/1.PNG', 0],
      ['/train/a/2.jpeg', 0],
      ['/train/b/deep/3.jpg', 1],
    ],
  );
});

test('without a validation part a share of each class is held out of train, and told', () => {
  const data = filesIn(temporaryFolder(), ...images('train', { a: 50, b: 10 }));
  const found = find({ data });
  assert.deepEqual(describeImages(found), ['train: 48 images (a 40, b 8)', 'valid: 12 images (a 10, b 2)']);
  assert.deepEqual(found.notes, [
    'no validation part: 12 of 60 training images held out, stratified by class (valid_fraction 0.2)',
  ]);
  const both = [...found.samples.train, ...found.samples.valid].map(({ path }) => path);
  assert.equal(new Set(both).size, 60);
});

test('what is held out is decided by the seed', () => {
  const data = filesIn(temporaryFolder(), ...images('train', { a: 30, b: 30 }));
  const held = (seed: number) => find({ data }, { seed }).samples.valid;
  assert.deepEqual(held(1), held(1));
  assert.notDeepEqual(held(1), held(2));
});

test('a class of two images keeps one to train on and one to validate', () => {
  const data = filesIn(temporaryFolder(), ...images('train', { a: 20, b: 2 }));
  assert.deepEqual(describeImages(find({ data }, { validFraction: 0.9 })), [
    'train: 3 images (a 2, b 1)',
    'valid: 19 images (a 18, b 1)',
  ]);
});

test('classes are numbered in the order of their names', () => {
  const data = filesIn(
    temporaryFolder(),
    ...images('train', { lung: 1, brain: 1, heart: 1 }),
    ...images('valid', { lung: 1 }),
  );
  assert.deepEqual(find({ data }).classes, ['brain', 'heart', 'lung']);
});

for (const [form, text] of Object.entries({
  'name to number': '{"b": 0, "a": 1}',
  'number to name': '{"1": "a", "0": "b"}',
})) {
  test(`label_dict.json decides the numbers (${form})`, () => {
    const data = filesIn(temporaryFolder(), ...images('train', { a: 1, b: 1 }), ...images('valid', { a: 1, b: 1 }));
    const path = join(data, 'label_dict.json');
    writeFileSync(path, text);
    const { classes, notes, samples } = find({ data });
    assert.deepEqual(classes, ['b', 'a']);
    assert.deepEqual(notes, [`classes as in ${path}`]);
    assert.deepEqual(
      samples.train.map(({ path, label }) => [path.at(-9), label]),
      [
        ['b', 0],
        ['a', 1],
      ],
    );
  });
}

test('label_dict.json is looked for in the data first, then in other places', () => {
  const data = filesIn(temporaryFolder(), ...images('train', { a: 1, b: 1 }), ...images('valid', { a: 1, b: 1 }));
  const elsewhere = join(temporaryFolder(), 'labels.json');
  writeFileSync(elsewhere, '{"b": 0, "a": 1}');
  assert.deepEqual(find({ data }, { labelPaths: [elsewhere] }).classes, ['b', 'a']);
  writeFileSync(join(data, 'train', 'label_dict.json'), '{"a": 0, "b": 1}');
  assert.deepEqual(find({ data }, { labelPaths: [elsewhere] }).classes, ['a', 'b']);
});

const wrongLabels: Record<string, [text: string, message: RegExp]> = {
  'a number is left out': ['{"a": 0, "b": 2}', /the numbers must be 0, 1, 2/],
  'a number stands twice': ['{"a": 0, "b": 0}', /the numbers must be 0, 1, 2/],
  'a name stands twice': ['{"0": "a", "1": "a"}', /each name must stand once/],
  'it is not JSON': ['{a: 0}', /not JSON/],
  'a class folder is not in it': ['{"a": 0}', /does not name the class folders b/],
};

for (const [what, [text, message]] of Object.entries(wrongLabels)) {
  test(`label_dict.json is refused when ${what}`, () => {
    const data = filesIn(temporaryFolder(), ...images('train', { a: 2, b: 2 }));
    writeFileSync(join(data, 'label_dict.json'), text);
    assert.match(
      refusal(() => find({ data })),
      message,
    );
  });
}

const refused: Record<string, [paths: string[], message: RegExp]> = {
  'no training part': [images('test', { a: 1 }), /has no folder train\/ \(it has: test\)/],
  'one class alone': [images('train', { a: 5 }), /train holds 1 class folders; two are the least/],
  'a class without images': [[...images('train', { a: 5 }), 'train/b/notes.txt'], /train has no images of b/],
  'a class that is only validated': [
    [...images('train', { a: 5, b: 5 }), ...images('valid', { c: 1 })],
    /train has no images of c/,
  ],
};

for (const [what, [paths, message]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.match(
      refusal(() => find({ data: filesIn(temporaryFolder(), ...paths) })),
      message,
    );
  });
}

test('a folder that is not there is refused, and so is no folder at all', () => {
  assert.match(
    refusal(() => find({ data: '/nowhere', test: '/neither' })),
    /there is no folder \/nowhere and no \/neither/,
  );
  assert.match(
    refusal(() => find({})),
    /no training part is given/,
  );
});

test('images to evaluate must be of the classes that a model knows', () => {
  const folder = filesIn(temporaryFolder(), ...images('', { a: 1, c: 1 }));
  assert.deepEqual(
    labelledImages(folder, ['c', 'b', 'a']).map(({ label }) => label),
    [0, 2],
  );
  assert.match(
    refusal(() => labelledImages(folder, ['a', 'b'])),
    /has the class folders c; the model knows a, b/,
  );
});

test('a fingerprint is that of the images, their sizes and their order, wherever they lie', () => {
  const here = filesIn(temporaryFolder(), 'a', 'b', 'c');
  const there = filesIn(temporaryFolder(), 'a', 'b');
  const samples = (root: string, ...names: string[]) => names.map((name, label) => ({ path: join(root, name), label }));
  const original = fingerprint(samples(here, 'a', 'b'), here);
  assert.equal(fingerprint(samples(there, 'a', 'b'), there), original);
  assert.notEqual(fingerprint(samples(here, 'b', 'a'), here), original);
  assert.notEqual(fingerprint(samples(here, 'a', 'c'), here), original);
  writeFileSync(join(there, 'a'), 'another image');
  assert.notEqual(fingerprint(samples(there, 'a', 'b'), there), original);
});
