// A DICOM series as a volume: a folder of slices, sorted by where they lie, refused where some are missing.
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inflateRawSync } from 'node:zlib';
import daikon from 'daikon';
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

/** The bytes that a file's magic stands behind. */
const PREAMBLE = 128;

async function isDicom(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PREAMBLE + 4), 0, PREAMBLE + 4, 0);
    return bytesRead === PREAMBLE + 4 && buffer.toString('latin1', PREAMBLE) === 'DICM';
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

/** Transfer syntaxes in which the pixels are not compressed. */
const PLAIN = /^1\.2\.840\.10008\.1\.2(\.1|\.1\.99|\.2)?$/;

const PIXEL_DATA = Buffer.from([0xe0, 0x7f, 0x10, 0x00]);
const SEQUENCE_END = Buffer.from([0xfe, 0xff, 0xdd, 0xe0]);

/** Compressed pixels end with a mark; a decoder may take what was cut off for black. */
function refuseCut(bytes: Buffer, syntax: string): void {
  if (!PLAIN.test(syntax) && bytes.lastIndexOf(SEQUENCE_END) < bytes.lastIndexOf(PIXEL_DATA))
    throw new Error('its compressed pixels end too early');
}

const subtract = (a: Vector, b: Vector): Vector => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Vector, b: Vector) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vector, b: Vector): Vector => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/** Where the part of a file that names its transfer syntax ends at the latest. */
const META = 2048;

const DEFLATED = '1.2.840.10008.1.2.1.99';

/** Bytes that one deflated file may unpack to, and pixels that one slice may have: far more than a scanner makes. */
const MOST_BYTES = 2 ** 28;
const MOST_PIXELS = 2 ** 26;

/** daikon unpacks without a bound; what unpacks to too much must not come to it. */
function refuseBomb(bytes: Buffer): void {
  // the length of the part that is not deflated is its first element (PS3.10, 7.1)
  const start = PREAMBLE + 4 + 12 + bytes.readUInt32LE(PREAMBLE + 12);
  try {
    inflateRawSync(bytes.subarray(start), { maxOutputLength: MOST_BYTES });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(code === 'ERR_BUFFER_TOO_LARGE' ? `it unpacks to more than ${MOST_BYTES} bytes` : message);
  }
}

/** How integers lie in the words of a slice. */
interface PixelFormat {
  readonly words: (buffer: ArrayBuffer) => ArrayLike<number>;
  readonly stored: number;
  readonly signed: boolean;
}

const WORDS = { 8: Uint8Array, 16: Uint16Array, 32: Uint32Array } as const;

function swapped(buffer: ArrayBuffer, bits: number): ArrayBuffer {
  const bytes = Buffer.from(buffer.slice(0));
  if (bits === 16) bytes.swap16();
  if (bits === 32) bytes.swap32();
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
}

/** Values from words: only the stored bits count, the highest of which may be the sign. */
function interpret(
  buffer: ArrayBuffer,
  count: number,
  format: PixelFormat,
  slope: number,
  intercept: number,
): Float32Array {
  const words = format.words(buffer);
  if (words.length < count) throw new Error(`it has pixels for ${words.length} of ${count}`);
  const unused = 32 - format.stored;
  const result = new Float32Array(count);
  for (let n = 0; n < count; n++) {
    const raised = (words[n] as number) << unused;
    result[n] = (format.signed ? raised >> unused : raised >>> unused) * slope + intercept;
  }
  return result;
}

/** What a file says of its slice. @throws Error where something that is needed is missing or of a kind that is not read */
function parseSlice(bytes: Buffer, name: string): Slice {
  if (bytes.subarray(0, META).includes(DEFLATED)) refuseBomb(bytes);
  const view = new DataView(new Uint8Array(bytes).buffer);
  const image = daikon.Series.parseImage(view);
  if (image === null) throw new Error(`it cannot be parsed: ${daikon.Series.parserError?.message}`);
  const values = (group: number, element: number) => image.getTag(group, element)?.value ?? [];
  const numbers = (what: string, group: number, element: number, length: number): number[] => {
    const found = values(group, element).map(Number);
    if (found.length >= length && found.every(Number.isFinite)) return found;
    throw new Error(`it has no ${what} (${[group, element].map((n) => n.toString(16).padStart(4, '0'))})`);
  };
  const number = (group: number, element: number, preset: number) => {
    const [found] = values(group, element);
    return found === undefined || found === null || !Number.isFinite(Number(found)) ? preset : Number(found);
  };
  if (number(0x0028, 0x0008, 1) > 1) throw new Error('it has several frames; convert it to single frames or NIfTI');
  if (number(0x0028, 0x0002, 1) > 1) throw new Error('it is coloured');
  if (!image.hasPixelData()) throw new Error('it has no pixels');
  refuseCut(bytes, String(values(0x0002, 0x0010)[0] ?? '').replace(/\0+$/, ''));
  const [rows = 0] = numbers('Rows', 0x0028, 0x0010, 1);
  const [columns = 0] = numbers('Columns', 0x0028, 0x0011, 1);
  if (rows * columns > MOST_PIXELS) throw new Error(`it has ${columns} x ${rows} pixels; ${MOST_PIXELS} are the most`);
  const [allocated = 0] = numbers('BitsAllocated', 0x0028, 0x0100, 1);
  if (!(allocated in WORDS)) throw new Error(`its pixels have ${allocated} bits; allowed are 8, 16 and 32`);
  const format: PixelFormat = {
    words: (buffer) =>
      new WORDS[allocated as keyof typeof WORDS](image.littleEndian ? buffer : swapped(buffer, allocated)),
    stored: number(0x0028, 0x0101, allocated),
    signed: number(0x0028, 0x0103, 0) === 1,
  };
  const [slope, intercept] = [number(0x0028, 0x1053, 1), number(0x0028, 0x1052, 0)];
  const direction = numbers('ImageOrientationPatient', 0x0020, 0x0037, 6) as unknown as [...number[]];
  const [rowSpacing, columnSpacing] = numbers('PixelSpacing', 0x0028, 0x0030, 2) as [number, number];
  const distance = number(0x0018, 0x0088, number(0x0018, 0x0050, Number.NaN));
  return {
    ...{ name, rows, columns },
    series: String(values(0x0020, 0x000e)[0] ?? ''),
    along: direction.slice(0, 3) as unknown as Vector,
    down: direction.slice(3, 6) as unknown as Vector,
    position: numbers('ImagePositionPatient', 0x0020, 0x0032, 3) as unknown as Vector,
    spacing: [columnSpacing, rowSpacing],
    distance: distance > 0 ? distance : undefined,
    pixels: () => interpret(image.getRawData(), rows * columns, format, slope, intercept),
  };
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

/**
 * The volume of a folder that holds one series of single-frame slices: CT, MR, PET; compressed as JPEG, JPEG-LS, JPEG 2000, RLE, or not.
 *
 * @throws Error naming the file: unreadable, of another size or direction, doubled, missing, unevenly spaced
 */
export async function readDicomSeries(folder: string): Promise<DicomVolume> {
  const names = await dicomFiles(folder);
  if (names.length === 0) throw new Error('it holds no DICOM files');
  const slices: Slice[] = [];
  for (const name of names) {
    try {
      slices.push(parseSlice(await readFile(join(folder, name)), name));
    } catch (error) {
      throw new Error(`${name}: ${(error as Error).message}`);
    }
  }
  refuseMixture(slices);
  const { along, down, columns, rows } = slices[0] as Slice;
  const normal = cross(along, down);
  const sorted = slices.toSorted((a, b) => dot(a.position, normal) - dot(b.position, normal));
  const affine = toAffine(sorted[0] as Slice, stepOf(sorted, normal));
  if (invert(affine) === undefined) throw new Error('its directions and spacing are no affine');
  const shape: Shape = [columns, rows, sorted.length];
  if (voxels(shape) > MOST_VALUES) throw new Error(`it has ${shape.join(' x ')} voxels; ${MOST_VALUES} are the most`);
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
