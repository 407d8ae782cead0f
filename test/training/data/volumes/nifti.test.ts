// NIfTI: read as nibabel reads what nibabel wrote, written so that nibabel and ITK read the same, and refused where it is damaged.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { randomSource } from '../../../../training/data/random';
import { readNifti, readNiftiHeader, writeNifti } from '../../../../training/data/volumes/nifti';
import type { Affine, Shape } from '../../../../training/data/volumes/volume';
import { assertClose } from '../../assert-close';
import { askOracle, withoutOracle } from '../../oracle';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();
const SHAPE: Shape = [3, 4, 5];
// turned about two axes, unevenly spaced, and left-handed
const AFFINE: Affine = [-0.9, 0.1, 0.4, 10, 0.2, 1.7, -0.5, -20, 0.15, 0.3, 2.4, 30, 0, 0, 0, 1];

interface Told {
  readonly name: string;
  readonly shape: number[];
  readonly affine: number[];
  readonly values: number[];
}

/** Writes a volume as every kind of file with nibabel; tells what nibabel reads back. */
const WRITE_ALL = `
import json, sys, numpy as np, nibabel as nib
folder = sys.argv[1]
generator = np.random.default_rng(3)
affine = np.array([[-0.9, 0.1, 0.4, 10], [0.2, 1.7, -0.5, -20], [0.15, 0.3, 2.4, 30], [0, 0, 0, 1]])
told = []
def tell(name):
    image = nib.load(f"{folder}/{name}")
    values = image.get_fdata().astype(np.float32)
    told.append(dict(name=name, shape=list(image.shape), affine=image.affine.flatten().tolist(), values=values.flatten().tolist()))
def save(image, name):
    nib.save(image, f"{folder}/{name}")
    tell(name)
for version, kind in (("1", nib.Nifti1Image), ("2", nib.Nifti2Image)):
    for order in "<>":
        for dtype in "u1 i1 u2 i2 u4 i4 u8 i8 f4 f8".split():
            low, high = (-120, 120) if dtype[0] != "u" else (0, 250)
            data = (generator.random((3, 4, 5)) * (high - low) + low).astype(dtype)
            header = kind.header_class(endianness=order)
            header.set_data_dtype(np.dtype(dtype).newbyteorder(order))
            for suffix in ("nii", "nii.gz"):
                save(kind(data, affine, header), f"n{version}{'le' if order == '<' else 'be'}_{dtype}.{suffix}")
# floats squeezed into integers: nibabel chooses slope and intercept
image = nib.Nifti1Image(generator.normal(size=(3, 4, 5)) * 5 + 100, affine)
image.set_data_dtype(np.int16)
save(image, "scaled.nii.gz")
# several channels, as the Decathlon has them
save(nib.Nifti1Image(generator.random((3, 4, 5, 2)).astype(np.float32), affine), "channels.nii.gz")
rigid = np.array([[0, -1.5, 0, 4], [2, 0, 0, 5], [0, 0, -3, 6], [0, 0, 0, 1]])
for s, q in ((0, 1), (0, 0), (1, 0), (1, 2), (4, 1)):
    image = nib.Nifti1Image(generator.random((3, 4, 5)).astype(np.float32), None)
    image.header.set_zooms((2, 1.5, 3))
    image.set_qform(rigid, q)
    if s: image.set_sform(affine, s)
    else: image.header["sform_code"] = 0
    save(image, f"forms_s{s}_q{q}.nii")
image = nib.Nifti1Image(generator.random((3, 4, 5)).astype(np.float32), affine)
image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", b"kept apart from the voxels"))
save(image, "extension.nii.gz")
save(nib.Nifti1Image(generator.random((6, 7)).astype(np.float32), affine), "flat.nii.gz")
print(json.dumps(told))
`;

test('every kind of number, byte order and version is read as nibabel reads it', { skip: withoutOracle }, async (t) => {
  for (const { name, shape, affine, values } of askOracle<Told[]>(WRITE_ALL, folder)) {
    await t.test(name, async () => {
      const volume = await readNifti(join(folder, name));
      const [i = 1, j = 1, k = 1, channels = 1] = shape;
      assert.deepEqual([volume.shape, volume.channels], [[i, j, k], channels]);
      assert.deepEqual([...volume.data], values);
      assertClose(volume.affine, affine, 1e-5, 'affine');
      const header = await readNiftiHeader(join(folder, name));
      assert.deepEqual([header.shape, header.affine], [volume.shape, volume.affine]);
    });
  }
});

/** What nibabel and ITK say of a file; ITK's world is LPS. */
const READ_BOTH = `
import json, sys, numpy as np, nibabel as nib, SimpleITK as sitk
image = nib.load(sys.argv[1])
itk = sitk.ReadImage(sys.argv[1])
direction = np.array(itk.GetDirection()).reshape(itk.GetDimension(), -1)[:3, :3]
matrix = np.eye(4)
matrix[:3, :3] = direction * np.array(itk.GetSpacing()[:3])
matrix[:3, 3] = itk.GetOrigin()[:3]
matrix = np.diag([-1, -1, 1, 1]) @ matrix
print(json.dumps(dict(shape=image.shape, dtype=str(image.get_data_dtype()), affine=image.affine.flatten().tolist(), qformCode=int(image.header['qform_code']),
  qform=image.get_qform().flatten().tolist(), values=np.asarray(image.dataobj).flatten().tolist(), itk=matrix.flatten().tolist(),
  itkValues=np.moveaxis(sitk.GetArrayFromImage(itk), [-3, -2, -1], [2, 1, 0]).flatten().tolist() if itk.GetDimension() == 3 else [])))
`;

interface Both {
  readonly shape: number[];
  readonly dtype: string;
  readonly affine: number[];
  readonly qform: number[];
  readonly qformCode: number;
  readonly values: number[];
  readonly itk: number[];
  readonly itkValues: number[];
}

/** Rotations whose quaternions have each component as the largest, and mirrored ones. */
const ROTATIONS: Readonly<Record<string, Affine>> = {
  'along the axes': [2, 0, 0, -5, 0, 1.5, 0, 6, 0, 0, 3, 7, 0, 0, 0, 1],
  mirrored: [-2, 0, 0, -5, 0, 1.5, 0, 6, 0, 0, 3, 7, 0, 0, 0, 1],
  'turned about x': [2, 0, 0, -5, 0, -1.5, 0, 6, 0, 0, -3, 7, 0, 0, 0, 1],
  'turned about y': [-2, 0, 0, -5, 0, 1.5, 0, 6, 0, 0, -3, 7, 0, 0, 0, 1],
  'turned about z': [-2, 0, 0, -5, 0, -1.5, 0, 6, 0, 0, 3, 7, 0, 0, 0, 1],
  'axes exchanged': [0, 0, 3, -5, 2, 0, 0, 6, 0, 1.5, 0, 7, 0, 0, 0, 1],
  'turned by -150 degrees about x': [2, 0, 0, -5, 0, -1.2990381, 1.5, 6, 0, -0.75, -2.5980762, 7, 0, 0, 0, 1],
  'turned by -150 degrees about y': [-1.7320508, 0, -1.5, -5, 0, 1.5, 0, 6, 1, 0, -2.5980762, 7, 0, 0, 0, 1],
  'turned by -150 degrees about z': [-1.7320508, 0.75, 0, -5, -1, -1.2990381, 0, 6, 0, 0, 3, 7, 0, 0, 0, 1],
  oblique: [1.92, 0.42, 0, -5, -0.56, 1.44, 0, 6, 0, 0, -3, 7, 0, 0, 0, 1],
};

for (const [what, affine] of Object.entries(ROTATIONS)) {
  test(`what is written lies for nibabel and ITK where it lay: ${what}`, { skip: withoutOracle }, async () => {
    const path = join(folder, 'written.nii.gz');
    const data = Uint8Array.from({ length: 60 }, (_, n) => n % 7);
    await writeNifti(path, data, { shape: SHAPE, affine });
    const told = askOracle<Both>(READ_BOTH, path);
    assert.deepEqual([told.shape, told.dtype, told.qformCode], [[...SHAPE], 'uint8', 2]);
    assert.deepEqual([told.values, told.itkValues], [[...data], [...data]]);
    for (const matrix of [told.affine, told.qform, told.itk]) assertClose(matrix, affine, 1e-5, 'affine');
  });
}

test('a sheared affine is written as sform alone, for a qform cannot hold it', { skip: withoutOracle }, async () => {
  const path = join(folder, 'sheared.nii.gz');
  await writeNifti(path, new Uint8Array(60), { shape: SHAPE, affine: AFFINE });
  const read =
    'import sys, json, nibabel as nib\nimage = nib.load(sys.argv[1])\nprint(json.dumps([int(image.header["qform_code"]), *image.affine.flatten().tolist()]))';
  const [code, ...affine] = askOracle<number[]>(read, path);
  assert.equal(code, 0);
  assertClose(affine, AFFINE, 1e-5, 'affine');
});

for (const data of [
  Int16Array.from({ length: 120 }, (_, n) => n * 100 - 6000),
  Float32Array.from({ length: 120 }, (_, n) => Math.sin(n) * 1e4),
]) {
  test(`${data.constructor.name} with two channels is read back as it was, sheared affine and all`, async () => {
    const path = join(folder, 'back.nii');
    await writeNifti(path, data, { shape: SHAPE, affine: AFFINE });
    const back = await readNifti(path);
    assert.deepEqual([back.shape, back.channels, [...back.data]], [SHAPE, 2, [...data]]);
    assertClose(back.affine, AFFINE, 1e-5, 'affine');
  });
}

/** A whole file, and its header's bytes to spoil. */
async function wholeFile(): Promise<Buffer> {
  const path = join(folder, 'whole.nii');
  await writeNifti(path, new Float32Array(60), { shape: SHAPE, affine: AFFINE });
  return readFileSync(path);
}

const spoil = (change: (bytes: Buffer) => unknown) => (bytes: Buffer) => {
  change(bytes);
  return bytes;
};

const DAMAGES: Readonly<Record<string, [damage: (bytes: Buffer) => Buffer, reason: RegExp]>> = {
  'no NIfTI': [() => Buffer.from('hello'.repeat(100)), /it is not NIfTI/],
  'an empty file': [() => Buffer.alloc(0), /it is not NIfTI/],
  'half of its voxels': [(bytes) => bytes.subarray(0, 472), /it has 472 bytes; its header asks for 592/],
  'a cut gzip': [(bytes) => gzipSync(bytes).subarray(0, -20), /end too early/],
  'a gzip with a wrong byte': [
    (bytes) => {
      const packed = gzipSync(bytes);
      packed[packed.length - 12] = (packed[packed.length - 12] as number) ^ 0xff;
      return packed;
    },
    /are damaged|end too early/,
  ],
  'a gzip whose checksum is wrong': [
    (bytes) => {
      const packed = gzipSync(bytes);
      packed[packed.length - 6] = (packed[packed.length - 6] as number) ^ 0xff;
      return packed;
    },
    /are damaged/,
  ],
  'a gzip bomb': [
    (bytes) => gzipSync(Buffer.concat([bytes, Buffer.alloc(2 ** 25)])),
    /unpacks to more than its header/,
  ],
  'absurd dimensions': [
    spoil((bytes) => {
      for (const at of [42, 44, 46]) bytes.writeInt16LE(32767, at);
    }),
    /its header says 32767 x 32767 x 32767 voxels/,
  ],
  'negative dimensions': [spoil((bytes) => bytes.writeInt16LE(-3, 42)), /its dimensions are/],
  'complex numbers': [spoil((bytes) => bytes.writeInt16LE(32, 70)), /its numbers are of type 32/],
  'an affine without an inverse': [
    spoil((bytes) => {
      for (let at = 280; at < 328; at += 4) bytes.writeFloatLE(1, at);
    }),
    /its affine is no affine/,
  ],
  'no number in the affine': [spoil((bytes) => bytes.writeFloatLE(Number.NaN, 280)), /its affine is no affine/],
};

for (const [what, [damage, reason]] of Object.entries(DAMAGES)) {
  test(`refused: ${what}`, async () => {
    const path = join(folder, 'damaged.nii');
    writeFileSync(path, damage(await wholeFile()));
    await assert.rejects(readNifti(path), reason);
  });
}

test('a header is read without unpacking what follows it', async () => {
  const path = join(folder, 'head.nii.gz');
  const packed = gzipSync(Buffer.concat([await wholeFile(), Buffer.alloc(2 ** 20)]), { level: 1 });
  writeFileSync(path, packed.subarray(0, 700));
  assert.deepEqual((await readNiftiHeader(path)).shape, SHAPE);
  assert.throws(() => gunzipSync(readFileSync(path)));
});

test('headers with wrong bytes anywhere are read or refused, and never end the process', async () => {
  const random = randomSource(23);
  const whole = await wholeFile();
  const path = join(folder, 'wrong.nii');
  let refused = 0;
  for (let times = 0; times < 300; times++) {
    const bytes = Buffer.from(whole);
    for (let n = 0; n < 3; n++) bytes[Math.floor(random() * 352)] = Math.floor(random() * 256);
    writeFileSync(path, times % 2 === 0 ? bytes : gzipSync(bytes));
    await readNifti(path).catch((error: unknown) => {
      assert.ok(error instanceof Error && error.message.length > 0, String(error));
      refused++;
    });
  }
  assert.ok(refused > 20 && refused < 300, `${refused} of 300 were refused`);
});
