// A DICOM series as a volume: slices, one in a file or many, sorted by where they lie, refused where some are missing.
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDicomFile, PREAMBLE, parseDicom } from './dicom-file';
import type { VolumeLimits } from './nifti';
import { type Affine, type Grid, invert, MOST_VALUES, type Shape, voxels } from './volume';

export interface DicomVolume extends Grid {
  readonly channels: 1;
  /** [I, J, K, 1]: columns, rows, slices; rescaled. */
  readonly data: Float32Array<ArrayBuffer>;
}

type Vector = readonly [number, number, number];

interface Slice {
  readonly name: string;
  readonly series: string;
  readonly columns: number;
  readonly rows: number;
  /** Direction of rising columns, and of rising rows; in DICOM's world, LPS. */
  readonly along: Vector;
  readonly down: Vector;
  /** The first voxel, mm, LPS. */
  readonly position: Vector;
  /** Distance of neighbouring columns, and of rows, mm. */
  readonly spacing: readonly [number, number];
  /** Distance of slices as the file says it; undefined where it does not. */
  readonly distance: number | undefined;
  readonly pixels: () => Float32Array;
}

/** Largest deviation of a slice from its place, as a share of the distance of slices. */
const TOLERANCE = 0.01;

async function isDicom(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PREAMBLE + 4), 0, PREAMBLE + 4, 0);
    return isDicomFile(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
}

/** The DICOM files of a folder, by name; other files are passed over. */
export async function dicomFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile() && !entry.name.startsWith('.') && entry.name !== 'DICOMDIR');
  const found = await Promise.all(names.map(async ({ name }) => ((await isDicom(join(folder, name))) ? [name] : [])));
  return found.flat().sort();
}

const subtract = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/** What a file says of its slices. @throws Error where something that is needed is missing or of a kind that is not read */
function parseSlices(bytes: Buffer, name: string): Slice[] {
  const { rows, columns, frames, values: valuesOfFile } = parseDicom(bytes);
  const series = String(valuesOfFile(0x0020, 0x000e)[0] ?? '');
  return frames.map(({ number, numbers, pixels }, n) => {
    const direction = numbers('ImageOrientationPatient', 0x0020, 0x0037, 6) as unknown as [...number[]];
    const [rowSpacing, columnSpacing] = numbers('PixelSpacing', 0x0028, 0x0030, 2) as [number, number];
    const distance = number(0x0018, 0x0088, number(0x0018, 0x0050, Number.NaN));
    return {
      ...{ rows, columns, pixels, series },
      name: frames.length > 1 ? `frame ${n + 1} of ${name}` : name,
      along: direction.slice(0, 3) as unknown as Vector,
      down: direction.slice(3, 6) as unknown as Vector,
      position: numbers('ImagePositionPatient', 0x0020, 0x0032, 3) as unknown as Vector,
      spacing: [columnSpacing, rowSpacing],
      distance: distance > 0 ? distance : undefined,
    };
  });
}

function refuseMixture(slices: readonly Slice[]): void {
  const first = slices[0] as Slice;
  const series = new Map<string, number>();
  for (const slice of slices) series.set(slice.series, (series.get(slice.series) ?? 0) + 1);
  if (series.size > 1) {
    const counts = [...series].map(([uid, count]) => `${uid} (${count} files)`);
    throw new Error(`it holds ${series.size} series; put each into a folder of its own: ${counts.join(', ')}`);
  }
  const far = (a: readonly number[], b: readonly number[]) =>
    a.some((value, n) => Math.abs(value - (b[n] as number)) > 1e-4);
  for (const slice of slices) {
    const differs =
      slice.rows !== first.rows || slice.columns !== first.columns
        ? `has ${slice.columns} x ${slice.rows} pixels, ${first.name} ${first.columns} x ${first.rows}`
        : far(slice.along, first.along) || far(slice.down, first.down)
          ? `is not parallel to ${first.name}`
          : far(slice.spacing, first.spacing)
            ? `has the spacing ${slice.spacing.join(' x ')} mm, ${first.name} ${first.spacing.join(' x ')} mm`
            : undefined;
    if (differs) throw new Error(`${slice.name} ${differs}`);
  }
}

/** The step from a slice to the next, LPS, mm; refuses slices that are missing, doubled or unevenly spaced. */
function stepOf(sorted: readonly Slice[], normal: Vector): Vector {
  const [first, last] = [sorted[0] as Slice, sorted.at(-1) as Slice];
  if (sorted.length === 1) return normal.map((value) => value * (first.distance ?? 1)) as unknown as Vector;
  const gaps = sorted.slice(1).map((slice, n) => dot(subtract(slice.position, (sorted[n] as Slice).position), normal));
  const usual = [...gaps].sort((a, b) => a - b)[Math.floor(gaps.length / 2)] as number;
  for (const [n, gap] of gaps.entries()) {
    const [before, after] = [(sorted[n] as Slice).name, (sorted[n + 1] as Slice).name];
    if (gap <= 1e-3) throw new Error(`${before} and ${after} lie at the same place`);
    const missing = Math.round(gap / usual) - 1;
    if (missing >= 1 && Math.abs(gap / usual - missing - 1) < 0.1)
      throw new Error(
        `${missing === 1 ? 'a slice is' : `${missing} slices are`} missing between ${before} and ${after}`,
      );
  }
  const step = subtract(last.position, first.position).map((value) => value / gaps.length) as unknown as Vector;
  for (const [n, slice] of sorted.entries()) {
    const place = subtract(slice.position, first.position);
    const off = Math.hypot(...place.map((value, axis) => value - n * (step[axis] as number)));
    if (off > Math.max(TOLERANCE * usual * Math.max(1, n / 10), 0.01))
      throw new Error(`its slices are unevenly spaced: ${slice.name} lies ${off.toFixed(2)} mm from its place`);
  }
  return step;
}

/** From DICOM's world to NIfTI's: left becomes right, back becomes front. */
function toAffine({ along, down, position, spacing }: Slice, step: Vector): Affine {
  const columns = [along.map((v) => v * spacing[0]), down.map((v) => v * spacing[1]), step, position];
  return [-1, -1, 1].flatMap((sign, row) => columns.map((column) => sign * (column[row] as number))).concat(0, 0, 0, 1);
}

/** A file of a series. */
export interface DicomFile {
  readonly name: string;
  readonly bytes: Buffer;
}

/**
 * The volume of one series: CT, MR, PET, of a slice in a file or of enhanced multi-frame objects; compressed as JPEG, JPEG-LS, JPEG 2000, RLE,
 * or not.
 *
 * @throws Error naming the file: unreadable, of another size or direction, doubled, missing, unevenly spaced
 */
export function parseDicomSeries(
  files: readonly DicomFile[],
  { mostValues = MOST_VALUES }: Pick<VolumeLimits, 'mostValues'> = {},
): DicomVolume {
  const slices = files.flatMap(({ name, bytes }) => {
    try {
      return parseSlices(bytes, name);
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
  });
  refuseMixture(slices);
  const { along, down, columns, rows } = slices[0] as Slice;
  const normal = cross(along, down);
  const sorted = slices.toSorted((a, b) => dot(a.position, normal) - dot(b.position, normal));
  const affine = toAffine(sorted[0] as Slice, stepOf(sorted, normal));
  if (invert(affine) === undefined) throw new Error('its directions and spacing are no affine');
  const shape: Shape = [columns, rows, sorted.length];
  if (voxels(shape) > mostValues) throw new Error(`it has ${shape.join(' x ')} voxels; ${mostValues} are the most`);
  const data = new Float32Array(voxels(shape));
  for (const [k, slice] of sorted.entries()) {
    let pixels: Float32Array;
    try {
      pixels = slice.pixels();
    } catch (error) {
      throw new Error(`${slice.name}: its pixels cannot be read: ${(error as Error)?.message ?? error}`);
    }
    for (let j = 0; j < rows; j++)
      for (let i = 0; i < columns; i++) data[(i * rows + j) * sorted.length + k] = pixels[j * columns + i] as number;
  }
  return { shape, channels: 1, affine, data };
}

/** The volume of a folder that holds one series, as `parseDicomSeries` has it. @throws Error naming the file */
export async function readDicomSeries(folder: string): Promise<DicomVolume> {
  const names = await dicomFiles(folder);
  if (names.length === 0) throw new Error('it holds no DICOM files');
  const files: DicomFile[] = [];
  for (const name of names) files.push({ name, bytes: await readFile(join(folder, name)) });
  return parseDicomSeries(files);
}
