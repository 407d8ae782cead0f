// Prepared volumes kept in memory that all threads share, or in files, within a bound.
import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabelClass } from './dataset-json';
import type { Subject } from './subjects';
import type { TransformSpec } from './transforms';
import { type Grid, type Labels, type Sample, voxels } from './volume';

/** A sample after the transforms that draw nothing, and the grid of its files. */
export interface Prepared {
  readonly sample: Sample;
  readonly source: Grid;
}

/** Everything of a prepared volume but its values. */
interface Description extends Grid {
  readonly channels: number;
  readonly source: Grid;
  /** Bytes of a label; 0 where there is none. */
  readonly labelBytes: 0 | 1 | 2;
}

/** A prepared volume in memory that threads share: first the image, then the label. */
export interface SharedVolume extends Description {
  readonly values: SharedArrayBuffer;
}

const UNIT = 1024;

/** How much a cache may still take, counted by all threads together. */
export class Room {
  private readonly left: Int32Array;

  constructor(readonly shared: SharedArrayBuffer) {
    this.left = new Int32Array(shared);
  }

  static of(bytes: number): Room {
    const room = new Room(new SharedArrayBuffer(4));
    room.left[0] = Math.min(Math.max(0, Math.floor(bytes / UNIT)), 2 ** 31 - 1);
    return room;
  }

  /** Takes room, or tells that there is not enough. */
  take(bytes: number): boolean {
    const units = Math.ceil(bytes / UNIT);
    if (Atomics.sub(this.left, 0, units) >= units) return true;
    Atomics.add(this.left, 0, units);
    return false;
  }

  giveBack(bytes: number): void {
    Atomics.add(this.left, 0, Math.ceil(bytes / UNIT));
  }
}

function describe({ sample, source }: Prepared): Description {
  const { shape, affine, channels, label } = sample;
  return { shape, affine, channels, source, labelBytes: (label?.BYTES_PER_ELEMENT ?? 0) as 0 | 1 | 2 };
}

const bytesOf = ({ shape, channels, labelBytes }: Description) => voxels(shape) * (channels * 4 + labelBytes);

/** The sample in a buffer, not copied. */
function view({ source, labelBytes, ...rest }: Description, values: ArrayBufferLike, start: number): Prepared {
  const count = voxels(rest.shape);
  const end = start + count * rest.channels * 4;
  const label: Labels | undefined =
    labelBytes === 0
      ? undefined
      : labelBytes === 1
        ? new Uint8Array(values, end, count)
        : new Int16Array(values, end, count);
  const image = new Float32Array(values, start, count * rest.channels);
  return { source, sample: { ...rest, image, ...(label && { label }) } };
}

function copyInto(values: ArrayBufferLike, start: number, { image, label }: Sample): void {
  new Float32Array(values, start, image.length).set(image);
  if (label)
    new (label.constructor as Uint8ArrayConstructor)(values, start + image.byteLength, label.length).set(label);
}

/** A copy in memory that threads share; undefined where there is no room for it. */
export function share(prepared: Prepared, room: Room): SharedVolume | undefined {
  const description = describe(prepared);
  const bytes = bytesOf(description);
  if (!room.take(bytes)) return undefined;
  const values = new SharedArrayBuffer(bytes);
  copyInto(values, 0, prepared.sample);
  return { ...description, values };
}

export const sharedBytes = (volume: SharedVolume) => bytesOf(volume);

export const unshare = ({ values, ...description }: SharedVolume): Prepared => view(description, values, 0);

const SUFFIX = '.prepared';

/** Bytes of the prepared volumes that a folder holds. */
export function bytesIn(folder: string): number {
  const names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  return names.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

/** A name for what becomes of the files: another one when a file, a transform or a class changes. */
export async function cacheKey(
  { images, label }: Subject,
  specs: readonly TransformSpec[],
  classes: readonly LabelClass[] | undefined,
): Promise<string> {
  const paths = [...images, ...(label === undefined ? [] : [label])];
  const files = await Promise.all(
    paths.map(async (path) => [path, (await stat(path)).size, (await stat(path)).mtimeMs]),
  );
  return createHash('sha256')
    .update(JSON.stringify([files, specs, classes]))
    .digest('hex')
    .slice(0, 32);
}

/** The first bytes of a file: the description as JSON, padded; a multiple of 8, for the numbers behind it. */
const HEAD = 2048;

/** Writes a prepared volume, whole or not at all; not where there is no room for it. */
export async function store(folder: string, key: string, prepared: Prepared, room: Room): Promise<void> {
  const description = describe(prepared);
  const bytes = HEAD + bytesOf(description);
  const head = Buffer.from(JSON.stringify(description));
  if (head.length > HEAD || !room.take(bytes)) return;
  const contents = Buffer.alloc(bytes, 0);
  contents.fill(' ', 0, HEAD);
  contents.set(head);
  const values = new ArrayBuffer(bytes - HEAD);
  copyInto(values, 0, prepared.sample);
  contents.set(new Uint8Array(values), HEAD);
  const temporary = join(folder, `${key}.${process.pid}.${Math.random().toString(36).slice(2)}`);
  await writeFile(temporary, contents);
  await rename(temporary, join(folder, `${key}${SUFFIX}`));
}

/** The prepared volume of a key; undefined where there is none, or it is damaged. */
export async function load(folder: string, key: string): Promise<Prepared | undefined> {
  try {
    const contents = await readFile(join(folder, `${key}${SUFFIX}`));
    const description = JSON.parse(contents.toString('utf8', 0, HEAD)) as Description;
    if (contents.length !== HEAD + bytesOf(description)) return undefined;
    const aligned = contents.byteOffset % 8 === 0 ? contents : Buffer.from(new Uint8Array(contents).buffer);
    return view(description, aligned.buffer, aligned.byteOffset + HEAD);
  } catch {
    return undefined;
  }
}
