// The inference server over HTTP: right requests are answered, wrong ones refused with a reason, and it lives on.
import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import sharp from 'sharp';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { type ClassifierConfig, networkOf, type OpenClassifier, writeWeights } from '../../../training/engine/artifact';
import { Model, toStateDict } from '../../../training/engine/model';
import { openForInference } from '../../../training/engine/predict';
import { makeServer } from '../../../training/serving/server';
import { readHyperparameters } from '../../../training/settings';
import { assertClose } from '../assert-close';
import { stripes } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const config: ClassifierConfig = {
  ...{ format: 'scanline-classifier', version: 1, classes: ['across', 'along'] },
  image: { height: 32, width: 32, channels: 1 },
  hyperparameters: readHyperparameters({
    given: { init_features: 4, growth_rate: 2, bn_size: 1, block_config: '1,1', img_size: 32 },
  }),
};
let opened: OpenClassifier & { close(): void };
let server: FastifyInstance;
let url: string;
let png: Buffer;

/** A classifier that was never trained. */
async function writeClassifier(folder: string): Promise<void> {
  const runtime = new CompiledRuntime({});
  const model = new Model(networkOf(config), runtime);
  await model.initialise(1);
  await writeWeights(folder, toStateDict(model.network, await model.values(), 0), config);
  runtime.dispose();
}

type Body = string | Uint8Array<ArrayBuffer>;

async function invoke(body: Body, type: string): Promise<{ status: number; answer: Record<string, unknown> }> {
  const response = await fetch(`${url}/invocations`, { method: 'POST', body, headers: { 'content-type': type } });
  return { status: response.status, answer: (await response.json()) as Record<string, unknown> };
}

before(async () => {
  const folder = temporaryFolder();
  await writeClassifier(folder);
  opened = await openForInference(folder);
  server = await makeServer(opened);
  await server.listen({ port: 0, host: '127.0.0.1' });
  url = `http://127.0.0.1:${(server.server.address() as AddressInfo).port}`;
  const image = sharp(stripes('along', 1), { raw: { width: 32, height: 32, channels: 1 } });
  png = await image.toColourspace('b-w').png().toBuffer();
});
after(async () => {
  await server.close();
  opened.close();
});

test('/ping says that it is healthy', async () => {
  assert.equal((await fetch(`${url}/ping`)).status, 200);
});

for (const type of ['image/png', 'application/x-image', 'application/octet-stream']) {
  test(`a PNG sent as ${type} is classified`, async () => {
    const { status, answer } = await invoke(new Uint8Array(png), type);
    assert.equal(status, 200);
    const { label, probabilities } = answer as { label: string; probabilities: Record<string, number> };
    assert.deepEqual(Object.keys(probabilities), config.classes);
    assert.equal(probabilities[label], Math.max(...Object.values(probabilities)));
    assertClose([Object.values(probabilities).reduce((a, b) => a + b)], [1], 1e-12, 'sum of the probabilities');
  });
}

test('the same image as JSON gives the same answer', async () => {
  const plain = await invoke(new Uint8Array(png), 'image/png');
  const encoded = await invoke(JSON.stringify({ image: png.toString('base64') }), 'application/json');
  assert.equal(encoded.status, 200);
  assert.deepEqual(encoded.answer, plain.answer);
});

test('a JPEG of another size and with colours is classified', async () => {
  const jpeg = await sharp({ create: { width: 50, height: 70, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  const { status, answer } = await invoke(new Uint8Array(jpeg), 'image/jpeg');
  assert.equal(status, 200);
  assert.ok(config.classes.includes(answer.label as string));
});

test('twenty requests at once get each its own answer', async () => {
  const images = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      sharp(stripes('across', i), { raw: { width: 32, height: 32, channels: 1 } })
        .png()
        .toBuffer(),
    ),
  );
  const one = async (image: Buffer) => (await invoke(new Uint8Array(image), 'image/png')).answer;
  const together = await Promise.all(images.map(one));
  for (const [i, image] of images.entries()) assert.deepEqual(together[i], await one(image));
});

const wrong: Record<string, [status: number, body: () => Body, type: string, reason: RegExp]> = {
  'another content type': [
    415,
    () => 'a,b',
    'text/csv',
    /send an image as the body \(Content-Type image\/png, image\/jpeg/,
  ],
  text: [400, () => 'hello', 'text/plain', /send an image as the body \(Content-Type image\/png, image\/jpeg/],
  'an image that was cut off': [
    400,
    () => new Uint8Array(png.subarray(0, 200)),
    'image/png',
    /the image cannot be read/,
  ],
  'what is no image': [400, () => 'hello', 'image/png', /the image cannot be read: .*unsupported image format/],
  'an empty body': [400, () => '', 'image/png', /send an image as the body/],
  'JSON without an image': [400, () => '{"picture": "x"}', 'application/json', /JSON as \{"image": "base64"\}/],
  'JSON null': [400, () => 'null', 'application/json', /send an image as the body/],
  'JSON of what is no image': [400, () => '{"image": "aGVsbG8="}', 'application/json', /the image cannot be read/],
  'JSON of an empty image': [400, () => '{"image": ""}', 'application/json', /the image cannot be read/],
  'what is no JSON': [400, () => '{"image": ', 'application/json', /JSON/],
  'a body of more than 25 MB': [413, () => new Uint8Array(26 * 2 ** 20), 'image/png', /too large/],
};

for (const [what, [status, body, type, reason]] of Object.entries(wrong)) {
  test(`${what} is refused with ${status} and a reason, and the server lives on`, async () => {
    const refused = await invoke(body(), type);
    assert.equal(refused.status, status, JSON.stringify(refused.answer));
    assert.match(refused.answer.message as string, reason);
    assert.equal((await invoke(new Uint8Array(png), 'image/png')).status, 200);
  });
}
