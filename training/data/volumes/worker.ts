// A thread that reads, prepares and crops the volumes of a batch.
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import { cacheKey, load, type Prepared, Room, type SharedVolume, share, store, unshare } from './cache';
import type { LabelClass } from './dataset-json';
import { examine, readSubject } from './read-subject';
import type { Subject } from './subjects';
import { applyTransforms, type TransformSpec } from './transforms';
import { type Grid, type Sample, type Shape, voxels } from './volume';

export interface BatchJob {
  readonly kind: 'batch';
  readonly id: number;
  readonly subjects: readonly { readonly subject: Subject; readonly index: number; readonly cached?: SharedVolume }[];
  readonly channels: number;
  /** Classes of the labels: a value becomes the place of its class. @default values stay */
  readonly classes?: readonly LabelClass[];
  /** Transforms that draw nothing: what they make may be cached. */
  readonly prepare: readonly TransformSpec[];
  /** Transforms that draw, and the keys that they draw by. @default none: the volumes as they are prepared, one a batch */
  readonly augment?: { readonly specs: readonly TransformSpec[]; readonly keys: readonly number[] };
  readonly cache?: { readonly room: SharedArrayBuffer; readonly folder?: string };
}

/** Looks at a subject's files. */
export interface InspectJob {
  readonly kind: 'inspect';
  readonly id: number;
  readonly subject: Subject;
  readonly classes?: readonly LabelClass[];
}

export type VolumeJob = BatchJob | InspectJob;

export interface BatchResult {
  readonly kind: 'batch';
  readonly id: number;
  /** [N, I, J, K, C] */
  readonly images: Float32Array<ArrayBuffer>;
  /** [N, I, J, K]; empty where the subject has no label. */
  readonly labels: Int32Array<ArrayBuffer>;
  readonly shape: Shape;
  /** Which of the job's subjects each of the N is of. */
  readonly positions: readonly number[];
  /** Where each of the N lies, and the grid of its files. */
  readonly grids: readonly { readonly affine: Grid['affine']; readonly source: Grid }[];
  /** Volumes that are now kept in memory, by the subject's index. */
  readonly kept: readonly { readonly index: number; readonly volume: SharedVolume }[];
  readonly bad: readonly { readonly id: string; readonly reason: string }[];
}

/** What a subject's files hold, without their voxels. */
export interface Inspection {
  readonly problems: readonly string[];
  readonly doubts: readonly string[];
  readonly grid?: Grid & { readonly channels: number };
  /** Voxels of each label value. */
  readonly counts?: readonly (readonly [value: number, count: number])[];
  /** Equal for images of equal values. */
  readonly hash?: string;
}

export interface InspectResult extends Inspection {
  readonly kind: 'inspect';
  readonly id: number;
}

export type VolumeResult = BatchResult | InspectResult;

/** Label values as numbers of classes. */
function numbered(sample: Sample, classes: readonly LabelClass[] | undefined): Sample {
  if (sample.label === undefined || classes === undefined || classes.every(({ value }, n) => value === n))
    return sample;
  const places = new Map(classes.map(({ value }, n) => [value, n]));
  return { ...sample, label: sample.label.map((value) => places.get(value) as number) };
}

/** @throws Error with the reason when the files are unfit */
async function prepare(subject: Subject, { prepare: specs, classes, channels }: BatchJob): Promise<Prepared> {
  const raw = numbered(await readSubject(subject, classes), classes);
  if (raw.channels !== channels) throw new Error(`it has ${raw.channels} channels, the others ${channels}`);
  const [sample] = applyTransforms(raw, specs) as [Sample];
  return { sample, source: { shape: raw.shape, affine: raw.affine } };
}

async function prepareCached(
  { subject, index, cached }: BatchJob['subjects'][number],
  job: BatchJob,
  kept: { index: number; volume: SharedVolume }[],
): Promise<Prepared> {
  if (cached) return unshare(cached);
  if (job.cache === undefined) return prepare(subject, job);
  const { folder } = job.cache;
  const room = new Room(job.cache.room);
  if (folder !== undefined) {
    const key = await cacheKey(subject, job.prepare, job.classes);
    const stored = await load(folder, key);
    if (stored) return stored;
    const prepared = await prepare(subject, job);
    await store(folder, key, prepared, room);
    return prepared;
  }
  const prepared = await prepare(subject, job);
  const volume = share(prepared, room);
  if (volume) kept.push({ index, volume });
  return prepared;
}

interface Member {
  readonly sample: Sample;
  readonly source: Grid;
  readonly position: number;
}

/** The samples one after the other. @throws Error when their shapes differ */
function collate(members: readonly Member[]): Pick<BatchResult, 'images' | 'labels' | 'shape' | 'positions' | 'grids'> {
  const shape = members[0]?.sample.shape ?? [0, 0, 0];
  const count = voxels(shape);
  const labelled = members.every(({ sample }) => sample.label !== undefined);
  const images = new Float32Array(members.reduce((sum, { sample }) => sum + sample.image.length, 0));
  const labels = new Int32Array(labelled ? members.length * count : 0);
  for (const [n, { sample }] of members.entries()) {
    images.set(sample.image, n * sample.image.length);
    if (labelled) labels.set(sample.label as ArrayLike<number>, n * count);
  }
  const grids = members.map(({ sample, source }) => ({ affine: sample.affine, source }));
  return { images, labels, shape, positions: members.map(({ position }) => position), grids };
}

async function batch(job: BatchJob): Promise<BatchResult> {
  const members: Member[] = [];
  const kept: { index: number; volume: SharedVolume }[] = [];
  const bad: { id: string; reason: string }[] = [];
  for (const [position, entry] of job.subjects.entries()) {
    try {
      const { sample, source } = await prepareCached(entry, job, kept);
      const { specs = [], keys = [] } = job.augment ?? {};
      for (const crop of applyTransforms(sample, specs, ...keys, entry.index))
        members.push({ sample: crop, source, position });
    } catch (error) {
      bad.push({ id: entry.subject.id, reason: (error as Error).message });
    }
  }
  return { kind: 'batch', id: job.id, ...collate(members), kept, bad };
}

async function inspect({ id, subject, classes }: InspectJob): Promise<InspectResult> {
  const { sample, problems, doubts } = await examine(subject, classes);
  if (sample === undefined) return { kind: 'inspect', id, problems, doubts };
  const counts = new Map<number, number>();
  for (const value of sample.label ?? []) counts.set(value, (counts.get(value) ?? 0) + 1);
  const { shape, affine, channels, image } = sample;
  const hash = createHash('sha256')
    .update(`${shape}`)
    .update(new Uint8Array(image.buffer, image.byteOffset, image.byteLength));
  return {
    ...{ kind: 'inspect', id, problems, doubts, grid: { shape, affine, channels }, hash: hash.digest('hex') },
    ...(sample.label && { counts: [...counts].sort(([a], [b]) => a - b) }),
  };
}

parentPort?.on('message', async (job: VolumeJob) => {
  if (job.kind === 'inspect') {
    const { kind, id } = job;
    const failed = (error: Error) => ({ kind, id, problems: [`it cannot be read: ${error.message}`], doubts: [] });
    return parentPort?.postMessage(await inspect(job).catch(failed));
  }
  // e.g. no memory for the batch: told of its subjects, for a thread that ends tells nothing
  const failed = ({ message }: Error): BatchResult => {
    const bad = job.subjects.map(({ subject }) => ({ id: subject.id, reason: message }));
    return { kind: 'batch', id: job.id, ...collate([]), kept: [], bad };
  };
  const result = await batch(job).catch(failed);
  return parentPort?.postMessage(result, [result.images.buffer, result.labels.buffer]);
});
