// The inference server over HTTP: right requests are answered in the form that was asked for, and what it says of itself.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import sharp from 'sharp';
import { assertClose } from '../assert-close';
import { stripes } from '../sample-images';
import { assertSame, file, grey, messageOf, type Result, serveClassifier } from './served-classifier';
import { CLASSES } from './tiny-classifier';

const { url, post, png, encoded, classify } = serveClassifier();

test('/ping says that it is healthy', async () => {
  assert.equal((await fetch(`${url()}/ping`)).status, 200);
});

for (const type of ['image/png', 'application/x-image', 'application/octet-stream', 'IMAGE/PNG; charset=binary']) {
  test(`a PNG sent as ${type} is classified`, async () => {
    const { label, probabilities } = await classify(file(png()), type);
    assert.deepEqual(Object.keys(probabilities), CLASSES);
    assert.equal(probabilities[label], Math.max(...Object.values(probabilities)));
    assertClose([Object.values(probabilities).reduce((a, b) => a + b)], [1], 1e-12, 'sum of the probabilities');
  });
}

test('the same image as base64 in JSON, also as a data URL, gives the same answer', async () => {
  const plain = await classify(file(png()), 'image/png');
  assert.deepEqual(await classify(JSON.stringify(encoded()), 'application/json'), plain);
  const url = JSON.stringify({ image: `data:image/png;base64,${png().toString('base64')}` });
  assert.deepEqual(await classify(url, 'application/json'), plain);
});

test('the same image as pixels in JSON, with and without an axis of channels, gives the same answer', async () => {
  const plain = await classify(file(png()), 'image/png');
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
  const { label, probabilities } = await classify(file(png()), 'image/png');
  const answer = await post(file(png()), 'image/png', { accept: 'text/csv' });
  assert.equal(answer.headers.get('content-type'), 'text/csv');
  assert.equal(await answer.text(), `${label},${CLASSES.map((name) => probabilities[name]).join(',')}\n`);
});

for (const accept of ['*/*', 'text/html, application/*;q=0.5', 'application/json;q=0.9, text/csv;q=0.1']) {
  test(`Accept ${accept} gives JSON`, async () => {
    const answer = await post(file(png()), 'image/png', { accept });
    assert.match(answer.headers.get('content-type') as string, /^application\/json/);
  });
}

test('an empty Accept, which fetch would not send, is as none', async () => {
  const status = await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'image/png', accept: '' };
    request(`${url()}/invocations`, { method: 'POST', headers }, (answer) => resolve(answer.statusCode))
      .on('error', reject)
      .end(png());
  });
  assert.equal(status, 200);
});

test('an Accept that cannot be given is refused with what can', async () => {
  const answer = await post(file(png()), 'image/png', { accept: 'image/tiff' });
  assert.equal(answer.status, 406);
  assert.match(await messageOf(answer), /image\/tiff.*gives application\/json/);
});

test('twenty requests at once get each its own answer', async () => {
  const images = await Promise.all(Array.from({ length: 20 }, (_, i) => grey(stripes('across', i))));
  const together = await Promise.all(images.map((image) => classify(file(image), 'image/png')));
  for (const [i, image] of images.entries())
    assertSame(together[i], await classify(file(image), 'image/png'), `image ${i}`);
});

test('/models says what the model is, takes and gives', async () => {
  const { models } = (await (await fetch(`${url()}/models`)).json()) as { models: Record<string, unknown>[] };
  assert.equal(models.length, 1);
  assert.deepEqual(models[0]?.classes, CLASSES);
  assert.deepEqual(models[0]?.input, { height: 32, width: 32, channels: 1 });
});

test('/execution-parameters are what a batch transform asks for', async () => {
  const answer = await fetch(`${url()}/execution-parameters`);
  assert.deepEqual(await answer.json(), {
    MaxConcurrentTransforms: 32,
    BatchStrategy: 'MULTI_RECORD',
    MaxPayloadInMB: 25,
  });
});

test('/metrics counts requests by status, and images', async () => {
  const count = async (name: string) => {
    const text = await (await fetch(`${url()}/metrics`)).text();
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
  const answer = await post(file(png()), 'image/png', { 'x-amzn-sagemaker-inference-id': 'scan-7' });
  assert.equal(answer.headers.get('x-request-id'), 'scan-7');
  assert.match((await post(file(png()), 'image/png')).headers.get('x-request-id') as string, /^[0-9a-f-]{36}$/);
});
