// Where a classifier has looked, over HTTP: as a map of numbers, and as a picture.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { startServer } from '../../../training/serving/server';
import { assertSame, file, type Result, serveClassifier } from './served-classifier';
import { CLASSES, tinyClassifier } from './tiny-classifier';

const { post, png, classify } = serveClassifier();

const EXPLAIN = { 'x-amzn-sagemaker-custom-attributes': 'explain=true' };

test('explain gives the map of the class that is told, and the same probabilities', async () => {
  const answer = await post(file(png()), 'image/png', EXPLAIN);
  const { explanation, ...rest } = (await answer.json()) as Result & {
    explanation: { kind: string; class: string; map: number[][] };
  };
  assertSame(rest, await classify(file(png()), 'image/png'), 'the probabilities');
  assert.equal(explanation.kind, 'class activation');
  assert.equal(explanation.class, rest.label);
  assert.ok(explanation.map.length > 0 && explanation.map.flat().every(Number.isFinite));
});

test('explain gives the map of the class that is told, whichever it is', async (context) => {
  const other = await startServer({ model: await tinyClassifier(1, 1), host: '127.0.0.1', port: 0 });
  context.after(() => other.close());
  const headers = { 'content-type': 'image/png', ...EXPLAIN };
  const answer = await fetch(`${other.url}/invocations`, { method: 'POST', body: file(png()), headers });
  const { label, explanation } = (await answer.json()) as Result & { explanation: { class: string; map: number[][] } };
  assert.deepEqual([label, explanation.class], [CLASSES[1], CLASSES[1]]);
  // of the class that it does not look for, the map is empty
  assert.ok(explanation.map.flat().some((value) => value !== 0));
});

test('one that asks to explain among many that do not is answered alone with a map', async () => {
  const answers = await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      const answer = await post(file(png()), 'image/png', i % 4 === 0 ? EXPLAIN : {});
      return (await answer.json()) as Result & { explanation?: unknown };
    }),
  );
  assert.deepEqual(
    answers.map(({ explanation }) => explanation !== undefined),
    Array.from({ length: 12 }, (_, i) => i % 4 === 0),
  );
});

test('Accept image/png gives the image with the map over it', async () => {
  const answer = await post(file(png()), 'image/png', { accept: 'image/png' });
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
