// The server beside PyTorch behind a plain Python server: the same DenseNet121, weights, images and threads, taking turns; then start-up.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import autocannon from 'autocannon';
import { Command } from 'commander';
import sharp from 'sharp';
import { findContainerTool, runTool } from '../lib/local/jobs/container-tool';
import { CompiledRuntime } from '../training/compiler/compiled';
import { type ClassifierConfig, networkOf, writeWeights } from '../training/engine/artifact';
import { Model, toStateDict } from '../training/engine/model';
import { packageRoot } from '../training/native/cache';
import { readHyperparameters } from '../training/settings';

const CLIENTS = [1, 8, 32];

interface Contender {
  readonly name: string;
  readonly process: ChildProcess;
  readonly url: string;
}

async function writeModel(folder: string, size: number): Promise<void> {
  const config: ClassifierConfig = {
    ...{ format: 'scanline-classifier', version: 1, classes: ['a', 'b'] },
    image: { height: size, width: size, channels: 1 },
    hyperparameters: readHyperparameters({ given: { model_name: 'densenet121', img_size: size } }),
  };
  const runtime = new CompiledRuntime({});
  const model = new Model(networkOf(config), runtime);
  await model.initialise(1);
  await writeWeights(folder, toStateDict(model.network, await model.values(), 0), config);
  runtime.dispose();
}

/** Seconds until a line of a process' output matches, and the match. */
async function untilLine(process: ChildProcess, pattern: RegExp): Promise<{ seconds: number; match: RegExpExecArray }> {
  const begun = performance.now();
  const lines: string[] = [];
  for await (const line of createInterface({ input: process.stdout as NodeJS.ReadableStream })) {
    const match = pattern.exec(line);
    lines.push(line);
    if (!match) continue;
    process.stdout?.resume();
    return { seconds: (performance.now() - begun) / 1000, match };
  }
  throw new Error(`it ended without ${pattern}:\n${lines.join('\n')}`);
}

/** Seconds of processors that a process and its children have taken, of which there are 100 ticks in each (proc(5)). */
function processorSeconds(pid: number): number {
  const ticks = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
    .slice(11, 13)
    .map(Number);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
    .map(Number);
  return children.reduce((sum, child) => sum + processorSeconds(child), ticks.reduce((a, b) => a + b) / 100);
}

const entryPoint = (name: string) => join(packageRoot, 'dist', 'containers', 'byoc', 'entrypoints', `${name}.js`);

/** What the container's entry point does, on this machine. */
function start(name: 'serve' | 'train', base: string): ChildProcess {
  const env = {
    ...process.env,
    SAGEMAKER_BASE_DIR: base,
    SAGEMAKER_BIND_TO_PORT: '0',
    SCANLINE_BIND_HOST: '127.0.0.1',
  };
  return spawn(process.execPath, [entryPoint(name)], { env, stdio: ['ignore', 'pipe', 'inherit'] });
}

async function startOurs(base: string): Promise<Contender & { seconds: number; busy: number }> {
  const process = start('serve', base);
  const { seconds, match } = await untilLine(process, /serving at (\S+)/);
  const url = match[1] as string;
  const busy = processorSeconds(process.pid as number);
  const ping = await fetch(`${url}/ping`);
  if (!ping.ok) throw new Error(`/ping says ${ping.status}`);
  return { name: 'Scanline', process, url, seconds, busy };
}

async function startTorch(python: string, base: string, size: number, threads: number): Promise<Contender> {
  const script = join(packageRoot, 'bench', 'serving_torch.py');
  const args = [script, join(base, 'model', 'model.safetensors'), String(size), String(threads)];
  const process = spawn(python, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const { match } = await untilLine(process, /^(\d+)$/);
  return { name: 'PyTorch', process, url: `http://127.0.0.1:${match[1]}` };
}

async function end(process: ChildProcess): Promise<void> {
  const ended = once(process, 'exit');
  process.kill('SIGKILL');
  await ended;
}

interface Turn {
  readonly rate: number;
  readonly p99: number;
  readonly failed: number;
}

async function load({ url }: Contender, body: Buffer, connections: number, duration: number): Promise<Turn> {
  const headers = { 'content-type': 'image/png' };
  const result = await autocannon({ url: `${url}/invocations`, method: 'POST', body, headers, connections, duration });
  const { requests, latency, non2xx, errors } = result;
  return { rate: requests.total / result.duration, p99: latency.p99, failed: non2xx + errors };
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;

async function compare(contenders: readonly Contender[], body: Buffer, rounds: number, seconds: number): Promise<void> {
  for (const contender of contenders) await load(contender, body, 32, 2);
  for (const clients of CLIENTS) {
    const turns = new Map<string, Turn[]>(contenders.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const contender of round % 2 === 0 ? contenders : contenders.toReversed())
        turns.get(contender.name)?.push(await load(contender, body, clients, seconds));
    for (const [name, results] of turns) {
      const failed = results.reduce((sum, result) => sum + result.failed, 0);
      process.stdout.write(
        `  ${String(clients).padStart(2)} clients, ${name.padEnd(8)}: ${median(results.map(({ rate }) => rate)).toFixed(1)} requests/s, ` +
          `p99 ${median(results.map(({ p99 }) => p99)).toFixed(0)} ms, ${failed} failed\n`,
      );
    }
  }
}

const loadNow = () => `load ${loadavg()[0]?.toFixed(1)}`;

async function bench(size: number, base: string, { python, rounds, seconds }: Options): Promise<void> {
  const threads = availableParallelism();
  await writeModel(join(base, 'model'), size);
  const noise = Uint8Array.from({ length: size * size }, (_, n) => (Math.imul(n + 1, 2654435761) >>> 24) & 255);
  const body = await sharp(noise, { raw: { width: size, height: size, channels: 1 } })
    .toColourspace('b-w')
    .png()
    .toBuffer();
  const ours = await startOurs(base);
  process.stdout.write(
    `DenseNet121, ${size} x ${size}, ${threads} threads; healthy after ${ours.seconds.toFixed(2)} s, ${ours.busy.toFixed(2)} s of processors (${loadNow()})\n`,
  );
  const torch = await startTorch(python, base, size, threads);
  try {
    await compare([ours, torch], body, rounds, seconds);
    process.stdout.write(`  ${loadNow()} at the end\n`);
  } finally {
    await Promise.all([end(ours.process), end(torch.process)]);
  }
}

/** What a training job of the anatomical planes finds. */
function prepareTraining(base: string): void {
  const images = join(packageRoot, 'examples', 'mni-planes', 'images');
  for (const part of ['train', 'validation']) cpSync(images, join(base, 'input', 'data', part), { recursive: true });
  mkdirSync(join(base, 'input', 'config'), { recursive: true });
  const hyperparameters = { model_name: 'densenet121', img_size: '64', batch_size: '16', num_epochs: '1' };
  writeFileSync(join(base, 'input', 'config', 'hyperparameters.json'), JSON.stringify(hyperparameters));
}

const FIRST_STEP = /^epoch 1\/1 step 1\//;

/** Seconds from the start of `train` to the end of its first step. */
async function firstStep(base: string): Promise<void> {
  prepareTraining(base);
  const train = start('train', base);
  const { seconds } = await untilLine(train, FIRST_STEP);
  const busy = processorSeconds(train.pid as number);
  await end(train);
  process.stdout.write(
    `train: first step after ${seconds.toFixed(2)} s, ${busy.toFixed(2)} s of processors (${loadNow()})\n`,
  );
}

/** Runs a command of an image until a line of its output matches. @returns seconds since the container was asked for */
async function containerUntil(image: string, command: string, base: string, pattern: RegExp): Promise<number> {
  const tool = findContainerTool('run');
  const name = `scanline-bench-${process.pid}`;
  const args = ['run', '--rm', '--name', name, '--network', 'none', '--volume', `${base}:/opt/ml`, image, command];
  const container = spawn(tool, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(container, 'exit');
  try {
    return (await untilLine(container, pattern)).seconds;
  } finally {
    await runTool(tool, ['kill', name]).catch(() => {});
    await ended;
  }
}

/** The same starts in containers, which are made and begun on the way. `serving at` is printed when /ping answers 200. */
async function containerStarts(image: string, base: string, rounds: number): Promise<void> {
  await writeModel(join(base, 'model'), 64);
  prepareTraining(base);
  for (const [command, what, pattern] of [
    ['serve', 'healthy', /^serving at/],
    ['train', 'first step', FIRST_STEP],
  ] as const) {
    const seconds: number[] = [];
    for (let round = 0; round < rounds; round++) seconds.push(await containerUntil(image, command, base, pattern));
    const all = seconds.map((value) => value.toFixed(2)).join(', ');
    process.stdout.write(
      `${image}, ${command}: ${what} after ${median(seconds).toFixed(2)} s of ${all} (${loadNow()})\n`,
    );
  }
}

async function inFolder(body: (base: string) => Promise<void>): Promise<void> {
  const base = mkdtempSync(join(tmpdir(), 'scanline-serving-'));
  try {
    await body(base);
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

interface Options {
  readonly image?: string;
  readonly python: string;
  readonly sizes: string;
  readonly rounds: number;
  readonly seconds: number;
}

new Command('serving')
  .description(
    'requests per second and p99 of the server and of PyTorch behind http.server, and how soon serve and train are at work',
  )
  .option('--python <path>', 'a Python with the packages of test/oracle/requirements.txt', '.oracle/bin/python')
  .option('--sizes <list>', 'sides of the images, pixels; "" for the starts alone', '64,256')
  .option('--image <name>', 'also start serve and train in containers of this image (default: none)')
  .option('--rounds <number>', 'turns of each', Number, 3)
  .option('--seconds <number>', 'of each turn', Number, 10)
  .addHelpText('after', '\nExample:\n  npm run oracle && npm run bench:serving\n')
  .action(async (options: Options) => {
    const { sizes, image, rounds } = options;
    for (const size of sizes.split(',').filter(Boolean).map(Number))
      await inFolder((base) => bench(size, base, options));
    await inFolder(firstStep);
    if (image !== undefined) await inFolder((base) => containerStarts(image, base, rounds));
  })
  .parseAsync();
