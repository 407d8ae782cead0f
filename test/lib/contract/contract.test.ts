// The contract test kit: a container that keeps the contract passes, and one that breaks a point is caught on that point.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ContractOptions, type Finding, POINTS, type PointId, testContract } from '../../../lib/contract';
import { checkImage } from '../../../lib/contract/image';
import { Findings } from '../../../lib/contract/points';
import { describeFinding, summarise } from '../../../lib/contract/report';
import { ProcessExecutor } from '../../../lib/local/jobs/executor';
import { scanline } from '../../training/command-line';
import { writeDataset } from '../../training/sample-images';
import { temporaryFolder } from '../../training/temporary-folder';
import { imageFolder } from '../local/control-plane';

/** A trainer of a few lines that keeps the contract; sh, in the folder that is /opt/ml. */
const TRAIN = {
  input: `if [ -z "$(ls input/data/train)" ]; then echo 'the channel train is empty' > output/failure; exit 1; fi`,
  stop: `trap 'echo saved > checkpoints/state; exit 0' TERM`,
  work: 'if [ ! -e checkpoints/state ]; then for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; done; fi',
  save: 'echo weights > model/weights',
  end: 'exit 0',
};

/** A server of a few lines that keeps the contract; each part can be replaced by a worse one. */
const SERVE = {
  start: '',
  ping: 'response.end();',
  read: '',
  invoke: `if (body !== 'good') return response.writeHead(400).end('not good'); setTimeout(() => response.end('fine'), 20);`,
  other: `if (request.url === '/execution-parameters') return response.end('{}');`,
  stop: `process.once('SIGTERM', () => server.close(() => process.exit(0)));`,
  port: 'Number(process.env.SAGEMAKER_BIND_TO_PORT)',
};

function serverOf(parts: typeof SERVE): string {
  const file = join(temporaryFolder(), 'server.js');
  writeFileSync(
    file,
    `const fs = require('node:fs');
    const server = require('node:http').createServer((request, response) => {
      response.setHeader('connection', 'close');
      if (request.url === '/ping') { ${parts.ping} return; }
      ${parts.other}
      const chunks = [];
      request.on('data', (chunk) => { chunks.push(chunk); ${parts.read} });
      request.on('end', () => { const body = Buffer.concat(chunks).toString(); ${parts.invoke} });
    });
    ${parts.stop}
    ${parts.start}
    server.listen(${parts.port}, '127.0.0.1');`,
  );
  return `exec node ${file}`;
}

interface Worse {
  readonly train?: Partial<typeof TRAIN>;
  readonly serve?: Partial<typeof SERVE>;
}

const trainerOf = (parts: typeof TRAIN) => Object.values(parts).join('\n');

/** Runs the kit on a container that is worse in something; only the part that is asked about. */
async function findingsOf(part: 'training' | 'serving', { train, serve }: Worse, more: Partial<ContractOptions> = {}) {
  const folder = temporaryFolder();
  const channels = join(folder, 'channels');
  mkdirSync(join(channels, 'train'), { recursive: true });
  writeFileSync(join(channels, 'train', 'data'), 'x');
  mkdirSync(join(folder, 'model'));
  writeFileSync(join(folder, 'model', 'weights'), 'heavy');
  const image = imageFolder({
    train: trainerOf({ ...TRAIN, ...train }),
    serve: serverOf({ ...SERVE, ...serve }),
  });
  const executor = new ProcessExecutor(new Map([['image', image]]));
  try {
    return await testContract({
      ...{ executor, image: 'image', kind: 'process', folder: join(folder, 'runs'), parts: [part] },
      training: { channels, hyperparameters: { epochs: '3' } },
      serving: {
        model: join(folder, 'model'),
        request: { bytes: Buffer.from('good'), contentType: 'text/plain' },
      },
      limits: { trainingGrace: 1, servingGrace: 2, healthy: 6, ping: 1, invocation: 3, training: 20 },
      ...more,
    });
  } finally {
    await executor.close();
  }
}

const failed = (findings: readonly Finding[]) =>
  findings.filter(({ verdict }) => verdict === 'fail').map(({ point }) => point);

/** What is not kept of the points that a process can be tested on: it has no root of its own. */
const notKept = (findings: readonly Finding[]) =>
  findings.filter(({ verdict, point }) => verdict !== 'pass' && !/^image\/|^serving\/read-only-root$/.test(point));

for (const part of ['training', 'serving'] as const) {
  test(`a container that keeps the contract passes every point of ${part}`, async () => {
    const findings = await findingsOf(part, {});
    const own = findings.filter(({ point }) => point.startsWith(part));
    assert.deepEqual(notKept(own), []);
    assert.equal(own.length, Object.keys(POINTS).filter((point) => point.startsWith(part)).length);
  });
}

/** What is planted, and the points that it breaks; all others are kept. */
const TRAINING_FLAWS: readonly [flaw: string, train: Partial<typeof TRAIN>, broken: readonly PointId[]][] = [
  ['trains and ends with another status than 0', { end: 'exit 3' }, ['training/success']],
  ['leaves no model', { save: '' }, ['training/model']],
  ['leaves a failure though it succeeded', { end: 'echo all is well > output/failure' }, ['training/no-failure']],
  ['ends with 0 though it failed', { input: '[ -z "$(ls input/data/train)" ] && exit 0' }, ['training/exit-status']],
  ['does not say why it failed', { input: '[ -z "$(ls input/data/train)" ] && exit 1' }, ['training/failure-file']],
  ['does not hear SIGTERM', { stop: `trap '' TERM`, work: 'sleep 4' }, ['training/sigterm']],
  [
    'cannot go on from its own checkpoint',
    { stop: `[ -e checkpoints/state ] && exit 4; ${TRAIN.stop}` },
    ['training/checkpoint'],
  ],
];

for (const [flaw, train, broken] of TRAINING_FLAWS) {
  test(`a trainer that ${flaw} is caught on that point`, async () => {
    assert.deepEqual(failed(await findingsOf('training', { train })), broken);
  });
}

const SERVING_FLAWS: readonly [flaw: string, serve: Partial<typeof SERVE>, broken: readonly PointId[]][] = [
  ['listens on a port of its own', { port: '0' }, ['serving/port', 'serving/healthy']],
  ['ends at the start', { start: `console.log('no model'); process.exit(3);` }, ['serving/healthy']],
  ['is never healthy', { ping: 'response.writeHead(503).end();' }, ['serving/healthy']],
  [
    'answers /ping too late now and then',
    { start: 'let pings = 0;', ping: 'if (++pings === 5) return; response.end();' },
    ['serving/ping'],
  ],
  [
    'answers a good request with 500',
    { invoke: `response.writeHead(body === 'good' ? 501 : 400).end();` },
    ['serving/invocations', 'serving/concurrent', 'serving/drain'],
  ],
  [
    'answers wrong requests with 500',
    { invoke: `response.writeHead(body === 'good' ? 200 : /^ /.test(body) ? 400 : 500).end('x');` },
    ['serving/malformed'],
  ],
  [
    'takes a body of 1 MB alone',
    { invoke: `if (body.length > 1e6) return response.writeHead(413).end(); ${SERVE.invoke}` },
    ['serving/body-6mb', 'serving/body-25mb'],
  ],
  [
    'takes a body of 6 MB alone',
    { invoke: `if (body.length > 6e6) return response.writeHead(413).end(); ${SERVE.invoke}` },
    ['serving/body-25mb'],
  ],
  [
    'drops requests that come together',
    {
      start: 'let busy = 0;',
      invoke: `if (busy >= 8) return request.socket.destroy(); busy++; setTimeout(() => { busy--; response.writeHead(body === 'good' ? 200 : 400).end('x'); }, 100);`,
    },
    ['serving/concurrent'],
  ],
  [
    'blocks /ping while it works',
    {
      start: 'let asked = 0;',
      invoke: `if (body === 'good' && ++asked === 5) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500); response.writeHead(body === 'good' ? 200 : 400).end('x');`,
    },
    ['serving/ping-under-load'],
  ],
  [
    'writes into the folder of its model',
    { start: `fs.writeFileSync('model/cache', 'x');` },
    ['serving/model-read-only'],
  ],
  ['ends at once at SIGTERM', { stop: `process.once('SIGTERM', () => process.exit(0));` }, ['serving/drain']],
  ['does not hear SIGTERM', { stop: `process.on('SIGTERM', () => {});` }, ['serving/sigterm']],
];

for (const [flaw, serve, broken] of SERVING_FLAWS) {
  test(`a server that ${flaw} is caught on that point`, async () => {
    assert.deepEqual(failed(await findingsOf('serving', { serve })), broken);
  });
}

test('a server that a wrong request ends is caught, and how it ended is told', async () => {
  const findings = await findingsOf('serving', {
    serve: {
      invoke: `if (body !== 'good' && !/^ /.test(body)) throw new Error('cannot decode'); response.end('fine');`,
    },
  });
  assert.deepEqual(failed(findings), ['serving/malformed', 'serving/survives']);
  assert.match(findings.find(({ point }) => point === 'serving/survives')?.seen ?? '', /the server ended with 1/);
});

test('what works and could be better is a hint, and breaks nothing', async () => {
  const train = { stop: '', end: 'echo x > notes' };
  const [trained, served] = [
    await findingsOf('training', { train }),
    await findingsOf('serving', { serve: { other: '' } }),
  ];
  const hints = [...trained, ...served].filter(({ verdict }) => verdict === 'hint').map(({ point }) => point);
  assert.deepEqual(hints, ['training/places', 'training/checkpoint', 'serving/execution-parameters']);
  assert.deepEqual([...failed(trained), ...failed(served)], []);
});

test('an image says by its description what it breaks', () => {
  const verdicts = (Config: object, Architecture = 'amd64') => {
    const findings = new Findings();
    checkImage({ Os: 'linux', Architecture, Config }, findings);
    return findings.list().map(({ verdict }) => verdict);
  };
  assert.deepEqual(verdicts({ User: '', Entrypoint: null }), ['pass', 'pass', 'pass']);
  assert.deepEqual(verdicts({ User: 'app', Entrypoint: ['/bin/sh', '-c', 'train'] }), ['fail', 'hint', 'pass']);
  assert.deepEqual(verdicts({ Entrypoint: ['python3', 'run.py'] }, 'arm64'), ['pass', 'pass', 'hint']);
  assert.deepEqual(verdicts({}, 'riscv64'), ['pass', 'pass', 'fail']);
});

test('what is broken is told with what the contract says, where, and the fix', () => {
  const findings = new Findings();
  findings.tell('serving/sigterm', 'fail', 'still ran 30 s after SIGTERM');
  const [finding] = findings.list() as [Finding];
  assert.equal(
    describeFinding(finding),
    `✗ serving/sigterm                still ran 30 s after SIGTERM
    Contract: \`serve\` ends within 30 s of SIGTERM: SIGKILL follows.
      (https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html)
    Fix: handle SIGTERM; start the server with exec, so that the signal reaches it.`,
  );
  assert.equal(summarise([finding]), "✗ 1 of the contract's points are broken; 0 kept, 0 hints, 0 skipped");
});

test("Scanline's own commands break nothing", async () => {
  const data = temporaryFolder();
  await writeDataset(data, { train: 20, validation: 4 });
  const tiny = ['init_features=4', 'growth_rate=2', 'bn_size=1', 'block_config=1,1', 'img_size=32', 'batch_size=4'];
  const given = [...tiny, 'num_epochs=40', 'checkpoint_interval=3'].flatMap((pair) => ['--hyperparameter', pair]);
  const request = join(data, 'validation', 'along', '0.png');
  const run = await scanline(
    ...['contract', 'test', '--commands', 'containers/byoc', '--data', data, '--request', request, '--json', ...given],
  );
  const { findings } = JSON.parse(run.stdout) as { findings: Finding[] };
  assert.deepEqual(notKept(findings), []);
  assert.equal(run.status, 0, run.stderr);
});

test('a broken point is exit status 1, and an image or a folder of commands is needed', async () => {
  const image = imageFolder({ serve: 'exit 5' });
  const broken = await scanline('contract', 'test', '--commands', image, '--only', 'serving');
  assert.equal(broken.status, 1);
  assert.match(broken.stdout, /✗ serving\/healthy +it ended with 5 before|✗ serving\/healthy +it ended with 5;/);
  const neither = await scanline('contract', 'test');
  assert.equal(neither.status, 1);
  assert.match(neither.stderr, /an image is needed, or --commands/);
});
