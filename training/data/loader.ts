// Batches of images, decoded and augmented ahead of time by worker threads.
import { join } from 'node:path';
import { UserError } from '../errors';
import type { Augmentation } from './augment';
import type { ImageSize } from './decode';
import type { Sample } from './image-folders';
import { WorkerPool } from './pool';
import { randomSource, shuffled } from './random';
import type { BatchJob, BatchResult } from './worker';

export interface Batch {
  /** Its number in the epoch, from 0. */
  readonly number: number;
  /** Raw pixel values, [count, height, width, channels]. */
  readonly images: Float32Array;
  /** Numbers of the classes, [count]. */
  readonly labels: Int32Array;
  readonly count: number;
  /** Which of the loader's samples they are. */
  readonly indices: readonly number[];
}

export type OnBadFile = 'fail' | 'skip';

/** Threads that decode images. */
export class DecodePool extends WorkerPool<BatchJob, BatchResult> {
  constructor(size: number) {
    super(size, join(__dirname, 'worker.js'));
  }
}

export interface LoaderOptions {
  readonly samples: readonly Sample[];
  readonly size: ImageSize;
  readonly batchSize: number;
  readonly pool: DecodePool;
  readonly onBadFile: OnBadFile;
  /** Told of every file that cannot be read, once. */
  readonly report?: (path: string, reason: string) => void;
  /** Random order and changes, the same for the same seed and epoch. @default the given order, unchanged */
  readonly random?: { readonly seed: number; readonly augmentation: Augmentation };
  /** Bytes that decoded images may take. @default 0 */
  readonly cacheBytes?: number;
}

/** Batches prepared ahead for each thread: one that it works on, one that waits. */
const AHEAD = 2;

/** The largest memory that one cache takes, bytes. */
const LARGEST_CACHE = 2 ** 31;

export class Loader {
  /** Paths of the files that could not be read. */
  readonly bad = new Set<string>();
  private readonly cache: BatchJob['cache'];

  constructor(private readonly options: LoaderOptions) {
    const { samples, size, cacheBytes = 0 } = options;
    const slot = size.height * size.width * size.channels * 2;
    const slots = Math.min(samples.length, Math.floor(Math.min(cacheBytes, LARGEST_CACHE) / slot));
    if (slots > 0)
      this.cache = { pixels: new SharedArrayBuffer(slots * slot), filled: new SharedArrayBuffer(slots * 4) };
  }

  /** Batches of an epoch; the last may be smaller. */
  get batches(): number {
    return Math.ceil(this.options.samples.length / this.options.batchSize);
  }

  private order(epoch: number): number[] {
    const { samples, random } = this.options;
    const indices = samples.map((_, index) => index);
    return random ? shuffled(indices, randomSource(random.seed, epoch)) : indices;
  }

  private submit(indices: readonly number[], epoch: number): Promise<BatchResult> {
    const { samples, size, pool, random } = this.options;
    return pool.run({
      size,
      images: indices.map((index) => ({ path: (samples[index] as Sample).path, index })),
      ...(this.cache && { cache: this.cache }),
      ...(random && { augmentation: { options: random.augmentation, keys: [random.seed, epoch] } }),
    });
  }

  /**
   * The batches of an epoch, from the given one on. A file that cannot be read ends it, or is left out and noted in `bad`; a batch of
   * which nothing is left is passed over.
   *
   * @throws UserError naming a file that cannot be read, unless such are skipped
   */
  async *epoch(epoch: number, firstBatch = 0): AsyncGenerator<Batch> {
    const { samples, batchSize, pool } = this.options;
    const order = this.order(epoch);
    const groups = Array.from({ length: this.batches }, (_, batch) =>
      order.slice(batch * batchSize, (batch + 1) * batchSize),
    );
    const queue: { number: number; indices: number[]; result: Promise<BatchResult> }[] = [];
    let next = firstBatch;
    const fill = () => {
      while (queue.length < pool.size * AHEAD && next < groups.length) {
        const number = next++;
        const indices = groups[number] as number[];
        const result = this.submit(indices, epoch);
        // looked at when its turn comes; until then a failure must not end the process
        result.catch(() => undefined);
        queue.push({ number, indices, result });
      }
    };
    for (fill(); queue.length > 0; fill()) {
      const { number, indices, result } = queue.shift() as (typeof queue)[number];
      const { pixels, read, bad } = await result;
      this.note(bad);
      const kept = read.map((position) => indices[position] as number);
      const labels = Int32Array.from(kept, (index) => (samples[index] as Sample).label);
      if (kept.length > 0) yield { number, images: pixels, labels, count: kept.length, indices: kept };
    }
  }

  private note(bad: BatchResult['bad']): void {
    for (const { path, reason } of bad) {
      if (this.options.onBadFile === 'fail') {
        throw new UserError(
          `${path} cannot be read as an image: ${reason}.`,
          'remove or replace it (`scanline data check` finds all such files), or leave them out with --on-bad-file skip.',
        );
      }
      if (!this.bad.has(path)) this.options.report?.(path, reason);
      this.bad.add(path);
    }
  }
}
