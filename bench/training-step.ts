// Training steps of Scanline and of PyTorch + MONAI side by side: processes of their own that take steps in turn, so that a machine whose
// speed drifts does the same to both. Prints the ratio of their median times, the peak memory of each process, and what share of the speed of
// a large matrix product, measured in the same turns, Scanline's steps reach.
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Command } from 'commander';
import { packageRoot } from '../training/native/cache';

interface Workload {
  readonly network: string;
  readonly batch: number;
  /** Sides of the images or volumes. */
  readonly size: number;
  /** @default 2 */
  readonly axes?: 3;
}

const WORKLOADS: readonly Workload[] = [
  { network: 'densenet121', batch: 8, size: 256 },
  { network: 'vit', batch: 4, size: 256 },
  { network: 'vit_conv', batch: 32, size: 64 },
  { network: 'segresnet', batch: 1, size: 96, axes: 3 },
  { network: 'unet', batch: 1, size: 64, axes: 3 },
  { network: 'swinunetr', batch: 1, size: 64, axes: 3 },
];

const PRECISIONS = ['fp32', 'bf16'];

/** MONAI is compared with in the faster of these. */
const LAYOUTS = ['contiguous_format', 'channels_last'];

/** A process that takes a step when it is told to, and prints a number for it: milliseconds, or a product's operations per second. */
class Contestant {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;
  readonly seen: number[] = [];

  constructor(
    readonly name: string,
    command: string,
    args: readonly string[],
  ) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  /** The next number that it prints. */
  async next(): Promise<number> {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.name} ended before it was told to; see its message above`);
    return Number(value);
  }

  step(): Promise<number> {
    this.child.stdin?.write('step\n');
    return this.next();
  }

  /** Lets the process come to its end. */
  end(): void {
    this.child.stdin?.end();
  }

  kill(): void {
    this.child.kill();
  }

  get median(): number {
    const sorted = [...this.seen].sort((a, b) => a - b);
    const middle = sorted.length >> 1;
    return sorted.length % 2
      ? (sorted[middle] as number)
      : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
  }
}

interface Options {
  python: string;
  rounds: number;
  warmup: number;
  threads: number;
  network?: string;
  precision?: string;
}

async function compare(workload: Workload, precision: string, options: Options): Promise<void> {
  const { network, batch, size, axes = 2 } = workload;
  const common = [network, batch, size, precision].map(String);
  const threads = String(options.threads);
  const ours = new Contestant('Scanline', process.execPath, [join(__dirname, 'scanline-step.js'), ...common, threads]);
  const monai = LAYOUTS.map((layout) => {
    const script = join(packageRoot, 'bench', 'monai_step.py');
    return new Contestant(`MONAI ${layout}`, options.python, [script, ...common, layout, threads]);
  });
  const product = new Contestant('matrix product', process.execPath, [
    join(__dirname, 'matrix-product.js'),
    precision,
    threads,
  ]);
  const all = [ours, ...monai, product];
  process.once('exit', () => {
    for (const contestant of all) contestant.kill();
  });
  for (let round = -options.warmup; round < options.rounds; round++) {
    for (const contestant of all) {
      const seen = await contestant.step();
      if (round >= 0) contestant.seen.push(seen);
    }
  }
  const memory = new Map<Contestant, number>();
  for (const contestant of all) contestant.end();
  for (const contestant of [ours, ...monai]) memory.set(contestant, await contestant.next());
  const operations = await ours.next();
  const peer = monai.reduce((faster, other) => (other.median < faster.median ? other : faster));
  const cell = (contestant: Contestant) =>
    `${contestant.median.toFixed(0)} ms, ${memory.get(contestant)?.toFixed(0)} MB`;
  const ratio = (a: number | undefined, b: number | undefined) => ((a ?? 0) / (b ?? 1)).toFixed(2);
  process.stdout.write(
    `${network.padEnd(12)} ${`${batch} x ${size}${axes === 2 ? '²' : '³'}`.padEnd(9)} ${precision}  Scanline ${cell(ours)}   ${peer.name} ${cell(peer)}   ` +
      `speed ${ratio(peer.median, ours.median)}x, memory ${ratio(memory.get(ours), memory.get(peer))}x   ` +
      `${(operations / 1e9).toFixed(0)} GFLOP at ${((operations * 1e5) / ours.median / product.median).toFixed(0)} % of a matrix product's ${(product.median / 1e9).toFixed(0)} GFLOP/s\n`,
  );
}

new Command('training-step')
  .description('training steps of Scanline and MONAI in turn: medians, their ratio, peak memory')
  .option('--python <path>', 'a Python with the packages of test/oracle/requirements.txt', '.oracle/bin/python')
  .option('--rounds <number>', 'steps of each that count', Number, 15)
  .option('--warmup <number>', 'steps of each before', Number, 3)
  .option('--threads <number>', 'cores of each', Number, availableParallelism())
  .option('--network <name>', `${WORKLOADS.map(({ network }) => network).join(', ')} (default: all)`)
  .option('--precision <name>', `${PRECISIONS.join(' or ')} (default: both)`)
  .addHelpText('after', '\nExample:\n  test/oracle/setup.sh && npm run bench -- --network vit --precision bf16\n')
  .action(async (options: Options) => {
    for (const workload of WORKLOADS.filter(({ network }) => network === (options.network ?? network)))
      for (const precision of PRECISIONS.filter((name) => name === (options.precision ?? name)))
        await compare(workload, precision, options);
  })
  .parseAsync()
  .catch((error: Error) => {
    process.stderr.write(`✗ ${error.message}\n`);
    process.exit(1);
  });
