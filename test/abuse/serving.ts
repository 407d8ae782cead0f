// Abuses the inference server: seeded mutations of valid files, then many clients at once. Every answer must be one, no worker may end,
// and memory must stay flat. (The heap is limited, for V8 lets it grow as long as there is memory.) Run by `npm run test:abuse`; --mutations and --seconds make it shorter.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { type InferenceServer, startServer } from '../../training/serving/server';
import { tinyClassifier } from '../training/serving/tiny-classifier';
import { tinySegmenter } from '../training/serving/tiny-segmenter';
import { imageSeeds, type Seed, sendMutations, volumeSeeds } from './mutations';

const CLIENTS = 64;

/** Bytes that the process and its worker may take more at the end than when they were warm. */
const GROWTH = 64 * 2 ** 20;

/** Resident bytes of a process. */
function resident(pid: string): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kilobytes) * 1024;
}

/** Resident bytes of the server, which is this process, and of its worker. */
function memory(): number {
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' ').filter(Boolean);
  return children.reduce((sum, pid) => sum + resident(pid), resident('self'));
}

const mebibytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

function requireThat(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
  process.stdout.write(`✓ ${what}\n`);
}

async function workersLost({ url }: InferenceServer): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^scanline_worker_restarts_total (\d+)$/m.exec(text)?.[1]);
}

async function fuzz(server: InferenceServer, seeds: readonly Seed[], count: number): Promise<void> {
  const quarters: number[] = [];
  const statuses = await sendMutations(server, seeds, count, (number) => {
    if (number % Math.floor(count / 4) === 0) quarters.push(memory());
  });
  quarters[4] = memory();
  const told = [...statuses].map(([status, times]) => `${times} x ${status}`).join(', ');
  requireThat(true, `${count} mutations: ${told}`);
  const growth = quarters[4] - (quarters[1] as number);
  const each = quarters.map(mebibytes).join(', ');
  requireThat(
    growth < GROWTH,
    `memory since the first quarter of them: ${mebibytes(growth)} more (by quarters ${each})`,
  );
}

async function load(server: InferenceServer, seconds: number): Promise<void> {
  const [{ bytes, type }] = (await imageSeeds()) as [Seed];
  const run = (duration: number) =>
    autocannon({
      url: `${server.url}/invocations`,
      method: 'POST',
      body: bytes,
      headers: { 'content-type': type },
      connections: CLIENTS,
      duration,
    });
  await run(Math.ceil(seconds / 4));
  const warm = memory();
  const result = await run(seconds);
  const { requests, latency } = result;
  requireThat(
    result.non2xx === 0 && result.errors === 0 && requests.total > 0,
    `${CLIENTS} clients for ${seconds} s: ${requests.average.toFixed(0)} requests per second, p99 ${latency.p99} ms, ` +
      `${result.non2xx} refused, ${result.errors} errors`,
  );
  const growth = memory() - warm;
  requireThat(
    growth < GROWTH,
    `memory since they began: ${mebibytes(growth)} more, ${mebibytes(warm + growth)} in all`,
  );
}

async function abuse(model: string, seeds: readonly Seed[], mutations: number, seconds: number): Promise<void> {
  const server = await startServer({ model, host: '127.0.0.1', port: 0, maxValues: 2 ** 16 });
  try {
    await fuzz(server, seeds, mutations);
    if (seconds > 0) await load(server, seconds);
    requireThat((await workersLost(server)) === 0, 'no worker ended');
  } finally {
    await server.close();
  }
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { mutations: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '120' } },
  });
  const [mutations, seconds] = [Number(values.mutations), Number(values.seconds)];
  process.stdout.write('a classifier:\n');
  await abuse(await tinyClassifier(), await imageSeeds(), mutations / 2, seconds);
  process.stdout.write('a segmenter:\n');
  await abuse(await tinySegmenter(), volumeSeeds(), mutations / 2, 0);
}

void main();
