// Abuses the inference server: seeded mutations of valid files, then many clients at once. Every answer must be one, no worker may end,
// and memory must stay flat. Run by `npm run test:abuse`; --mutations and --seconds make it shorter.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import sharp from 'sharp';
import { randomSource } from '../../training/data/random';
import { type InferenceServer, startServer } from '../../training/serving/server';
import { stripes } from '../training/sample-images';
import { tinyClassifier } from '../training/serving/tiny-classifier';

const CLIENTS = 64;

/** Bytes that the process and its worker may take more at the end than when they were warm. */
const GROWTH = 64 * 2 ** 20;

interface Seed {
  readonly type: string;
  readonly bytes: Buffer;
}

async function seeds(): Promise<Seed[]> {
  const image = sharp(stripes('along', 1), { raw: { width: 32, height: 32, channels: 1 } });
  const photo = sharp({ create: { width: 40, height: 30, channels: 3, background: '#4080c0' } });
  return [
    { type: 'image/png', bytes: await image.clone().toColourspace('b-w').png().toBuffer() },
    { type: 'image/png', bytes: await image.clone().toColourspace('grey16').png().toBuffer() },
    { type: 'image/jpeg', bytes: await photo.clone().jpeg().toBuffer() },
    { type: 'image/jpeg', bytes: await photo.clone().jpeg({ progressive: true }).toBuffer() },
    { type: 'application/json', bytes: Buffer.from(JSON.stringify({ pixels: Array(32).fill(Array(32).fill(7)) })) },
  ];
}

type Random = () => number;

/** One of the usual ways in which files are damaged, one to four times. */
function mutate(original: Buffer, random: Random): Buffer {
  const whole = (below: number) => Math.floor(random() * below);
  let bytes = Buffer.from(original);
  for (let times = 1 + whole(4); times > 0; times--) {
    const at = whole(bytes.length);
    const length = 1 + whole(Math.min(64, bytes.length));
    const kind = whole(6);
    if (kind === 0) bytes[at] = (bytes[at] ?? 0) ^ (1 << whole(8));
    else if (kind === 1) bytes[at] = whole(256);
    else if (kind === 2) bytes = bytes.subarray(0, at);
    else if (kind === 3) bytes.fill(random() < 0.5 ? 0 : 255, at, Math.min(at + length, bytes.length));
    else if (kind === 4) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]);
    else bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at)]);
  }
  return bytes;
}

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

async function fuzz(server: InferenceServer, count: number): Promise<void> {
  const random = randomSource(2026, 11);
  const originals = await seeds();
  const statuses = new Map<number, number>();
  let sent = 0;
  let warm = 0;
  const client = async () => {
    while (sent < count) {
      if (sent === Math.floor(count / 4)) warm = memory();
      const { type, bytes } = originals[sent++ % originals.length] as Seed;
      const body = new Uint8Array(mutate(bytes, random));
      const answer = await fetch(`${server.url}/invocations`, {
        method: 'POST',
        body,
        headers: { 'content-type': type },
      });
      const { message, label } = (await answer.json()) as { message?: string; label?: string };
      if ((answer.ok ? label : message) === undefined) throw new Error(`${answer.status} without a reason`);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 16 }, client));
  const told = [...statuses].map(([status, times]) => `${times} x ${status}`).join(', ');
  requireThat(
    [...statuses.keys()].every((status) => status === 200 || status === 400),
    `${count} mutations: ${told}`,
  );
  const growth = memory() - warm;
  requireThat(growth < GROWTH, `memory since the first quarter of them: ${mebibytes(growth)} more`);
}

async function load(server: InferenceServer, seconds: number): Promise<void> {
  const [{ bytes, type }] = (await seeds()) as [Seed];
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

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { mutations: { type: 'string', default: '20000' }, seconds: { type: 'string', default: '120' } },
  });
  const server = await startServer({ model: await tinyClassifier(), host: '127.0.0.1', port: 0 });
  try {
    await fuzz(server, Number(values.mutations));
    await load(server, Number(values.seconds));
    requireThat((await workersLost(server)) === 0, 'no worker ended');
  } finally {
    await server.close();
  }
}

void main();
