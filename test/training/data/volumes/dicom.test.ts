// DICOM series: read as ITK reads what pydicom and ITK wrote, and refused by name where slices are missing or do not fit.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { randomSource } from '../../../../training/data/random';
import { readDicomSeries } from '../../../../training/data/volumes/dicom';
import { packageRoot } from '../../../../training/native/cache';
import { assertClose } from '../../assert-close';
import { askOracle, withoutOracle } from '../../oracle';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();

interface Told {
  readonly name: string;
  readonly shape: number[];
  readonly affine: number[];
  readonly values: number[];
}

/** Writes series of many kinds; tells what ITK reads of each, in our order and in RAS. */
const WRITE_ALL = `
import json, sys, os, numpy as np, pydicom, SimpleITK as sitk, warnings
warnings.filterwarnings("ignore")
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import *
folder = sys.argv[1]
generator = np.random.default_rng(5)
def rotation(a, b):
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
def write(name, syntax=ExplicitVRLittleEndian, turn=rotation(0.3, -0.2), count=6, bits=16, stored=12, signed=True, slopes=None, skip=(), shift=lambda k: 0.0, change=None, series=generate_uid()):
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    order = generator.permutation(count)
    for k in range(count):
        if k in skip: continue
        d = Dataset()
        d.file_meta = FileMetaDataset()
        d.file_meta.TransferSyntaxUID = syntax if syntax not in (RLELossless, JPEG2000Lossless) else ExplicitVRLittleEndian
        d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
        d.SeriesInstanceUID, d.StudyInstanceUID, d.Modality = series, generate_uid(), "CT"
        d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 32, 40, 1, "MONOCHROME2"
        d.PixelSpacing, d.SliceThickness, d.InstanceNumber = [0.7, 0.9], 5, int(order[k])
        d.ImageOrientationPatient = [round(float(v), 12) for v in (*turn[:, 0], *turn[:, 1])]
        position = np.array([-50, 20, 7.5]) + turn[:, 2] * (2.5 * k + shift(k))
        d.ImagePositionPatient = [round(float(v), 8) for v in position]
        d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = bits, stored, stored - 1, int(signed)
        low, high = (-2 ** (stored - 1), 2 ** (stored - 1)) if signed else (0, 2 ** stored)
        dtype = {8: "u1", 16: "i2" if signed else "u2"}[bits]
        pixels = generator.integers(low, high, (32, 40)).astype(dtype)
        if slopes: d.RescaleSlope, d.RescaleIntercept = slopes
        if syntax == ExplicitVRBigEndian:
            d.PixelData = pixels.astype(">" + dtype).tobytes()
        else: d.PixelData = pixels.tobytes()
        if bits == 8: d["PixelData"].VR = "OB"
        else: d["PixelData"].VR = "OW"
        if syntax in (RLELossless, JPEG2000Lossless): d.compress(syntax)
        if change: change(d, k)
        d.save_as(f"{folder}/{name}/{'zyxwvutsrqponml'[int(order[k])]}{k}.dcm", enforce_file_format=True)
told = []
def tell(name):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(f"{folder}/{name}"))
    image = reader.Execute()
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    matrix = np.diag([-1, -1, 1, 1]) @ matrix
    values = sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float32)
    told.append(dict(name=name, shape=values.shape, affine=matrix.flatten().tolist(), values=values.flatten().tolist()))
write("explicit"); write("implicit", ImplicitVRLittleEndian); write("big endian", ExplicitVRBigEndian); write("deflated", DeflatedExplicitVRLittleEndian)
write("RLE", RLELossless); write("JPEG 2000", JPEG2000Lossless, signed=False)
write("rescaled", slopes=(1.5, -1024)); write("unsigned", signed=False, stored=16); write("8 bits", bits=8, stored=8, signed=False)
write("sagittal", turn=np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]]).astype(float)); write("axial", turn=np.eye(3))
for name in "explicit,implicit,big endian,deflated,RLE,JPEG 2000,rescaled,unsigned,8 bits,sagittal,axial".split(","): tell(name)
# as ITK itself writes it, compressed
for compressor in ("JPEG", "JPEGLS", "JPEG2000"):
    name = "ITK " + compressor
    os.makedirs(f"{folder}/{name}")
    for k, values in enumerate(generator.integers(0, 4096, (4, 32, 40)).astype(np.uint16)):
        image = sitk.GetImageFromArray(values[None])
        image.SetSpacing((0.9, 0.7, 2.5))
        for tag, value in (("0008|0060", "MR"), ("0020|000e", "1.2.3"), ("0020|0013", str(k)), ("0020|0032", f"0\\\\0\\\\{2.5 * k}"), ("0020|0037", "1\\\\0\\\\0\\\\0\\\\1\\\\0")):
            image.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetImageIO("GDCMImageIO"); writer.SetUseCompression(True); writer.SetCompressor(compressor)
        writer.SetFileName(f"{folder}/{name}/{k}.dcm"); writer.Execute(image)
    tell(name)
# all slices in one file
def item(**values):
    d = Dataset()
    for name, value in values.items(): setattr(d, name, value)
    return d
def enhanced(name, syntax=ExplicitVRLittleEndian, turn=rotation(0.3, -0.2), order=range(6), place=lambda k: 2.5 * k, slopes=lambda k: (1.5, -1024), bits=16, change=None):
    os.makedirs(f"{folder}/{name}", exist_ok=True)
    d = item(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", SOPInstanceUID=generate_uid(), SeriesInstanceUID=generate_uid(), StudyInstanceUID=generate_uid(), Modality="CT",
        Rows=32, Columns=40, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2", BitsAllocated=bits, BitsStored=bits - 4, HighBit=bits - 5, PixelRepresentation=0, NumberOfFrames=len(order))
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = syntax if syntax not in (RLELossless, JPEG2000Lossless) else ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID, d.file_meta.MediaStorageSOPInstanceUID = d.SOPClassUID, d.SOPInstanceUID
    directions = [round(float(v), 12) for v in (*turn[:, 0], *turn[:, 1])]
    d.SharedFunctionalGroupsSequence = [item(PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.9], SliceThickness=2.5)], PlaneOrientationSequence=[item(ImageOrientationPatient=directions)])]
    d.PerFrameFunctionalGroupsSequence = [item(
        PlanePositionSequence=[item(ImagePositionPatient=[round(float(v), 8) for v in np.array([-50, 20, 7.5]) + turn[:, 2] * place(k)])],
        PixelValueTransformationSequence=[item(RescaleSlope=slopes(k)[0], RescaleIntercept=slopes(k)[1], RescaleType="US")]) for k in order]
    pixels = generator.integers(0, 2 ** (bits - 4), (len(order), 32, 40)).astype(f"u{bits // 8}")
    d.PixelData = pixels.tobytes()
    d["PixelData"].VR = "OW" if bits == 16 else "OB"
    if change: change(d)
    if syntax in (RLELossless, JPEG2000Lossless): d.compress(syntax)
    d.save_as(f"{folder}/{name}/all.dcm", enforce_file_format=True)
    return pixels
def tell_file(name):
    image = sitk.ReadImage(f"{folder}/{name}/all.dcm")
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    matrix[:3, 3] = image.GetOrigin()
    values = sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float32)
    told.append(dict(name=name, shape=values.shape, affine=(np.diag([-1, -1, 1, 1]) @ matrix).flatten().tolist(), values=values.flatten().tolist()))
enhanced("frames"); enhanced("frames RLE", RLELossless); enhanced("frames JPEG 2000", JPEG2000Lossless); enhanced("frames axial", turn=np.eye(3))
for name in ("frames", "frames RLE", "frames JPEG 2000", "frames axial"): tell_file(name)
# ITK takes the first frame's scale for all, and the frames in the order of the file
order = [3, 0, 5, 1, 4, 2]
pixels = enhanced("frames in any order, each of its own scale", order=order, slopes=lambda k: (1 + k, -10 * k))
scaled = np.stack([pixels[order.index(k)] * (1.0 + k) - 10 * k for k in range(6)]).transpose(2, 1, 0).astype(np.float32)
told.append({**next(t for t in told if t["name"] == "frames"), "name": "frames in any order, each of its own scale", "values": scaled.flatten().tolist()})
def cine(d): del d.PerFrameFunctionalGroupsSequence
enhanced("frames nowhere", change=cine)
enhanced("frames implicit", ImplicitVRLittleEndian)
enhanced("frames of two times", place=lambda k: 2.5 * (k % 3))
enhanced("frames missing", order=[0, 1, 2, 4, 5])
def fewer(d): d.NumberOfFrames = 7
enhanced("frames too many", change=fewer)
# what is to be refused
write("missing", skip=(2, 3)); write("one missing", skip=(4,)); write("uneven", shift=lambda k: 0.8 if k == 3 else 0); write("doubled", shift=lambda k: -2.5 if k == 3 else 0)
def narrow(d, k):
    if k == 1: d.Columns, d.PixelData = 20, d.PixelData[:1280]
write("sizes", change=narrow)
def turned(d, k):
    if k == 1: d.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
write("directions", change=turned)
def nowhere(d, k):
    if k == 1: del d.ImagePositionPatient
write("nowhere", change=nowhere)
def short(d, k):
    if k == 1: d.PixelData = d.PixelData[:100]
write("short", change=short)
def cine_slice(d, k): d.NumberOfFrames = 2
write("cine", change=cine_slice)
def other(d, k):
    if k > 3: d.SeriesInstanceUID = "1.2.3.4"
write("series", change=other)
write("single", count=1)
print(json.dumps(told))
`;

let told: Told[] = [];
before(() => {
  if (withoutOracle === false) told = askOracle<Told[]>(WRITE_ALL, folder);
});

const KINDS = [
  ...['explicit', 'implicit', 'big endian', 'deflated', 'RLE', 'JPEG 2000', 'rescaled', 'unsigned', '8 bits'],
  ...['sagittal', 'axial', 'ITK JPEG', 'ITK JPEGLS', 'ITK JPEG2000'],
  ...['frames', 'frames RLE', 'frames JPEG 2000', 'frames axial', 'frames in any order, each of its own scale'],
];

for (const kind of KINDS) {
  test(`read as ITK reads it: ${kind}`, { skip: withoutOracle }, async () => {
    const { name, shape, affine, values } = told.find((entry) => entry.name === kind) as Told;
    const volume = await readDicomSeries(join(folder, name));
    assert.deepEqual([volume.shape, [...volume.data]], [shape, values]);
    assertClose(volume.affine, affine, 1e-4, 'affine');
  });
}

const REFUSED: Readonly<Record<string, RegExp>> = {
  missing: /2 slices are missing between \w1\.dcm and \w4\.dcm/,
  'one missing': /a slice is missing between \w3\.dcm and \w5\.dcm/,
  uneven: /unevenly spaced: \w3\.dcm lies 0\.80 mm from its place/,
  doubled: /\w\d\.dcm and \w\d\.dcm lie at the same place/,
  sizes: /has (20|40) x 32 pixels, \w\d\.dcm (20|40) x 32/,
  directions: /is not parallel to/,
  nowhere: /\w1\.dcm: it has no ImagePositionPatient \(0020,0032\)/,
  short: /\w1\.dcm: .*pixels/,
  cine: /it has several frames, and does not say where each lies; convert it to single frames or NIfTI/,
  'frames nowhere': /it has several frames, and does not say where each lies/,
  'frames implicit': /it has several frames, and what it says of each cannot be read/,
  'frames of two times': /frame 1 of all\.dcm and frame 4 of all\.dcm lie at the same place/,
  'frames missing': /a slice is missing between frame 3 of all\.dcm and frame 4 of all\.dcm/,
  'frames too many': /it has several frames, and what it says of each cannot be read/,
  series: /it holds 2 series; .*1\.2\.3\.4 \(2 files\), .* \(4 files\)/,
};

for (const [name, reason] of Object.entries(REFUSED)) {
  test(`refused by name: ${name}`, { skip: withoutOracle }, async () => {
    await assert.rejects(readDicomSeries(join(folder, name)), reason);
  });
}

test('a single slice is as thick as it says', { skip: withoutOracle }, async () => {
  const { shape, affine } = await readDicomSeries(join(folder, 'single'));
  assert.deepEqual(shape, [40, 32, 1]);
  assertClose([Math.hypot(...[2, 6, 10].map((n) => affine[n] as number))], [5], 1e-6, 'thickness');
});

test('compressed pixels with a damaged part are refused, not read as black', async () => {
  const whole = readFileSync(join(packageRoot, 'test', 'fixtures', 'scans', 'rle.dcm'));
  const pixels = whole.lastIndexOf(Buffer.from([0xe0, 0x7f, 0x10, 0x00]));
  // a run of one value and a count of others change places
  const damaged = Buffer.from(whole).fill(0, pixels + 184, pixels + 185);
  const file = join(temporaryFolder(), 'x.dcm');
  writeFileSync(file, damaged);
  await assert.rejects(readDicomSeries(dirname(file)), /its pixels are damaged: RLE: insufficient data/);
});

test('files that are no DICOM are passed over, and a folder of such is refused', { skip: withoutOracle }, async () => {
  const mixed = join(folder, 'mixed');
  mkdirSync(mixed);
  writeFileSync(join(mixed, 'README.txt'), 'of the scanner '.repeat(20));
  await assert.rejects(readDicomSeries(mixed), /it holds no DICOM files/);
  for (const name of readdirSync(join(folder, 'explicit')))
    copyFileSync(join(folder, 'explicit', name), join(mixed, name));
  assert.deepEqual((await readDicomSeries(mixed)).data, (await readDicomSeries(join(folder, 'explicit'))).data);
});

test('a deflated file that unpacks to hundreds of megabytes is refused', { skip: withoutOracle }, async () => {
  const bomb = join(folder, 'bomb');
  mkdirSync(bomb);
  const [name = ''] = readdirSync(join(folder, 'deflated'));
  const whole = readFileSync(join(folder, 'deflated', name));
  const start = 144 + whole.readUInt32LE(140);
  const packed = deflateRawSync(Buffer.concat([inflateRawSync(whole.subarray(start)), Buffer.alloc(2 ** 28)]));
  writeFileSync(join(bomb, name), Buffer.concat([whole.subarray(0, start), packed]));
  await assert.rejects(readDicomSeries(bomb), /it unpacks to more than 268435456 bytes/);
});

test('files with wrong bytes anywhere are read or refused, in no time, and never end the process', {
  skip: withoutOracle,
}, async () => {
  const random = randomSource(17);
  const wrong = join(folder, 'wrong');
  for (const kind of [
    ...['explicit', 'implicit', 'big endian', 'RLE', 'JPEG 2000', 'ITK JPEG', 'ITK JPEGLS'],
    'frames',
  ]) {
    const [name = ''] = readdirSync(join(folder, kind));
    const whole = readFileSync(join(folder, kind, name));
    for (let times = 0; times < 25; times++) {
      const bytes = Buffer.from(whole);
      // most of a small file is its header, where a wrong byte does the most harm
      for (let n = 0; n < 3; n++)
        bytes[132 + Math.floor(random() * Math.min(900, bytes.length - 132))] = Math.floor(random() * 256);
      mkdirSync(wrong, { recursive: true });
      writeFileSync(join(wrong, 'x.dcm'), bytes);
      await readDicomSeries(wrong).catch((error: unknown) => assert.ok(error instanceof Error, `${kind}: ${error}`));
    }
  }
});

test('a file cut at any place is refused, and never ends the process', { skip: withoutOracle }, async () => {
  const cut = join(folder, 'cut');
  for (const kind of ['explicit', 'RLE', 'JPEG 2000', 'ITK JPEGLS', 'deflated']) {
    const [name = ''] = readdirSync(join(folder, kind));
    const whole = readFileSync(join(folder, kind, name));
    for (const share of [0.3, 0.6, 0.9]) {
      mkdirSync(cut);
      writeFileSync(join(cut, name), whole.subarray(0, Math.floor(whole.length * share)));
      await assert.rejects(readDicomSeries(cut), Error, `${kind} cut at ${share}`);
      rmSync(cut, { recursive: true });
    }
  }
});
