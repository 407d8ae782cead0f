// Wrong requests of the inference server are refused with a reason, and it lives on.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect } from 'node:net';
import { test } from 'node:test';
import sharp from 'sharp';
import { startServer } from '../../../training/serving/server';
import { temporaryFolder } from '../temporary-folder';
import { type Body, file, messageOf, serveClassifier } from './served-classifier';

const { url, post, png, encoded, classify } = serveClassifier();

const json = (value: unknown) => () => JSON.stringify(value);
const rows = (height: number, width: number, value: unknown = 1) => ({
  pixels: Array.from({ length: height }, () => Array.from({ length: width }, () => value)),
});

const wrong: Record<string, [status: number, body: () => Body, type: string, reason: RegExp]> = {
  'another content type': [415, () => 'a,b', 'text/csv', /text\/csv is not taken; this model takes image\/png/],
  'an image that was cut off': [400, () => file(png().subarray(0, 200)), 'image/png', /the image cannot be read/],
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
    await classify(file(png()), 'image/png');
  });
}

test('a small file of more pixels than are taken is refused before it is decoded', async () => {
  const bomb = await sharp({ create: { width: 10_000, height: 10_000, channels: 3, background: 'black' } })
    .png({ compressionLevel: 9 })
    .toBuffer();
  const refused = await post(file(bomb), 'image/png');
  assert.equal(refused.status, 400);
  assert.match(await messageOf(refused), /pixel limit/);
});

test('a compressed body is refused', async () => {
  const refused = await post(file(png()), 'image/png', { 'content-encoding': 'gzip' });
  assert.equal(refused.status, 415);
});

test('headers of more than 16 KB are refused', async () => {
  const refused = await post(file(png()), 'image/png', { 'x-long': 'x'.repeat(20_000) });
  assert.equal(refused.status, 431);
});

test('another path is refused with those that there are', async () => {
  const refused = await fetch(`${url()}/predict`, { method: 'POST' });
  assert.equal(refused.status, 404);
  assert.match(await messageOf(refused), /POST \/invocations/);
});

test('a client that does not send its request in time is answered 408', async () => {
  const { hostname, port } = new URL(url());
  const socket = connect(Number(port), hostname);
  socket.write('POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\nhalf');
  const [answer] = (await new Promise((resolve) => socket.once('data', (...data) => resolve(data)))) as [Buffer];
  assert.match(answer.toString(), /^HTTP\/1.1 408 /);
  socket.destroy();
});

test('a client that goes away in the middle of its body does no harm', async () => {
  const half = request(`${url()}/invocations`, {
    method: 'POST',
    headers: { 'content-type': 'image/png', 'content-length': 1000 },
  });
  half.on('error', () => {});
  half.write('half');
  await new Promise((resolve) => setTimeout(resolve, 50));
  half.destroy();
  await classify(file(png()), 'image/png');
});

test('a folder without a model is refused at the start, with what to do', async () => {
  await assert.rejects(startServer({ model: temporaryFolder(), host: '127.0.0.1', port: 0 }), {
    name: 'UserError',
    message: /holds no trained model.*\n {2}Fix: /,
  });
});
