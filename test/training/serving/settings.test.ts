// The server as the container starts it: environment variables set its limits, and standard output has a line for each request.
import assert from 'node:assert/strict';
import { readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { encodeNifti } from '../../../training/data/volumes/nifti';
import { IDENTITY, type Shape } from '../../../training/data/volumes/volume';
import { type Running, start } from '../command-line';
import { BALL_SHAPE, ball } from '../sample-volumes';
import { temporaryFolder } from '../temporary-folder';
import { tinySegmenter } from './tiny-segmenter';

let running: Running;
let url: string;
let printed = '';

before(async () => {
  const base = temporaryFolder();
  renameSync(await tinySegmenter(), join(base, 'model'));
  running = start('containers/byoc/entrypoints/serve.js', [], {
    ...{ SAGEMAKER_BASE_DIR: base, SAGEMAKER_BIND_TO_PORT: '0', SCANLINE_BIND_HOST: '127.0.0.1' },
    ...{ SCANLINE_MAX_VOXELS: '5000', SCANLINE_MAX_BODY_MB: '1', SAGEMAKER_MODEL_SERVER_TIMEOUT: '2' },
    ...{ SCANLINE_MAX_REQUESTS: '2' },
  });
  running.child.stdout?.on('data', (chunk) => {
    printed += chunk;
  });
  while (running.child.exitCode === null && !/serving at \S+\n/.test(printed)) await wait(5);
  url = /serving at (\S+)\n/.exec(printed)?.[1] as string;
});
after(async () => {
  running.child.kill('SIGTERM');
  await running.ended;
});

const volume = (shape: Shape = BALL_SHAPE) => encodeNifti(ball(1, shape).image, { shape, affine: IDENTITY });

async function post(body: Buffer, headers: Record<string, string> = {}) {
  const answer = await fetch(`${url}/invocations`, {
    ...{ method: 'POST', body: new Uint8Array(body) },
    headers: { 'content-type': 'application/x-nifti', ...headers },
  });
  return { status: answer.status, headers: answer.headers, ...((await answer.json()) as { message?: string }) };
}

test('SCANLINE_MAX_VOXELS bounds the values of a volume', async () => {
  assert.equal((await post(await volume())).status, 200);
  const refused = await post(await volume([20, 20, 20]));
  assert.ok(refused.status === 400 || refused.status === 413, `${refused.status}`);
  assert.match(refused.message as string, /5000 are the most/);
});

test('SCANLINE_MAX_BODY_MB bounds a request, and is what a transform is told', async () => {
  assert.equal((await post(Buffer.alloc(2 ** 20 + 1))).status, 413);
  const told = (await (await fetch(`${url}/execution-parameters`)).json()) as { MaxPayloadInMB: number };
  assert.equal(told.MaxPayloadInMB, 1);
});

test('each request is a line of JSON, with its id and nothing of the volume', async () => {
  const body = await volume();
  await post(body, { 'x-amzn-sagemaker-inference-id': 'scan-7' });
  while (!printed.includes('scan-7')) await wait(5);
  const line = JSON.parse(printed.split('\n').find((text) => text.includes('scan-7')) as string);
  assert.deepEqual(Object.keys(line), ['time', 'request', 'status', 'milliseconds', 'received', 'sent']);
  assert.deepEqual([line.request, line.status, line.received], ['scan-7', 200, body.length]);
});

/** The process that runs the model. */
function worker(): number {
  const { pid } = running.child;
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

test('SAGEMAKER_MODEL_SERVER_TIMEOUT bounds the time of a request, and SCANLINE_MAX_REQUESTS how many wait', async () => {
  const body = await volume();
  process.kill(worker(), 'SIGSTOP');
  const began = performance.now();
  const held = [post(body), post(body)];
  await wait(500);
  const refused = await post(body);
  assert.deepEqual([refused.status, refused.headers.get('retry-after')], [503, '1']);
  const statuses = (await Promise.all(held)).map(({ status }) => status);
  const seconds = (performance.now() - began) / 1000;
  process.kill(worker(), 'SIGCONT');
  assert.deepEqual(statuses, [504, 504]);
  assert.ok(seconds >= 2 && seconds < 30, `${seconds} s`);
});

test('SIGTERM: what is in progress is answered, nothing new is taken, and it ends with 0', async () => {
  const pid = worker();
  // what the stopped worker held in the test before
  while ((await post(await volume())).status !== 200) await wait(20);
  process.kill(pid, 'SIGSTOP');
  const held = post(await volume());
  while (!(await (await fetch(`${url}/metrics`)).text()).includes('scanline_requests_in_progress 1\n')) await wait(20);
  running.child.kill('SIGTERM');
  const refused = () =>
    fetch(`${url}/ping`, { headers: { connection: 'close' } }).then(
      () => false,
      () => true,
    );
  while (!(await refused())) await wait(20);
  process.kill(pid, 'SIGCONT');
  assert.equal((await held).status, 200);
  assert.equal((await running.ended).status, 0);
});
