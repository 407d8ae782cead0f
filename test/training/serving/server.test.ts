// The inference server over HTTP: right requests are answered in the form that was asked for, wrong ones refused with a reason.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { type InferenceServer, startServer } from '../../../training/serving/server';
import { assertClose } from '../assert-close';
import { askOracle, withoutOracle } from '../oracle';
import { stripes } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';
import { CLASSES, tinyClassifier } from './tiny-classifier';

/** Writes 32 x 32 grey values as projections that pydicom makes: no place, no spacing. */
const WRITE_DICOM = `
import sys, numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
folder = sys.argv[1]
grey = np.fromfile(f"{folder}/values", "u1").reshape(32, 32)
def write(name, pixels, photometric="MONOCHROME2", **more):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = generate_uid()
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = 32, 32, 1, photometric
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 16, 15, 1
    for key, value in more.items(): setattr(d, key, value)
    d.PixelData = pixels.astype("<i2").tobytes()
    d["PixelData"].VR = "OW"
    d.save_as(f"{folder}/{name}.dcm", enforce_file_format=True)
# a window is [c - 0.5 - (w - 1) / 2, c - 0.5 + (w - 1) / 2] of rescaled values; what lies beyond must not count
low, high = int(grey.min()), int(grey.max())
spot = grey.astype(int) * 2
spot[np.unravel_index(grey.argmax(), grey.shape)] = 30000
write("window", spot, RescaleSlope=0.5, RescaleIntercept=-1000, WindowCenter=(low + high) / 2 + 0.5 - 1000, WindowWidth=high - low + 1)
write("inverted", 255 - grey.astype(int), photometric="MONOCHROME1", WindowCenter=128, WindowWidth=256)
write("range", grey.astype(int) * 3 - 100)
write("frames", np.tile(grey, (2, 1, 1)), NumberOfFrames=2)
write("colour", np.tile(grey[..., None], 3), photometric="RGB", SamplesPerPixel=3, PlanarConfiguration=0)
print("null")`;

let server: InferenceServer;
let png: Buffer;

type Body = string | Uint8Array<ArrayBuffer>;

function post(body: Body, type: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.url}/invocations`, { method: 'POST', body, headers: { 'content-type': type, ...headers } });
}

interface Result {
  readonly label: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

async function classify(body: Body, type: string): Promise<Result> {
  const response = await post(body, type);
  assert.equal(response.status, 200, await response.clone().text());
  return (await response.json()) as Result;
}

const file = (image: Buffer) => new Uint8Array(image);
const grey = (pixels: Uint8Array) =>
  sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
const encoded = () => ({ image: png.toString('base64') });

before(async () => {
  server = await startServer({ model: await tinyClassifier(), host: '127.0.0.1', port: 0, requestTimeout: 1000 });
  png = await grey(stripes('along', 1));
});
after(() => server.close());

test('/ping says that it is healthy', async () => {
  assert.equal((await fetch(`${server.url}/ping`)).status, 200);
});

for (const type of ['image/png', 'application/x-image', 'application/octet-stream', 'IMAGE/PNG; charset=binary']) {
  test(`a PNG sent as ${type} is classified`, async () => {
    const { label, probabilities } = await classify(file(png), type);
    assert.deepEqual(Object.keys(probabilities), CLASSES);
    assert.equal(probabilities[label], Math.max(...Object.values(probabilities)));
    assertClose([Object.values(probabilities).reduce((a, b) => a + b)], [1], 1e-12, 'sum of the probabilities');
  });
}

test('the same image as base64 in JSON, also as a data URL, gives the same answer', async () => {
  const plain = await classify(file(png), 'image/png');
  assert.deepEqual(await classify(JSON.stringify(encoded()), 'application/json'), plain);
  const url = JSON.stringify({ image: `data:image/png;base64,${png.toString('base64')}` });
  assert.deepEqual(await classify(url, 'application/json'), plain);
});

test('the same image as pixels in JSON, with and without an axis of channels, gives the same answer', async () => {
  const plain = await classify(file(png), 'image/png');
  const values = stripes('along', 1);
  const rows = Array.from({ length: 32 }, (_, y) => Array.from(values.subarray(32 * y, 32 * (y + 1))));
  assert.deepEqual(await classify(JSON.stringify({ pixels: rows }), 'application/json'), plain);
  const answer = await post(JSON.stringify({ instances: [rows] }), 'application/json');
  assert.deepEqual(((await answer.json()) as { predictions: Result[] }).predictions, [plain]);
  const deep = rows.map((row) => row.map((value) => [value]));
  assert.deepEqual(await classify(JSON.stringify({ pixels: deep }), 'application/json'), plain);
});

test('a JPEG of another size and with colours is classified', async () => {
  const jpeg = await sharp({ create: { width: 50, height: 70, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  assert.ok(CLASSES.includes((await classify(file(jpeg), 'image/jpeg')).label));
});

/** Batches of other sizes add in another order: float32's last digits differ. */
function assertSame(actual: Result | undefined, expected: Result, what: string): void {
  assert.ok(actual, what);
  assertClose(Object.values(actual.probabilities), Object.values(expected.probabilities), 1e-6, what);
}

test('several images of one request are answered in their order', async () => {
  const images = await Promise.all([0, 1, 2].map((i) => grey(stripes(i === 1 ? 'along' : 'across', i))));
  const instances = images.map((image) => ({ image: image.toString('base64') }));
  const alone = await Promise.all(images.map((image) => classify(file(image), 'image/png')));
  const answer = await post(JSON.stringify({ instances }), 'application/json');
  const { predictions } = (await answer.json()) as { predictions: Result[] };
  assert.equal(predictions.length, 3);
  for (const [i, result] of alone.entries()) assertSame(predictions[i], result, `instance ${i}`);
  const lines = await post(instances.map((instance) => JSON.stringify(instance)).join('\n'), 'application/jsonlines', {
    accept: 'application/jsonlines',
  });
  assert.equal(lines.headers.get('content-type'), 'application/jsonlines');
  const answered = (await lines.text()).trimEnd().split('\n');
  assert.equal(answered.length, 3);
  for (const [i, result] of alone.entries()) assertSame(JSON.parse(answered[i] as string), result, `line ${i}`);
});

test('a list of one instance is answered with a list', async () => {
  for (const list of [{ instances: [encoded()] }, [encoded()]]) {
    const answer = await post(JSON.stringify(list), 'application/json');
    assert.equal(((await answer.json()) as { predictions: Result[] }).predictions.length, 1);
  }
});

test('CSV has the label, and the probabilities in the order of the classes', async () => {
  const { label, probabilities } = await classify(file(png), 'image/png');
  const answer = await post(file(png), 'image/png', { accept: 'text/csv' });
  assert.equal(answer.headers.get('content-type'), 'text/csv');
  assert.equal(await answer.text(), `${label},${CLASSES.map((name) => probabilities[name]).join(',')}\n`);
});

for (const accept of ['*/*', 'text/html, application/*;q=0.5', 'application/json;q=0.9, text/csv;q=0.1']) {
  test(`Accept ${accept} gives JSON`, async () => {
    const answer = await post(file(png), 'image/png', { accept });
    assert.match(answer.headers.get('content-type') as string, /^application\/json/);
  });
}

test('an empty Accept, which fetch would not send, is as none', async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'image/png', accept: '' };
    request(`${server.url}/invocations`, { method: 'POST', headers }, (answer) => resolve(answer.statusCode))
      .on('error', reject)
      .end(png);
  });
  assert.equal(status, 200);
});

test('an Accept that cannot be given is refused with what can', async () => {
  const answer = await post(file(png), 'image/png', { accept: 'image/tiff' });
  assert.equal(answer.status, 406);
  assert.match(((await answer.json()) as { message: string }).message, /image\/tiff.*gives application\/json/);
});

test('twenty requests at once get each its own answer', async () => {
  const images = await Promise.all(Array.from({ length: 20 }, (_, i) => grey(stripes('across', i))));
  const together = await Promise.all(images.map((image) => classify(file(image), 'image/png')));
  for (const [i, image] of images.entries())
    assertSame(together[i], await classify(file(image), 'image/png'), `image ${i}`);
});

test('/models says what the model is, takes and gives', async () => {
  const { models } = (await (await fetch(`${server.url}/models`)).json()) as { models: Record<string, unknown>[] };
  assert.equal(models.length, 1);
  assert.deepEqual(models[0]?.classes, CLASSES);
  assert.deepEqual(models[0]?.input, { height: 32, width: 32, channels: 1 });
});

test('/execution-parameters are what a batch transform asks for', async () => {
  const answer = await fetch(`${server.url}/execution-parameters`);
  assert.deepEqual(await answer.json(), {
    MaxConcurrentTransforms: 32,
    BatchStrategy: 'MULTI_RECORD',
    MaxPayloadInMB: 25,
  });
});

test('/metrics counts requests by status, and images', async () => {
  const count = async (name: string) => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0);
  };
  const names = ['scanline_request_duration_seconds_count{status="200"}', 'scanline_instances_total'];
  const before = await Promise.all(names.map((name) => count(name.replace(/[{}"]/g, '\\$&'))));
  await post(JSON.stringify({ instances: [encoded(), encoded()] }), 'application/json');
  const after = await Promise.all(names.map((name) => count(name.replace(/[{}"]/g, '\\$&'))));
  assert.deepEqual(
    after.map((value, i) => value - (before[i] as number)),
    [1, 2],
  );
});

test('an answer bears the id of its request', async () => {
  const answer = await post(file(png), 'image/png', { 'x-amzn-sagemaker-inference-id': 'scan-7' });
  assert.equal(answer.headers.get('x-request-id'), 'scan-7');
  assert.match((await post(file(png), 'image/png')).headers.get('x-request-id') as string, /^[0-9a-f-]{36}$/);
});

const json = (value: unknown) => () => JSON.stringify(value);
const rows = (height: number, width: number, value: unknown = 1) => ({
  pixels: Array.from({ length: height }, () => Array.from({ length: width }, () => value)),
});

const wrong: Record<string, [status: number, body: () => Body, type: string, reason: RegExp]> = {
  'another content type': [415, () => 'a,b', 'text/csv', /text\/csv is not taken; this model takes image\/png/],
  'an image that was cut off': [400, () => file(png.subarray(0, 200)), 'image/png', /the image cannot be read/],
  'what is no image': [
    400,
    () => 'hello',
    'image/png',
    /the image cannot be read: it is neither PNG nor JPEG nor DICOM/,
  ],
  // its decoder follows references to files
  SVG: [400, () => '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', 'image/png', /neither PNG nor/],
  'an empty body': [400, () => '', 'image/png', /the body is empty/],
  'JSON without an image': [400, json({ picture: 'x' }), 'application/json', /neither an `image` nor `pixels`/],
  'JSON null': [400, () => 'null', 'application/json', /neither an `image` nor `pixels`/],
  'JSON of what is no image': [400, json({ image: 'aGVsbG8=' }), 'application/json', /the image cannot be read/],
  'what is no base64': [400, json({ image: '!!' }), 'application/json', /not base64/],
  'what is no JSON': [400, () => '{"image": ', 'application/json', /the body is not JSON/],
  'an empty list': [400, json({ instances: [] }), 'application/json', /no instance/],
  'a list with one bad image': [
    400,
    () => JSON.stringify({ instances: [encoded(), { image: 'aGVsbG8=' }] }),
    'application/json',
    /instance 1: the image cannot be read/,
  ],
  'a list with one that is none': [
    400,
    () => JSON.stringify({ instances: [encoded(), 7] }),
    'application/json',
    /instances\[1\] has neither/,
  ],
  'too long a list': [
    413,
    json({ instances: Array(1025).fill({}) }),
    'application/json',
    /1025 instances; at most 1024/,
  ],
  'a bad line': [400, () => `${JSON.stringify(encoded())}\n{"image"`, 'application/jsonlines', /line 2 is not JSON/],
  'pixels of another size': [
    400,
    json(rows(31, 32)),
    'application/json',
    /pixels must be a list of 32; it is one of 31/,
  ],
  'ragged pixels': [
    400,
    json({ pixels: rows(32, 32).pixels.with(3, [1]) }),
    'application/json',
    /pixels\[3\] must be a list of 32/,
  ],
  'pixels that are text': [400, json(rows(32, 32, 'x')), 'application/json', /pixels\[0\]/],
  'pixels beyond float32': [
    400,
    json(rows(32, 32, 1e300)),
    'application/json',
    /pixels\[0\]\[0\] must be a finite number/,
  ],
  'pixels of three channels': [
    400,
    json(rows(32, 32, [1, 2, 3])),
    'application/json',
    /pixels\[0\]\[0\] must be a list of 1/,
  ],
  'a body of more than 25 MB': [413, () => new Uint8Array(26 * 2 ** 20), 'image/png', /too large/],
};

for (const [what, [status, body, type, reason]] of Object.entries(wrong)) {
  test(`${what} is refused with ${status} and a reason, and the server lives on`, async () => {
    const refused = await post(body(), type);
    const answer = (await refused.json()) as { message: string };
    assert.equal(refused.status, status, JSON.stringify(answer));
    assert.match(answer.message, reason);
    await classify(file(png), 'image/png');
  });
}

test('a small file of more pixels than are taken is refused before it is decoded', async () => {
  const bomb = await sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: 'black' } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  const refused = await post(file(bomb), 'image/png');
  assert.equal(refused.status, 400);
  assert.match(((await refused.json()) as { message: string }).message, /pixel limit/);
});

test('a compressed body is refused', async () => {
  const refused = await post(file(png), 'image/png', { 'content-encoding': 'gzip' });
  assert.equal(refused.status, 415);
});

test('headers of more than 16 KB are refused', async () => {
  const refused = await post(file(png), 'image/png', { 'x-long': 'x'.repeat(20_000) });
  assert.equal(refused.status, 431);
});

test('another path is refused with those that there are', async () => {
  const refused = await fetch(`${server.url}/predict`, { method: 'POST' });
  assert.equal(refused.status, 404);
  assert.match(((await refused.json()) as { message: string }).message, /POST \/invocations/);
});

test('a client that does not send its request in time is answered 408', async () => {
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.write('POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nhalf');
  const [answer] = (await new Promise((resolve) => socket.once('data', (...data) => resolve(data)))) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 408 /);
  socket.destroy();
});

test('a client that goes away in the middle of its body does no harm', async () => {
  const half = request(`${server.url}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', 'content-length': 1000 },
  });
  half.on('error', () => {});
  half.write('half');
  await new Promise((resolve) => setTimeout(resolve, 50));
  half.destroy();
  await classify(file(png), 'image/png');
});

test('a folder without a model is refused at the start, with what to do', async () => {
  await assert.rejects(startServer({ model: temporaryFolder(), host: '127.0.0.1', port: 0 }), {
    name: 'UserError',
    message: /holds no trained model.*\n {2}Fix: /,
  });
});

const EXPLAIN = { 'x-amzn-sagemaker-custom-attributes': 'explain=true' };

test('explain gives the map of the class that is told, and the same probabilities', async () => {
  const answer = await post(file(png), 'image/png', EXPLAIN);
  const { explanation, ...rest } = (await answer.json()) as Result & {
    explanation: { kind: string; class: string; map: number[][] };
  };
  assertSame(rest, await classify(file(png), 'image/png'), 'the probabilities');
  assert.equal(explanation.kind, 'class activation');
  assert.equal(explanation.class, rest.label);
  assert.ok(explanation.map.length > 0 && explanation.map.flat().every(Number.isFinite));
});

test('explain gives the map of the class that is told, whichever it is', async (context) => {
  const other = await startServer({ model: await tinyClassifier(1, 1), host: '127.0.0.1', port: 0 });
  context.after(() => other.close());
  const headers = { 'content-type': 'image/png', ...EXPLAIN };
  const answer = await fetch(`${other.url}/invocations`, { method: 'POST', body: file(png), headers });
  const { label, explanation } = (await answer.json()) as Result & { explanation: { class: string; map: number[][] } };
  assert.deepEqual([label, explanation.class], [CLASSES[1], CLASSES[1]]);
  // of the class that it does not look for, the map is empty
  assert.ok(explanation.map.flat().some((value) => value !== 0));
});

test('one that asks to explain among many that do not is answered alone with a map', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const answer = await post(file(png), 'image/png', i % 4 === 0 ? EXPLAIN : {});
      return (await answer.json()) as Result & { explanation?: unknown };
    }),
  );
  assert.deepEqual(
    answers.map(({ explanation }) => explanation !== undefined),
    Array.from({ length: 12 }, (_, i) => i % 4 === 0),
  );
});

test('Accept image/png gives the image with the map over it', async () => {
  const answer = await post(file(png), 'image/png', { accept: 'image/png' });
  assert.equal(answer.headers.get('content-type'), 'image/png');
  const { data, info } = await sharp(Buffer.from(await answer.arrayBuffer()))
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height, info.channels], [512, 512, 3]);
  const isColoured = (n: number) => Math.abs((data[n] as number) - (data[n + 2] as number)) > 20;
  let coloured = 0;
  for (let n = 0; n < data.length; n += 3) if (isColoured(n)) coloured++;
  assert.ok(coloured > 100 && coloured < 512 * 512, `${coloured} coloured pixels`);
});

test('a DICOM file is shown in its window and classified as the same PNG', { skip: withoutOracle }, async () => {
  const folder = temporaryFolder();
  const values = stripes('along', 1);
  writeFileSync(join(folder, 'values'), values);
  askOracle(WRITE_DICOM, folder);
  const plain = await classify(file(png), 'image/png');
  for (const name of ['window', 'inverted', 'range']) {
    const { probabilities } = await classify(file(readFileSync(join(folder, `${name}.dcm`))), 'application/dicom');
    assertClose(Object.values(probabilities), Object.values(plain.probabilities), 1e-5, name);
  }
  for (const [name, reason] of [
    ['frames', /several frames/],
    ['colour', /coloured/],
  ] as const) {
    const refused = await post(file(readFileSync(join(folder, `${name}.dcm`))), 'application/dicom');
    assert.equal(refused.status, 400);
    assert.match(((await refused.json()) as { message: string }).message, reason);
  }
});
