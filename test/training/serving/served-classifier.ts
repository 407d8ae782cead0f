// A tiny classifier behind the inference server, for the tests of a file, and what they ask of it.
import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import sharp from 'sharp';
import { type InferenceServer, startServer } from '../../../training/serving/server';
import { assertClose } from '../assert-close';
import { stripes } from '../sample-images';
import { tinyClassifier } from './tiny-classifier';

export type Body = string | Uint8Array<ArrayBuffer>;

/** What is answered of an image. */
export interface Result {
  readonly label: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

/** An image as the body of a request. */
export const file = (image: Buffer) => new Uint8Array(image);

/** A PNG of 32 x 32 grey values. */
export const grey = (pixels: Uint8Array): Promise<Buffer> =>
  sharp(pixels, { raw: { width: 32, height: 32, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();

/** Batches of other sizes add in another order: float32's last digits differ. */
export function assertSame(actual: Result | undefined, expected: Result, what: string): void {
  assert.ok(actual, what);
  assertClose(Object.values(actual.probabilities), Object.values(expected.probabilities), 1e-6, what);
}

export async function messageOf(refused: Response): Promise<string> {
  return ((await refused.json()) as { message: string }).message;
}

/** Serves a classifier from before the first test of a file until after the last one. */
export function serveClassifier() {
  let server: InferenceServer;
  let image: Buffer;
  before(async () => {
    server = await startServer({ model: await tinyClassifier(), host: '127.0.0.1', port: 0, requestTimeout: 1000 });
    image = await grey(stripes('along', 1));
  });
  after(() => server.close());
  const url = () => server.url;
  const post = (body: Body, type: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${url()}/invocations`, { method: 'POST', body, headers: { 'content-type': type, ...headers } });
  return {
    url,
    post,
    /** An image that it can be asked about: stripes along. */
    png: () => image,
    /** The same, as JSON has it. */
    encoded: () => ({ image: image.toString('base64') }),
    async classify(body: Body, type: string): Promise<Result> {
      const response = await post(body, type);
      assert.equal(response.status, 200, await response.clone().text());
      return (await response.json()) as Result;
    },
  };
}
