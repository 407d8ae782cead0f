// What the server does when there is too much to do, when a worker ends or is stuck, and when it is to end itself.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { before, type TestContext, test } from 'node:test';
import sharp from 'sharp';
import { type InferenceServer, type ServerOptions, startServer } from '../../../training/serving/server';
import { stripes } from '../sample-images';
import { tinyClassifier } from './tiny-classifier';

let model: string;
let png: Uint8Array<ArrayBuffer>;

before(async () => {
  model = await tinyClassifier();
  const image = sharp(stripes('along', 1), { raw: { width: 32, height: 32, channels: 1 } });
  png = new Uint8Array(await image.toColourspace('b-w').png().toBuffer());
});

async function serve(context: TestContext, options: Partial<ServerOptions> = {}): Promise<InferenceServer> {
  const server = await startServer({ model, host: '127.0.0.1', port: 0, ...options });
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= server.close();
    return closed;
  };
  context.after(async () => {
    for (const pid of workers()) process.kill(pid, 'SIGCONT');
    await close();
  });
  return { ...server, close };
}

/** The pids of the workers of this process' servers. */
function workers(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, state, parent] = /^.*\) (\S) (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
        const isWorker = readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('serving/worker.js');
        return isWorker && Number(parent) === process.pid && state !== 'Z';
      } catch {
        return false;
      }
    });
}

function stopWorker(): number {
  const [pid] = workers();
  assert.ok(pid !== undefined);
  process.kill(pid, 'SIGSTOP');
  return pid;
}

const post = ({ url }: InferenceServer) =>
  fetch(`${url}/invocations`, { method: 'POST', body: png, headers: { 'content-type': 'image/png' } });

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('it did not come to be within 20 s');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const inProgress = (count: number, server: InferenceServer) =>
  until(async () =>
    (await (await fetch(`${server.url}/metrics`)).text()).includes(`scanline_requests_in_progress ${count}\n`),
  );

test('more requests than may wait are answered 503 with Retry-After, and those that wait are answered', async (t) => {
  const server = await serve(t, { maxRequests: 3 });
  const worker = stopWorker();
  const held = [post(server), post(server), post(server)];
  await inProgress(3, server);
  const refused = await post(server);
  assert.equal(refused.status, 503);
  assert.equal(refused.headers.get('retry-after'), '1');
  process.kill(worker, 'SIGCONT');
  assert.deepEqual(
    (await Promise.all(held)).map(({ status }) => status),
    [200, 200, 200],
  );
  assert.equal((await post(server)).status, 200);
});

test('more bytes than requests may take together are answered 503, until there is room again', async (t) => {
  const server = await serve(t, { maxBodies: 2 * png.length });
  const worker = stopWorker();
  const held = [post(server), post(server)];
  await inProgress(2, server);
  assert.equal((await post(server)).status, 503);
  process.kill(worker, 'SIGCONT');
  await Promise.all(held);
  await until(async () => (await post(server)).status === 200);
});

test('a worker that is killed loses only the requests that it held, and is replaced', async (t) => {
  const server = await serve(t, { maxBatch: 1 });
  const worker = stopWorker();
  const requests = [1, 2, 3, 4].map(() => post(server));
  await inProgress(4, server);
  process.kill(worker, 'SIGKILL');
  const statuses = (await Promise.all(requests)).map(({ status }) => status);
  assert.deepEqual(statuses.sort(), [200, 200, 503, 503], 'it held two, the others waited');
  assert.match(await (await fetch(`${server.url}/metrics`)).text(), /^scanline_worker_restarts_total 1$/m);
});

test('while no worker is ready, /ping is not healthy; then it is again', async (t) => {
  const server = await serve(t);
  const status = async () => (await fetch(`${server.url}/ping`)).status;
  process.kill(workers()[0] as number, 'SIGKILL');
  await until(async () => (await status()) === 503);
  await until(async () => (await status()) === 200);
});

test('a worker that is stuck is replaced; its request is told in time that it took too long', async (t) => {
  const server = await serve(t, { deadline: 300, grace: 300 });
  const stuck = stopWorker();
  const answer = await post(server);
  assert.equal(answer.status, 504);
  assert.match(((await answer.json()) as { message: string }).message, /takes longer than the server may/);
  await until(async () => !workers().includes(stuck));
  await until(async () => (await post(server)).status === 200);
});

test('a worker that was slow for once is kept', async (t) => {
  const server = await serve(t, { deadline: 300 });
  const slow = stopWorker();
  assert.equal((await post(server)).status, 504);
  process.kill(slow, 'SIGCONT');
  await until(async () => (await post(server)).status === 200);
  assert.deepEqual(workers(), [slow]);
});

test('a server that ends answers what is in progress, takes nothing new, and leaves no process behind', async (t) => {
  const server = await serve(t);
  const worker = stopWorker();
  const held = [post(server), post(server)];
  await inProgress(2, server);
  const closed = server.close();
  await assert.rejects(post(server), 'it still listens');
  process.kill(worker, 'SIGCONT');
  assert.deepEqual(
    (await Promise.all(held)).map(({ status }) => status),
    [200, 200],
  );
  await closed;
  assert.deepEqual(workers(), []);
});

test('a second worker serves while the first is stuck', async (t) => {
  const server = await serve(t, { workers: 2 });
  await until(async () => /^scanline_workers_ready 2$/m.test(await (await fetch(`${server.url}/metrics`)).text()));
  stopWorker();
  const statuses = [post(server), post(server)].map(async (answer) => (await answer).status);
  assert.equal(await Promise.race(statuses), 200);
});
