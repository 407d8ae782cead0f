// Volumes over HTTP: NIfTI and DICOM in, masks, pictures and millilitres out; what is damaged, too large or of another kind is refused.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { create } from 'tar';
import { encodeNifti, parseNifti } from '../../../training/data/volumes/nifti';
import { IDENTITY, type Shape } from '../../../training/data/volumes/volume';
import { predict } from '../../../training/engine/prediction/predict';
import type { VolumePrediction } from '../../../training/engine/prediction/predict-volumes';
import { type InferenceServer, startServer } from '../../../training/serving/server';
import { askOracle, withoutOracle } from '../oracle';
import { BALL_SHAPE, ball, writeSubject } from '../sample-volumes';
import { temporaryFolder } from '../temporary-folder';
import { tinySegmenter } from './tiny-segmenter';

const folder = temporaryFolder();
let server: InferenceServer;
let nifti: Buffer;
/** What `predict` says of the same volume. */
let expected: VolumePrediction;
let mask: Float32Array;

before(async () => {
  const model = await tinySegmenter();
  await writeSubject(join(folder, 'subject'), 1, { label: 'none' });
  const path = join(folder, 'subject', 'img.nii.gz');
  nifti = readFileSync(path);
  const predicting = predict(model, path, {
    workers: 1,
    onBadFile: 'fail',
    report: () => {},
    out: join(folder, 'out'),
  });
  for await (const prediction of predicting) expected = prediction as VolumePrediction;
  mask = (await parseNifti(readFileSync(expected.mask))).data;
  server = await startServer({ model, host: '127.0.0.1', port: 0, maxValues: 2 ** 20 });
});
after(() => server.close());

function post(body: Uint8Array | string, type: string, accept = 'application/json'): Promise<Response> {
  const sent = typeof body === 'string' ? body : new Uint8Array(body);
  return fetch(`${server.url}/invocations`, { method: 'POST', body: sent, headers: { 'content-type': type, accept } });
}

interface Result {
  readonly volumes: Record<string, number>;
  readonly labels: Record<string, number>;
  readonly shape: number[];
  readonly spacing: number[];
}

async function segmented(body: Uint8Array | string, type: string): Promise<Result> {
  const answer = await post(body, type);
  assert.equal(answer.status, 200, await answer.clone().text());
  return (await answer.json()) as Result;
}

async function bytesOf(answer: Response, type: string): Promise<Buffer> {
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal(answer.headers.get('content-type'), type);
  return Buffer.from(await answer.arrayBuffer());
}

for (const type of ['application/x-nifti', 'application/gzip', 'application/octet-stream']) {
  test(`NIfTI sent as ${type} is answered with the millilitres of each class that predict counts`, async () => {
    const { volumes, shape, spacing } = await segmented(nifti, type);
    assert.deepEqual({ volumes, shape, spacing }, { volumes: expected.volumes, shape: BALL_SHAPE, spacing: [1, 1, 1] });
    assert.ok(Object.values(volumes).some((millilitres) => millilitres > 0));
  });
}

test('NIfTI that is not compressed, and base64 of it in JSON, give the same', async () => {
  const raw = gunzipSync(nifti);
  assert.deepEqual((await segmented(raw, 'application/x-nifti')).volumes, expected.volumes);
  const encoded = JSON.stringify({ image: nifti.toString('base64') });
  assert.deepEqual((await segmented(encoded, 'application/json')).volumes, expected.volumes);
});

test('several volumes of one request are answered in their order', async () => {
  const second = await encodeNifti(ball(2).image, { shape: BALL_SHAPE, affine: IDENTITY });
  const instances = [nifti, second].map((bytes) => ({ image: bytes.toString('base64') }));
  const answer = await post(JSON.stringify({ instances }), 'application/json');
  const { predictions } = (await answer.json()) as { predictions: Result[] };
  assert.equal(predictions.length, 2);
  assert.deepEqual(predictions[0]?.volumes, expected.volumes);
  assert.deepEqual(predictions[1], await segmented(second, 'application/x-nifti'));
});

for (const [accept, unpack] of [
  ['application/x-nifti', (bytes: Buffer) => bytes],
  ['application/gzip', (bytes: Buffer) => gunzipSync(bytes)],
] as const) {
  test(`Accept ${accept} gives the mask that predict writes`, async () => {
    const bytes = await bytesOf(await post(nifti, 'application/x-nifti', accept), accept);
    const { data, shape } = await parseNifti(unpack(bytes));
    assert.deepEqual(shape, BALL_SHAPE);
    assert.deepEqual(data, mask);
  });
}

test('nibabel reads the mask on the grid of the image', { skip: withoutOracle }, async () => {
  const path = join(folder, 'answer.nii.gz');
  writeFileSync(path, await bytesOf(await post(nifti, 'application/x-nifti', 'application/gzip'), 'application/gzip'));
  const told = askOracle<{ same: boolean; values: number[] }>(
    `
import json, sys, numpy as np, nibabel as nib
image, mask = nib.load(sys.argv[1]), nib.load(sys.argv[2])
same = image.shape == mask.shape and bool(np.allclose(image.affine, mask.affine))
print(json.dumps(dict(same=same, values=np.asarray(mask.dataobj).astype(int).flatten().tolist())))`,
    join(folder, 'subject', 'img.nii.gz'),
    path,
  );
  assert.ok(told.same);
  assert.deepEqual(told.values, Array.from(mask));
});

test('Accept image/png gives a picture of three planes, with the mask in colours', async () => {
  const bytes = await bytesOf(await post(nifti, 'application/x-nifti', 'image/png'), 'image/png');
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  assert.ok(info.width > 3 * 300 && info.height > 2 * 300, `${info.width} x ${info.height}`);
  let coloured = 0;
  for (let n = 0; n < data.length; n += 3) if (Math.abs((data[n] as number) - (data[n + 2] as number)) > 20) coloured++;
  assert.ok(coloured > 1000, `${coloured} coloured pixels`);
});

test('a picture of two volumes is refused', async () => {
  const image = nifti.toString('base64');
  const answer = await post(JSON.stringify({ instances: [{ image }, { image }] }), 'application/json', 'image/png');
  assert.equal(answer.status, 406);
});

/** A DICOM series of what is in a NIfTI file, by pydicom; a tar of it, gzip or not, and one slice. */
const WRITE_SERIES = `
import sys, json, tarfile, numpy as np, nibabel as nib
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
source, folder = sys.argv[1:]
image = nib.load(source)
data, affine = np.asarray(image.dataobj), np.diag([-1, -1, 1, 1]) @ image.affine
series = generate_uid()
for k in range(data.shape[2]):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
    d.SeriesInstanceUID, d.StudyInstanceUID, d.Modality, d.InstanceNumber = series, series, "MR", k
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = data.shape[1], data.shape[0], 1, "MONOCHROME2"
    d.PixelSpacing, d.SliceThickness = [1, 1], 1
    d.ImageOrientationPatient = [*affine[:3, 0], *affine[:3, 1]]
    d.ImagePositionPatient = list(affine[:3, 3] + k * affine[:3, 2])
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 0
    d.PixelData = data[:, :, k].T.astype("<u2").tobytes()
    d["PixelData"].VR = "OW"
    d.save_as(f"{folder}/slice{k:02d}.dcm", enforce_file_format=True)
for suffix, mode in (("tar", "w"), ("tar.gz", "w:gz")):
    with tarfile.open(f"{folder}/series.{suffix}", mode) as tar:
        for k in range(data.shape[2]): tar.add(f"{folder}/slice{k:02d}.dcm", f"series/slice{k:02d}.dcm")
print("null")`;

test('a tar of the same volume as a DICOM series of pydicom gives the same mask', { skip: withoutOracle }, async () => {
  const series = temporaryFolder();
  askOracle(WRITE_SERIES, join(folder, 'subject', 'img.nii.gz'), series);
  for (const [name, type] of [
    ['series.tar', 'application/x-tar'],
    ['series.tar.gz', 'application/gzip'],
  ] as const) {
    const body = readFileSync(join(series, name));
    assert.deepEqual((await segmented(body, type)).volumes, expected.volumes, name);
  }
  const { shape } = await segmented(readFileSync(join(series, 'slice00.dcm')), 'application/dicom');
  assert.deepEqual(shape, [BALL_SHAPE[0], BALL_SHAPE[1], 1]);
});

test('a tar with an image for each modality is told apart by their names', async (context) => {
  const both = await startServer({ model: await tinySegmenter(['t1', 'flair']), host: '127.0.0.1', port: 0 });
  context.after(() => both.close());
  const subject = temporaryFolder();
  await writeSubject(subject, 1, { images: ['case7_flair', 'case7_t1'], label: 'none' });
  const send = async (names: readonly string[]) => {
    const body = create({ cwd: subject, sync: true }, [...names]).read() as Buffer;
    const headers = { 'content-type': 'application/x-tar' };
    const answer = await fetch(`${both.url}/invocations`, { method: 'POST', body: new Uint8Array(body), headers });
    return { status: answer.status, ...((await answer.json()) as { message?: string; shape?: number[] }) };
  };
  assert.deepEqual((await send(['case7_flair.nii.gz', 'case7_t1.nii.gz'])).shape, BALL_SHAPE);
  const one = await send(['case7_t1.nii.gz']);
  assert.equal(one.status, 400);
  assert.match(one.message as string, /has 1 channels; the model takes 2: t1, flair/);
  await writeSubject(subject, 1, { images: ['t2', 't1'], label: 'none' });
  assert.match((await send(['t1.nii.gz', 't2.nii.gz'])).message as string, /one for each of t1, flair/);
});

test('/models says what windows and modalities the network sees, and the labels of masks', async () => {
  const { models } = (await (await fetch(`${server.url}/models`)).json()) as { models: Record<string, unknown>[] };
  assert.deepEqual(models[0]?.input, { window: [16, 16, 16], channels: 1, modalities: ['image'] });
  assert.deepEqual(models[0]?.labels, [0, 3, 7]);
});

const encode = (image: Float32Array, shape: Shape, side = 1) =>
  encodeNifti(image, { shape, affine: IDENTITY.map((value, n) => (n < 11 && value === 1 ? side : value)) });
const flat = (shape: Shape, value: number, channels = 1) =>
  new Float32Array(shape[0] * shape[1] * shape[2] * channels).fill(value);

/** A header that claims other lengths. */
async function claiming(lengths: Shape): Promise<Buffer> {
  const bytes = await encode(flat([4, 4, 4], 1), [4, 4, 4]);
  for (const [axis, length] of lengths.entries()) bytes.writeInt16LE(length, 42 + 2 * axis);
  return bytes;
}

const broken = async () => {
  const values = flat([4, 4, 4], 1);
  values[7] = Number.NaN;
  return encode(values, [4, 4, 4]);
};

const wrong: Record<string, [body: () => Promise<Buffer> | Buffer, reason: RegExp]> = {
  'an empty body': [() => Buffer.alloc(0), /the body is empty/],
  zeros: [() => Buffer.alloc(4096), /it is not NIfTI/],
  'a picture': [() => Buffer.from('89504e470d0a1a0a', 'hex'), /it is not NIfTI/],
  'a volume that was cut off': [() => gunzipSync(nifti).subarray(0, 3000), /its header asks for/],
  'a gzip that was cut off': [() => nifti.subarray(0, nifti.length / 2), /the compressed data end too early/],
  'a gzip of nothing that is known': [() => gzipSync(Buffer.alloc(4096)), /it is not NIfTI/],
  NaN: [broken, /has 1 values that are NaN or infinite/],
  'a volume of two channels': [
    () => encode(flat([4, 4, 4], 1, 2), [4, 4, 4]),
    /has 2 channels; the model takes 1: image/,
  ],
  'more voxels than are taken': [() => claiming([200, 200, 200]), /200 x 200 x 200 x 1 values; 1048576 are the most/],
  'voxels so large that their number at the spacing of the training is': [
    () => encode(flat([8, 8, 8], 1), [8, 8, 8], 100),
    /more than 1048576 values at the spacing/,
  ],
  'a tar of nothing that is known': [() => tarOf({ 'notes.txt': Buffer.from('hello') }), /neither NIfTI nor DICOM/],
  'a tar with a damaged slice': [
    () => tarOf({ 'a.dcm': Buffer.concat([Buffer.alloc(128), Buffer.from('DICM'), Buffer.alloc(200)]) }),
    /a\.dcm: it cannot be parsed|a\.dcm: /,
  ],
};

/** A tar of files, by name. */
function tarOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const cwd = temporaryFolder();
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(cwd, name), bytes);
  return create({ cwd, sync: true }, Object.keys(files)).read() as Buffer;
}

for (const [what, [body, reason]] of Object.entries(wrong)) {
  test(`${what} is refused with a reason, and the server lives on`, async () => {
    const refused = await post(await body(), 'application/octet-stream');
    const answer = (await refused.json()) as { message: string };
    assert.ok(refused.status === 400 || refused.status === 413, JSON.stringify(answer));
    assert.match(answer.message, reason);
    assert.deepEqual((await segmented(nifti, 'application/x-nifti')).volumes, expected.volumes);
  });
}

/** Most resident bytes that the worker has had. */
function peak(): number {
  const [pid] = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ');
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

test('gzip bombs are refused before they take memory', async () => {
  const before = peak();
  const zeros = Buffer.alloc(2 ** 28);
  const header = await claiming([100, 100, 100]);
  for (const bomb of [
    // more than the header says; more than its own size allows; a tar of zeros
    gzipSync(Buffer.concat([header.subarray(0, 352), zeros])),
    gzipSync(Buffer.concat([tarOf({ 'a.nii': header }).subarray(0, 512), zeros])),
  ]) {
    const answer = await post(bomb, 'application/gzip');
    assert.equal(answer.status, 400, await answer.clone().text());
    assert.match(((await answer.json()) as { message: string }).message, /unpack|larger than/i);
  }
  const growth = peak() - before;
  assert.ok(growth < 160 * 2 ** 20, `${(growth / 2 ** 20).toFixed(0)} MiB more at most`);
});

test('a well compressed volume of more than 256 times its bytes is refused by its header', async (context) => {
  const large = await startServer({ model: await tinySegmenter(), host: '127.0.0.1', port: 0 });
  context.after(() => large.close());
  const shape: Shape = [128, 256, 256];
  const bytes = gzipSync(await encode(flat(shape, 1), shape));
  const headers = { 'content-type': 'application/gzip' };
  const answer = await fetch(`${large.url}/invocations`, { method: 'POST', body: new Uint8Array(bytes), headers });
  assert.equal(answer.status, 400);
  assert.match(((await answer.json()) as { message: string }).message, /would unpack to 33554784: more than 256 times/);
});

test('a volume that takes too long is given up between two windows, and loses nothing but itself', async (context) => {
  // hundreds of windows, against one
  const server = await startServer({ model: await tinySegmenter(), host: '127.0.0.1', port: 0, deadline: 3000 });
  context.after(() => server.close());
  const shape: Shape = [256, 128, 128];
  const send = (bytes: Buffer) => {
    const headers = { 'content-type': 'application/x-nifti' };
    return fetch(`${server.url}/invocations`, { method: 'POST', body: new Uint8Array(bytes), headers });
  };
  const slow = send(await encode(flat(shape, 1), shape));
  const refused = await slow;
  const { message } = (await refused.json()) as { message: string };
  assert.equal(refused.status, 504, message);
  assert.match(message, /takes longer than the server may for a request\. Send a smaller volume/);
  const next = await send(nifti);
  assert.deepEqual(((await next.json()) as Result).volumes, expected.volumes);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  assert.match(metrics, /^scanline_worker_restarts_total 0$/m);
});

test('a worker holds no more volumes than one that runs and one that waits, and a transform is told so', async () => {
  const answer = await fetch(`${server.url}/execution-parameters`);
  assert.equal(((await answer.json()) as { MaxConcurrentTransforms: number }).MaxConcurrentTransforms, 1);
});

test('the answer names the label values of masks, which their header cannot', async () => {
  const { labels } = await segmented(nifti, 'application/x-nifti');
  assert.deepEqual(labels, { background: 0, ball: 3, rest: 7 });
});
