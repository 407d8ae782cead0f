// Jobs in real containers: what they see, what they cannot reach, how they end, and that none is left behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ContainerExecutor } from '../../lib/local/jobs/container-executor';
import type { ContainerRequest } from '../../lib/local/jobs/executor';
import { eventually } from '../lib/local/control-plane';
import { temporaryFolder } from '../training/temporary-folder';
import { ask, containersOf, IMAGE, tool, withoutContainers } from './tools';

const settings = { skip: withoutContainers, timeout: 120_000 };

function executorOf(t: TestContext, options: { memory?: string } = {}) {
  const state = temporaryFolder();
  const executor = new ContainerExecutor(
    { tool, images: new Map([['registry.test/own:1', IMAGE]]), ...options },
    state,
  );
  t.after(() => executor.close());
  const base = join(state, 'opt', 'ml');
  const log = join(state, 'log.txt');
  const run = (script: string, request: Partial<ContainerRequest> = {}) =>
    executor.run({
      image: 'registry.test/own:1',
      command: ['sh', '-c', script],
      environment: {},
      base,
      log,
      ...request,
    });
  return { state, executor, base, run, printed: () => readFileSync(log, 'utf8') };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  return port;
}

test(
  'a job sees its folder as /opt/ml, its environment and the mounts, and leaves its results there',
  settings,
  async (t) => {
    const { base, state, run } = executorOf(t);
    mkdirSync(base, { recursive: true });
    writeFileSync(join(base, 'input'), 'scan');
    const checkpoints = join(state, 'stored');
    const container = run('cat /opt/ml/input > /opt/ml/output; echo $NAME > /opt/ml/checkpoints/saved', {
      environment: { NAME: 'a job' },
      mounts: new Map([['/opt/ml/checkpoints', checkpoints]]),
    });
    assert.equal(await container.exited, 0);
    assert.equal(readFileSync(join(base, 'output'), 'utf8'), 'scan');
    assert.equal(readFileSync(join(checkpoints, 'saved'), 'utf8'), 'a job\n');
  },
);

test('what a job prints is in its log, and its exit status is told', settings, async (t) => {
  const { run, printed } = executorOf(t);
  assert.equal(await run('echo out; echo err >&2; exit 7').exited, 7);
  assert.match(printed(), /out\n/);
  assert.match(printed(), /err\n/);
});

test('a job reaches no network, not even this machine', settings, async (t) => {
  const { run, printed } = executorOf(t);
  assert.equal(await run('node -p "Object.keys(os.networkInterfaces()).join()"').exited, 0);
  assert.match(printed().trim(), /^(lo)?$/);
});

test('an entry point stands in for that of the image', settings, async (t) => {
  const { run, printed } = executorOf(t);
  assert.equal(await run('', { entrypoint: ['node', '-p'], command: ['6 * 7'] }).exited, 0);
  assert.equal(printed().trim(), '42');
});

test('a server is reached at its port of this machine', settings, async (t) => {
  const { run } = executorOf(t);
  const port = await freePort();
  const container = run('exec node -e "http.createServer((_, answer) => answer.end(\'pong\')).listen(8080)"', { port });
  const answer = await eventually(() =>
    fetch(`http://127.0.0.1:${port}/ping`).then(
      (response) => response.text(),
      () => undefined,
    ),
  );
  assert.equal(answer, 'pong');
  await container.stop(1);
});

test('stopping sends SIGTERM, and takes what the job makes of it', settings, async (t) => {
  const { run, base } = executorOf(t);
  const container = run(
    `trap 'echo saved > /opt/ml/checkpoint; exit 0' TERM; touch /opt/ml/ready; while :; do sleep 0.1; done`,
  );
  await eventually(() => existsSync(join(base, 'ready')));
  await container.stop(30);
  assert.equal(await container.exited, 0);
  assert.equal(readFileSync(join(base, 'checkpoint'), 'utf8'), 'saved\n');
});

test('stopping kills a job that does not heed SIGTERM when its time is over', settings, async (t) => {
  const { run, base, state } = executorOf(t);
  const container = run(`trap '' TERM; touch /opt/ml/ready; while :; do sleep 0.1; done`);
  await eventually(() => existsSync(join(base, 'ready')));
  const started = Date.now();
  await container.stop(2);
  assert.equal(await container.exited, 137);
  assert.ok(Date.now() - started >= 2000);
  assert.deepEqual(containersOf(state), []);
});

test('stopping a job that is only being started ends it', settings, async (t) => {
  const { run, state } = executorOf(t);
  await run('sleep 300').stop(1);
  assert.deepEqual(containersOf(state), []);
});

test('a job that takes more memory than it may is killed', settings, async (t) => {
  const { run } = executorOf(t, { memory: '128m' });
  assert.equal(await run('exec node -e "const all = []; for (;;) all.push(Buffer.alloc(1e7, 1))"').exited, 137);
});

test('a kill -9 of the control plane ends its containers', settings, async () => {
  const folder = temporaryFolder();
  const plane = spawn(process.execPath, [join(__dirname, 'held-executor.js'), tool, IMAGE, folder], {
    stdio: 'inherit',
  });
  const exited = once(plane, 'exit');
  await eventually(() => existsSync(join(folder, 'opt', 'ml', 'ready')), 60);
  assert.equal(containersOf(folder).length, 1);
  plane.kill('SIGKILL');
  await exited;
  await eventually(() => containersOf(folder).length === 0, 30);
});

test('the next control plane of a folder takes away what is left of the last one', settings, () => {
  const state = temporaryFolder();
  ask('run', '--detach', '--network', 'none', '--label', `scanline.state=${state}`, IMAGE, 'sleep', '300');
  assert.equal(containersOf(state).length, 1);
  new ContainerExecutor({ tool, images: new Map() }, state);
  assert.deepEqual(containersOf(state), []);
});
