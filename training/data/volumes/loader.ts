// Batches of crops for training, and whole volumes for validation and inference, prepared ahead by worker threads.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../errors';
import type { OnBadFile } from '../loader';
import { WorkerPool } from '../pool';
import { randomSource, shuffled } from '../random';
import { bytesIn, Room, type SharedVolume, sharedBytes } from './cache';
import type { LabelClass } from './dataset-json';
import { NIFTI_FILE, readNiftiHeader } from './nifti';
import type { Subject } from './subjects';
import type { TransformSpec } from './transforms';
import type { Grid, Shape } from './volume';
import type { BatchResult, InspectResult, VolumeJob, VolumeResult } from './worker';

/** Threads that read volumes. */
export class VolumePool extends WorkerPool<VolumeJob, VolumeResult> {
  constructor(size: number) {
    super(size, join(__dirname, 'worker.js'));
  }

  async inspect(subject: Subject, classes?: readonly LabelClass[]): Promise<InspectResult> {
    return (await this.run({ kind: 'inspect', subject, ...(classes && { classes }) } as VolumeJob)) as InspectResult;
  }
}

export interface VolumeBatch {
  /** Its number in the epoch, from 0. */
  readonly number: number;
  /** Prepared values, [count, I, J, K, C]. */
  readonly images: Float32Array;
  /** Numbers of the classes, [count, I, J, K]. */
  readonly labels: Int32Array;
  /** Crops: subjects times num_samples. */
  readonly count: number;
  /** Voxels of each crop along i, j and k. */
  readonly shape: Shape;
  /** Which of the loader's subjects each crop is of, [count]. */
  readonly indices: readonly number[];
}

export interface WholeVolume extends Grid {
  readonly subject: Subject;
  /** Which of the loader's subjects it is. */
  readonly index: number;
  /** Prepared values, [1, I, J, K, C]. */
  readonly images: Float32Array;
  /** Numbers of the classes, [1, I, J, K]; undefined where the subject has no label. */
  readonly labels?: Int32Array;
  /** Where the subject's files lie: `labelsOnGrid` brings predictions back there. */
  readonly source: Grid;
}

export interface VolumeLoaderOptions {
  readonly subjects: readonly Subject[];
  /** Of each subject, all its modalities together. */
  readonly channels: number;
  /** Subjects of a batch; each gives as many crops as the transforms make. */
  readonly batchSize: number;
  readonly pool: VolumePool;
  readonly onBadFile: OnBadFile;
  /** Told of every subject that cannot be read, once. */
  readonly report?: (id: string, reason: string) => void;
  /** What labels may be; they become 0, 1, 2 ... in this order. @default values stay */
  readonly classes?: readonly LabelClass[];
  /** Transforms that draw nothing. */
  readonly prepare: readonly TransformSpec[];
  /** Random order, crops and changes, the same for the same seed and epoch. @default the given order, whole volumes */
  readonly random?: { readonly seed: number; readonly augment: readonly TransformSpec[] };
  /**
   * Where prepared volumes are kept, and how many bytes they may take; what has no room is read anew. Beside the cache, each thread holds
   * the volume that it prepares, and two batches.
   *
   * @default nothing is kept
   */
  readonly cache?: { readonly bytes: number; readonly folder?: string };
}

/** Batches prepared ahead for each thread: one that it works on, one that waits. */
const AHEAD = 2;

export class VolumeLoader {
  /** Names of the subjects that could not be read. */
  readonly bad = new Set<string>();
  private readonly room: Room | undefined;
  private readonly kept = new Map<number, SharedVolume>();

  constructor(private readonly options: VolumeLoaderOptions) {
    const { cache } = options;
    if (cache?.folder !== undefined) mkdirSync(cache.folder, { recursive: true });
    if (cache) this.room = Room.of(cache.bytes - (cache.folder === undefined ? 0 : bytesIn(cache.folder)));
  }

  /** Batches of an epoch; the last may be smaller. */
  get batches(): number {
    return Math.ceil(this.options.subjects.length / this.options.batchSize);
  }

  /** Bytes of the prepared volumes that are kept in memory. */
  get cachedBytes(): number {
    return [...this.kept.values()].reduce((sum, volume) => sum + sharedBytes(volume), 0);
  }

  private order(epoch: number): number[] {
    const { subjects, random } = this.options;
    const indices = subjects.map((_, index) => index);
    return random ? shuffled(indices, randomSource(random.seed, epoch)) : indices;
  }

  private async submit(indices: readonly number[], epoch: number | undefined): Promise<BatchResult> {
    const { subjects, channels, classes, prepare, random, pool, cache } = this.options;
    const folder = cache?.folder;
    const job: Omit<VolumeJob & { kind: 'batch' }, 'id'> = {
      kind: 'batch',
      ...{ channels, prepare },
      subjects: indices.map((index) => {
        const cached = this.kept.get(index);
        return { subject: subjects[index] as Subject, index, ...(cached && { cached }) };
      }),
      ...(classes && { classes }),
      ...(random && epoch !== undefined && { augment: { specs: random.augment, keys: [random.seed, epoch] } }),
      ...(this.room && { cache: { room: this.room.shared, ...(folder !== undefined && { folder }) } }),
    };
    const result = (await pool.run(job as VolumeJob)) as BatchResult;
    for (const { index, volume } of result.kept) {
      // two threads may have read the same one at the same time
      if (this.kept.has(index)) this.room?.giveBack(sharedBytes(volume));
      else this.kept.set(index, volume);
    }
    return result;
  }

  /** Results for groups of subjects, in order, prepared ahead. @param epoch undefined: whole, whatever the random changes are */
  private async *results(groups: readonly (readonly number[])[], epoch: number | undefined, first: number) {
    const queue: { number: number; indices: readonly number[]; result: Promise<BatchResult> }[] = [];
    let next = first;
    const fill = () => {
      while (queue.length < this.options.pool.size * AHEAD && next < groups.length) {
        const number = next++;
        const indices = groups[number] as readonly number[];
        const result = this.submit(indices, epoch);
        // looked at when its turn comes; until then a failure must not end the process
        result.catch(() => undefined);
        queue.push({ number, indices, result });
      }
    };
    for (fill(); queue.length > 0; fill()) {
      const { number, indices, result: promised } = queue.shift() as (typeof queue)[number];
      const result = await promised;
      this.note(result.bad);
      if (result.positions.length > 0) yield { number, indices, result };
    }
  }

  /**
   * The batches of an epoch, from the given one on. A subject that cannot be read ends it, or is left out and noted in `bad`; a batch of
   * which nothing is left is passed over.
   *
   * @throws UserError naming a subject that cannot be read, unless such are skipped
   */
  async *epoch(epoch: number, firstBatch = 0): AsyncGenerator<VolumeBatch> {
    const { batchSize } = this.options;
    const order = this.order(epoch);
    const groups = Array.from({ length: this.batches }, (_, n) => order.slice(n * batchSize, (n + 1) * batchSize));
    for await (const { number, indices, result } of this.results(groups, epoch, firstBatch)) {
      const { images, labels, shape, positions } = result;
      const of = positions.map((position) => indices[position] as number);
      yield { number, images, labels, count: of.length, shape, indices: of };
    }
  }

  /**
   * The subjects one at a time, whole, in the given order.
   *
   * @throws UserError naming a subject that cannot be read, unless such are skipped
   */
  async *volumes(): AsyncGenerator<WholeVolume> {
    const { subjects } = this.options;
    for await (const { number, result } of this.results(
      subjects.map((_, index) => [index]),
      undefined,
      0,
    )) {
      const { images, labels, shape, grids } = result;
      const grid = grids[0] as (typeof grids)[number];
      yield {
        ...{ subject: subjects[number] as Subject, index: number, images, shape, ...grid },
        ...(labels.length > 0 && { labels }),
      };
    }
  }

  private note(bad: BatchResult['bad']): void {
    for (const { id, reason } of bad) {
      if (this.options.onBadFile === 'fail') {
        throw new UserError(
          `the subject ${id} cannot be read: ${reason}.`,
          'mend or remove it (`scanline data check` lists all such), or leave such out with --on-bad-file skip.',
        );
      }
      if (!this.bad.has(id)) this.options.report?.(id, reason);
      this.bad.add(id);
    }
  }
}

/** Channels of a subject, all its modalities together, by the headers of its files. */
export async function channelsOf({ id, images }: Subject): Promise<number> {
  let channels = 0;
  for (const path of images) {
    try {
      channels += NIFTI_FILE.test(path) ? (await readNiftiHeader(path)).channels : 1;
    } catch (error) {
      throw new UserError(
        `${path} of the subject ${id} cannot be read: ${(error as Error).message}.`,
        'mend or remove it.',
      );
    }
  }
  return channels;
}

/**
 * The classes of subjects whose data set names none: the values that their labels hold, the background first.
 *
 * @throws UserError naming a subject whose label cannot be read
 */
export async function findClasses(subjects: readonly Subject[], pool: VolumePool): Promise<LabelClass[]> {
  const values = new Set([0]);
  const inspections = await Promise.all(subjects.map((subject) => pool.inspect(subject)));
  for (const [n, { problems, counts }] of inspections.entries()) {
    if (problems.length > 0)
      throw new UserError(
        `the subject ${subjects[n]?.id} cannot be read: ${problems.join('; ')}.`,
        '`scanline data check` lists all defects.',
      );
    for (const [value] of counts ?? []) values.add(value);
  }
  return [...values]
    .sort((a, b) => a - b)
    .map((value) => ({ name: value === 0 ? 'background' : `label ${value}`, value }));
}
