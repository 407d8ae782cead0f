// scanline data: every defect at once with its name, the exit status, the summary, and pictures.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import sharp from 'sharp';
import { writeNifti } from '../../training/data/volumes/nifti';
import { voxels } from '../../training/data/volumes/volume';
import { packageRoot } from '../../training/native/cache';
import { scanline } from '../training/command-line';
import { writeDataset } from '../training/sample-images';
import { BALL_SHAPE, ball, writeSubject, writeVolumes } from '../training/sample-volumes';
import { temporaryFolder } from '../training/temporary-folder';

const grid = { shape: BALL_SHAPE, affine: [1, 0, 0, -8, 0, 1, 0, -7, 0, 0, 1, -6, 0, 0, 0, 1] };

test('a whole data set of volumes is summarised, and exits with 0', async () => {
  const { status, stdout } = await scanline('data', 'check', join(packageRoot, 'examples', 'mni-tissue', 'volumes'));
  assert.equal(status, 0, stdout);
  assert.match(
    stdout,
    /^part +subjects +channels +voxels +spacing \(mm\) +axes +background +grey matter +white matter$/m,
  );
  assert.match(stdout, /^train +24 +1 +64 x 64 x 64 +2 x 2 x 2 +RAS +65\.4% +20\.6% +14%$/m);
  assert.match(stdout, /^valid +8 /m);
  assert.match(stdout, /✓ .*: defects: 0, warnings: 0/);
});

/** How a subject is spoiled, and what is told of it. */
const DEFECTS: Readonly<Record<string, [spoil: (folder: string) => unknown, told: RegExp]>> = {
  unlabelled: [(folder) => rmSync(join(folder, 'label.nii.gz')), /unlabelled: it has no label/],
  imageless: [(folder) => rmSync(join(folder, 'img.nii.gz')), /imageless: it has no image/],
  shape: [
    (folder) => writeNifti(join(folder, 'label.nii.gz'), new Uint8Array(27).fill(1), { ...grid, shape: [3, 3, 3] }),
    /train\/shape: its label does not lie where its image does: 3 x 3 x 3 voxels/,
  ],
  affine: [
    (folder) =>
      writeNifti(join(folder, 'label.nii.gz'), ball(3).label, { ...grid, affine: [2, ...grid.affine.slice(1)] }),
    /train\/affine: its label does not lie where its image does: .* of 2 x 1 x 1 mm/,
  ],
  unknown: [
    (folder) =>
      writeNifti(
        join(folder, 'label.nii.gz'),
        ball(4).label.map((value) => value * 7),
        grid,
      ),
    /train\/unknown: its label has the unknown value 7 \(known: 0 background, 1 ball\)/,
  ],
  fractions: [
    (folder) =>
      writeNifti(
        join(folder, 'label.nii.gz'),
        Float32Array.from(ball(5).label, (value) => value * 0.7),
        grid,
      ),
    /train\/fractions: its label has \d+ values that are no whole numbers from 0 to 32767, e\.g\. 0\.7/,
  ],
  cut: [
    (folder) => truncateSync(join(folder, 'img.nii.gz'), 900),
    /train\/cut: its image img\.nii\.gz cannot be read: the compressed data end too early/,
  ],
  damaged: [
    (folder) => {
      const path = join(folder, 'label.nii.gz');
      const bytes = readFileSync(path);
      bytes[bytes.length - 5] = (bytes[bytes.length - 5] as number) ^ 0xff;
      writeFileSync(path, bytes);
    },
    /train\/damaged: its label label\.nii\.gz cannot be read: the compressed data are damaged/,
  ],
  empty: [
    (folder) => writeNifti(join(folder, 'label.nii.gz'), new Uint8Array(voxels(BALL_SHAPE)), grid),
    /train\/empty: its label is empty/,
  ],
  nan: [
    (folder) => writeNifti(join(folder, 'img.nii.gz'), ball(9).image.fill(Number.NaN, 0, 3), grid),
    /train\/nan: its image img\.nii\.gz has 3 values that are NaN or infinite/,
  ],
  channels: [
    (folder) => writeNifti(join(folder, 'img.nii.gz'), new Float32Array(2 * voxels(BALL_SHAPE)), grid),
    /train\/channels: it has 2 channels, train\/\w+ has 1/,
  ],
};

test('every defect of volumes is told at once, by subject, and exits with 1', async (t) => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { valid: 1 });
  writeFileSync(join(folder, 'label_dict.json'), '{"background": 0, "ball": 1}');
  for (const [n, [name, [spoil]]] of Object.entries(DEFECTS).entries()) {
    await writeSubject(join(folder, 'train', name), n + 10);
    await spoil(join(folder, 'train', name));
  }
  cpSync(join(folder, 'valid', 'subject_001'), join(folder, 'train', 'whole'), { recursive: true });
  await writeSubject(join(folder, 'valid', 'strange'), 50, { label: ball(50).label.map((value) => value * 9) });
  const { status, stdout, stderr } = await scanline('data', 'check', folder);
  assert.equal(status, 1, stderr);
  for (const [name, [, told]] of Object.entries(DEFECTS)) await t.test(name, () => assert.match(stdout, told));
  await t.test('a subject in two parts', () =>
    assert.match(stdout, /valid\/subject_001: its image is that of train\/whole: what is learnt in one is tested/),
  );
  await t.test('a label that training never sees', () =>
    assert.match(stdout, /valid\/strange: no training subject has its label 9/),
  );
  await t.test('nothing else', () => assert.match(stdout, /✗ .*: defects: 14, warnings: 0\n$/));
});

test('empty masks may be allowed, and a name in two parts is a warning', async () => {
  const folder = temporaryFolder();
  await writeVolumes(folder, { train: 2 });
  await writeSubject(join(folder, 'valid', 'subject_001'), 9, { label: new Uint8Array(voxels(BALL_SHAPE)) });
  assert.equal((await scanline('data', 'check', folder)).status, 1);
  const { status, stdout } = await scanline('data', 'check', folder, '--allow-empty-masks');
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^! valid\/subject_001: a subject of this name is also in train\n {2}Fix: /m);
});

test('images that cannot be decoded, stand twice, or have classes that do not fit are told at once', async () => {
  const folder = temporaryFolder();
  await writeDataset(folder, { train: 3, valid: 2 });
  assert.equal((await scanline('data', 'check', folder)).status, 0);
  truncateSync(join(folder, 'train', 'along', '0.png'), 100);
  copyFileSync(join(folder, 'train', 'along', '1.png'), join(folder, 'valid', 'along', 'copy.png'));
  copyFileSync(join(folder, 'train', 'along', '2.png'), join(folder, 'train', 'across', 'wrong.png'));
  // the same pixels in another file
  await sharp(join(folder, 'train', 'across', '0.png'))
    .png({ compressionLevel: 0 })
    .toFile(join(folder, 'valid', 'across', 'again.png'));
  mkdirSync(join(folder, 'train', 'nothing'));
  mkdirSync(join(folder, 'valid', 'other'));
  copyFileSync(join(folder, 'valid', 'across', '0.png'), join(folder, 'valid', 'other', 'x.png'));
  const { status, stdout } = await scanline('data', 'check', folder);
  assert.equal(status, 1);
  for (const told of [
    /✗ train\/along\/0\.png: it cannot be read: /,
    /✗ valid\/along\/copy\.png: it is the same image as train\/along\/1\.png: what is learnt/,
    /✗ train\/along\/2\.png: it is the same image as train\/across\/wrong\.png, of another class/,
    /✗ valid\/across\/again\.png: it is the same image as train\/across\/0\.png/,
    /✗ .*train\/nothing: it has no images/,
    /✗ .*valid\/other: train has no class of this name/,
    /✗ valid\/other\/x\.png: it is the same image as valid\/across\/0\.png, of another class/,
    /defects: 7, warnings: 0\n$/,
    /^part +images +pixels +across +along +nothing|^part +images +pixels +across +along +other$/m,
  ])
    assert.match(stdout, told);
});

test('one class alone is a defect, and class folders that are not split yet are checked too', async () => {
  const folder = temporaryFolder();
  await writeDataset(folder, { train: 2 });
  assert.equal((await scanline('data', 'check', join(folder, 'train'))).status, 0);
  rmSync(join(folder, 'train', 'along'), { recursive: true });
  const { status, stdout } = await scanline('data', 'check', folder);
  assert.equal(status, 1);
  assert.match(stdout, /it has images of one class alone, across; two are the least/);
});

test('a folder with nothing, and one that is not there, are refused', async () => {
  for (const folder of [temporaryFolder(), '/nowhere']) {
    const { status, stderr } = await scanline('data', 'check', folder);
    assert.equal(status, 1);
    assert.match(stderr, /holds neither volumes|there is no folder/);
  }
});

test('a volume is drawn as radiologists look at it, with its label in colour', async () => {
  const folder = temporaryFolder();
  const [out, shape] = [join(folder, 'picture.png'), [20, 20, 20] as const];
  // a bright block at the patient's right, front and top, of which the front half is labelled; stored with the left first
  const [image, label] = [new Float32Array(8000).fill(10), new Uint8Array(8000)];
  for (let i = 0; i < 20; i++)
    for (let j = 0; j < 20; j++)
      for (let k = 0; k < 20; k++)
        if (i >= 14 && j >= 12 && k >= 14) {
          image[(i * 20 + j) * 20 + k] = 100;
          if (j >= 16) label[(i * 20 + j) * 20 + k] = 1;
        }
  const affine = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
  for (const id of ['a', 'b']) {
    mkdirSync(join(folder, 'train', id), { recursive: true });
    await writeNifti(join(folder, 'train', id, 'img.nii.gz'), image, { shape, affine });
    await writeNifti(join(folder, 'train', id, 'label.nii.gz'), label, { shape, affine });
  }
  const { status, stdout, stderr } = await scanline('data', 'show', folder, '--subject', 'b', '--out', out);
  assert.equal(status, 0, stderr);
  assert.equal(stdout, `${out}\n`);
  const { data, info } = await sharp(out).raw().toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.channels], [8 + 3 * 328, 3]);
  /** Of a row and column of panels, at shares of the panel's width and height. */
  const at = (row: number, column: number, x: number, y: number) => {
    const [left, top] = [8 + column * 328 + Math.round(x * 320), 34 + row * 328 + Math.round(y * 320)];
    return [...data.subarray((top * info.width + left) * 3, (top * info.width + left) * 3 + 3)];
  };
  const grey = (row: number, column: number, x: number, y: number) => at(row, column, x, y)[0] as number;
  // axial: right at the left, front at the top; sagittal: front at the left, head at the top
  for (const [column, x, y] of [
    [0, 0.2, 0.3],
    [1, 0.2, 0.2],
    [2, 0.3, 0.2],
  ] as const) {
    assert.ok(grey(0, column, x, y) > 200, `${column}: ${at(0, column, x, y)}`);
    assert.ok(grey(0, column, 1 - x, 1 - y) < 60, `${column}: ${at(0, column, 1 - x, 1 - y)}`);
  }
  const [red = 0, , blue = 0] = at(1, 0, 0.2, 0.12);
  assert.ok(red - blue > 80, `${at(1, 0, 0.2, 0.12)} is orange`);
  const [plain = 0, , same = 0] = at(1, 0, 0.2, 0.3);
  assert.ok(plain > 200 && plain === same, `${at(1, 0, 0.2, 0.3)} is grey`);
  const unknown = await scanline('data', 'show', folder, '--subject', 'z');
  assert.match(unknown.stderr, /has no subject z \(it has: a, b\)/);
});
