// NIfTI-1 and NIfTI-2 files: read as nibabel reads them, and written.
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gunzipSync, gzip } from 'node:zlib';
import { type Affine, type Grid, invert, type Labels, MOST_VALUES, type Shape, spacingOf, voxels } from './volume';

/** An ES module that cannot be required. */
const library = () => import('nifti-reader-js');

type Library = Awaited<ReturnType<typeof library>>;
type NIFTI1 = InstanceType<Library['NIFTI1']>;
type NIFTI2 = InstanceType<Library['NIFTI2']>;

export const NIFTI_FILE = /\.nii(\.gz)?$/i;

/** What a file's header says. */
export interface NiftiHeader extends Grid {
  readonly channels: number;
  readonly type: NumberType;
  readonly littleEndian: boolean;
  /** Values are raw * slope + intercept. */
  readonly slope: number;
  readonly intercept: number;
  /** Where the voxels begin, bytes. */
  readonly offset: number;
}

export interface NiftiVolume extends NiftiHeader {
  /** [I, J, K, C], with slope and intercept applied. */
  readonly data: Float32Array<ArrayBuffer>;
}

type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

interface NumberType {
  readonly name: string;
  readonly bytes: number;
  readonly array: new (buffer: ArrayBufferLike, offset: number, length: number) => NumberArray;
}

/** Kinds of numbers by NIfTI's code. */
const TYPES: Readonly<Record<number, NumberType>> = {
  2: { name: 'uint8', bytes: 1, array: Uint8Array },
  4: { name: 'int16', bytes: 2, array: Int16Array },
  8: { name: 'int32', bytes: 4, array: Int32Array },
  16: { name: 'float32', bytes: 4, array: Float32Array },
  64: { name: 'float64', bytes: 8, array: Float64Array },
  256: { name: 'int8', bytes: 1, array: Int8Array },
  512: { name: 'uint16', bytes: 2, array: Uint16Array },
  768: { name: 'uint32', bytes: 4, array: Uint32Array },
  1024: { name: 'int64', bytes: 8, array: BigInt64Array },
  1280: { name: 'uint64', bytes: 8, array: BigUint64Array },
};

/** Bytes of NIfTI-2's header and of the flag for extensions, which is more than NIfTI-1's. */
const HEADER = 544;

/** Compressed bytes that surely hold the header; they grow to 8 MB at most. */
const COMPRESSED_HEAD = 8192;

/** What may follow the voxels: some programs pad their files. */
const TRAILER = 2 ** 20;

export const isGzip = (bytes: Uint8Array) => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** The affine of the quaternion (nifti1.h, method 2); a rounding error in it must not make a square root imaginary. */
function quaternionAffine(header: NIFTI1 | NIFTI2): Affine {
  const [b, c, d] = [header.quatern_b, header.quatern_c, header.quatern_d];
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const [dx = 1, dy = 1, dz = 1] = header.pixDims.slice(1, 4);
  const z = dz * ((header.pixDims[0] as number) < 0 ? -1 : 1);
  return [
    ...[(a * a + b * b - c * c - d * d) * dx, 2 * (b * c - a * d) * dy, 2 * (b * d + a * c) * z, header.qoffset_x],
    ...[2 * (b * c + a * d) * dx, (a * a + c * c - b * b - d * d) * dy, 2 * (c * d - a * b) * z, header.qoffset_y],
    ...[2 * (b * d - a * c) * dx, 2 * (c * d + a * b) * dy, (a * a + d * d - b * b - c * c) * z, header.qoffset_z],
    ...[0, 0, 0, 1],
  ];
}

/** As nibabel chooses: the sform where there is one, else the qform, else the spacing alone, with the middle at 0 and i to the left. */
function chooseAffine(header: NIFTI1 | NIFTI2, shape: Shape, srow: Affine): Affine {
  if (header.sform_code > 0) return srow;
  if (header.qform_code > 0) return quaternionAffine(header);
  const [x, y, z] = header.pixDims.slice(1, 4).map((length) => length || 1) as [number, number, number];
  const middle = (axis: 0 | 1 | 2, length: number) => (-(shape[axis] - 1) / 2) * length;
  return [-x, 0, 0, -middle(0, x), 0, y, 0, middle(1, y), 0, 0, z, middle(2, z), 0, 0, 0, 1];
}

/** The sform, which the library gives only where it would choose it itself. */
function readSform(bytes: Uint8Array, one: boolean, header: NIFTI1 | NIFTI2): Affine {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const number = one
    ? (n: number) => view.getFloat32(280 + n * 4, header.littleEndian)
    : (n: number) => view.getFloat64(400 + n * 8, header.littleEndian);
  return [...Array.from({ length: 12 }, (_, n) => number(n)), 0, 0, 0, 1];
}

async function parseHeader(bytes: Uint8Array): Promise<NiftiHeader> {
  // in a buffer of its own, without what follows: the library would read the extensions
  const head = new Uint8Array(HEADER);
  head.set(bytes.subarray(0, HEADER));
  const [one, two] = [bytes[0] === 0x5c || bytes[3] === 0x5c, bytes[0] === 0x1c || bytes[3] === 0x1c];
  if (bytes.length < 348 || !(one || two)) throw new Error('it is not NIfTI');
  head.fill(0, one ? 348 : 540);
  const magic = String.fromCharCode(...head.subarray(...(one ? [344, 347] : [4, 7])));
  if (magic === 'ni1' || magic === 'ni2') throw new Error('it is a pair of .hdr and .img; convert it to one .nii file');
  const { readHeader } = await library();
  const header = readHeader(head.buffer) as NIFTI1 | NIFTI2;
  const [rank = 0, ...lengths] = header.dims;
  const dims = lengths.slice(0, rank);
  if (rank < 2 || rank > 7 || dims.some((length) => !Number.isSafeInteger(length) || length < 1))
    throw new Error(`its dimensions are ${header.dims.join(', ')}`);
  const [i = 1, j = 1, k = 1, ...more] = dims;
  const channels = more.reduce((product, length) => product * length, 1);
  if (i * j * k * channels > MOST_VALUES)
    throw new Error(`its header says ${dims.join(' x ')} voxels; ${MOST_VALUES} are the most`);
  const type = TYPES[header.datatypeCode];
  if (type === undefined)
    throw new Error(
      `its numbers are of type ${header.datatypeCode}; allowed are ${Object.values(TYPES).map(({ name }) => name)}`,
    );
  const shape: Shape = [i, j, k];
  const affine = chooseAffine(header, shape, readSform(head, one, header));
  if (affine.some((value) => !Number.isFinite(value)) || invert(affine) === undefined)
    throw new Error(`its affine is no affine: ${affine.slice(0, 12).map((value) => value.toPrecision(3))}`);
  // nibabel: a slope of 0, or that is no number, means that there is none
  const scaled = header.scl_slope !== 0 && Number.isFinite(header.scl_slope);
  if (scaled && !Number.isFinite(header.scl_inter)) throw new Error('it has a slope, but its intercept is no number');
  const offset = header.vox_offset;
  if (!Number.isSafeInteger(offset) || offset < 0 || offset > 2 ** 31) throw new Error(`its voxels begin at ${offset}`);
  return {
    ...{ shape, channels, affine, type, offset: Math.max(offset, one ? 348 : 540), littleEndian: header.littleEndian },
    slope: scaled ? header.scl_slope : 1,
    intercept: scaled ? header.scl_inter : 0,
  };
}

function why(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'Z_BUF_ERROR') return 'the compressed data end too early';
  if (code === 'Z_DATA_ERROR') return `the compressed data are damaged (${message})`;
  if (code === 'ERR_BUFFER_TOO_LARGE') return 'it unpacks to more than its header says';
  return message;
}

/** What is told of a file that cannot be read. */
function unreadable(error: unknown): Error {
  return new Error(why(error));
}

/**
 * What the header of a file says, without its voxels.
 *
 * @throws Error with the reason when it is not NIfTI, or of a kind or size that is not read
 */
export async function readNiftiHeader(path: string): Promise<NiftiHeader> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(COMPRESSED_HEAD), 0, COMPRESSED_HEAD, 0);
    return await parseHeader(unpackHead(buffer.subarray(0, bytesRead)));
  } catch (error) {
    throw unreadable(error);
  } finally {
    await file.close();
  }
}

/** The first bytes of what may be compressed. @throws Error where they are damaged */
export function unpackHead(bytes: Buffer): Buffer {
  if (!isGzip(bytes)) return bytes.subarray(0, COMPRESSED_HEAD);
  const head = gunzipSync(bytes.subarray(0, COMPRESSED_HEAD), { finishFlush: constants.Z_SYNC_FLUSH });
  if (head.length < 348) throw new Error('the compressed data end too early');
  return head;
}

/** The numbers as the file has them, in its order: i runs fastest. */
function rawNumbers(bytes: Buffer, { type, offset, littleEndian }: NiftiHeader, count: number): NumberArray {
  let part = bytes.subarray(offset, offset + count * type.bytes);
  const swaps = !littleEndian && type.bytes > 1;
  if (swaps || part.byteOffset % type.bytes !== 0) part = Buffer.from(part);
  if (part.byteOffset % type.bytes !== 0) part = Buffer.from(new Uint8Array(part).buffer);
  if (swaps) ({ 2: () => part.swap16(), 4: () => part.swap32(), 8: () => part.swap64() })[type.bytes as 2 | 4 | 8]();
  return new type.array(part.buffer, part.byteOffset, count);
}

/** From the file's order (i fastest, channels slowest) to ours (channels fastest, i slowest), scaled. */
function arrange(raw: NumberArray, { shape, channels, slope, intercept }: NiftiHeader): Float32Array<ArrayBuffer> {
  const [I, J, K] = shape;
  const data = new Float32Array(I * J * K * channels);
  const stride = J * K * channels;
  let from = 0;
  for (let c = 0; c < channels; c++)
    for (let k = 0; k < K; k++)
      for (let j = 0; j < J; j++) {
        let to = (j * K + k) * channels + c;
        for (let i = 0; i < I; i++, to += stride) data[to] = Number(raw[from++]) * slope + intercept;
      }
  return data;
}

/** What a volume may be at most; what says that it is more is refused before it takes memory. */
export interface VolumeLimits {
  /** Values, of all channels together. @default 2^29 */
  readonly mostValues?: number;
  /** Bytes that each compressed byte may unpack to, above the first 16 MiB. @default whatever the header says */
  readonly mostUnpacked?: number;
}

/** Bytes that anything may unpack to, however well it is compressed. */
const HARMLESS = 2 ** 24;

/** Bytes that a body may unpack to. */
export function unpackingLimit(
  { length }: Uint8Array,
  { mostUnpacked = Number.POSITIVE_INFINITY }: VolumeLimits,
): number {
  return Math.max(HARMLESS, length * mostUnpacked);
}

/**
 * The volume of a file's bytes, gzip or not, in any of NIfTI's integers and floats of up to 64 bits, of either byte order.
 *
 * @throws Error with the reason when it is not NIfTI, cut off, damaged, unpacks to more than its header says, or to more than allowed
 */
export async function parseNifti(packed: Buffer, limits: VolumeLimits = {}): Promise<NiftiVolume> {
  const { mostValues = MOST_VALUES } = limits;
  try {
    const header = await parseHeader(unpackHead(packed));
    const count = voxels(header.shape) * header.channels;
    if (count > mostValues)
      throw new Error(
        `its header says ${[...header.shape, header.channels].join(' x ')} values; ${mostValues} are the most`,
      );
    const end = header.offset + count * header.type.bytes;
    if (isGzip(packed) && end > unpackingLimit(packed, limits))
      throw new Error(
        `its ${packed.length} bytes would unpack to ${end}: more than ${limits.mostUnpacked} times as much`,
      );
    const bytes = isGzip(packed) ? await promisify(gunzip)(packed, { maxOutputLength: end + TRAILER }) : packed;
    if (bytes.length < end) throw new Error(`it has ${bytes.length} bytes; its header asks for ${end}`);
    return { ...header, data: arrange(rawNumbers(bytes, header, count), header) };
  } catch (error) {
    throw unreadable(error);
  }
}

/** The volume of a file, as `parseNifti` has it. @throws Error with the reason */
export async function readNifti(path: string): Promise<NiftiVolume> {
  return parseNifti(await readFile(path));
}

/** The quaternion of a rotation matrix given as columns of length 1, b, c, d as NIfTI stores them (nifti1.h; a is what is left). */
function quaternion(m: readonly (readonly number[])[]): [b: number, c: number, d: number] {
  const at = (row: number, column: number) => m[column]?.[row] as number;
  const [xx, yy, zz] = [at(0, 0), at(1, 1), at(2, 2)];
  const [b, c, d] = [1 + xx - yy - zz, 1 + yy - xx - zz, 1 + zz - xx - yy].map((v) => Math.sqrt(Math.max(0, v)) / 2);
  const a = Math.sqrt(Math.max(0, 1 + xx + yy + zz)) / 2;
  const largest = Math.max(a, b as number, c as number, d as number);
  // from the largest component, for the others may be lost in rounding; then the sign that makes a positive
  if (largest === a)
    return [(at(2, 1) - at(1, 2)) / 4 / a, (at(0, 2) - at(2, 0)) / 4 / a, (at(1, 0) - at(0, 1)) / 4 / a];
  const [sum01, sum02, sum12] = [at(0, 1) + at(1, 0), at(0, 2) + at(2, 0), at(1, 2) + at(2, 1)];
  const [q, w] =
    largest === b
      ? [[b, sum01 / 4 / b, sum02 / 4 / b], at(2, 1) - at(1, 2)]
      : largest === c
        ? [[sum01 / 4 / c, c, sum12 / 4 / c], at(0, 2) - at(2, 0)]
        : [[sum02 / 4 / (d as number), sum12 / 4 / (d as number), d as number], at(1, 0) - at(0, 1)];
  return (w < 0 ? q.map((value) => -value) : q) as [number, number, number];
}

/** Sets sform and qform; a sheared affine has no qform. */
function setAffine(header: NIFTI1, affine: Affine): void {
  const spacing = spacingOf(affine);
  const columns = [0, 1, 2].map((column) =>
    [0, 4, 8].map((row) => (affine[row + column] as number) / (spacing[column] as number)),
  );
  const dot = (a: number, b: number) =>
    [0, 1, 2].reduce((sum, n) => sum + (columns[a]?.[n] as number) * (columns[b]?.[n] as number), 0);
  const orthogonal = [dot(0, 1), dot(0, 2), dot(1, 2)].every((value) => Math.abs(value) < 1e-4);
  const [[a, b, c], [d, e, f], [g, h, i]] = columns as unknown as [Row, Row, Row];
  const proper = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g) > 0;
  header.affine = [0, 4, 8, 12].map((row) => affine.slice(row, row + 4));
  header.sform_code = ALIGNED;
  header.qform_code = orthogonal ? ALIGNED : 0;
  header.pixDims = [proper ? 1 : -1, ...spacing, 1, 1, 1, 1];
  const rotation = proper ? columns : [columns[0], columns[1], columns[2]?.map((value) => -value)];
  [header.quatern_b, header.quatern_c, header.quatern_d] = quaternion(rotation as number[][]);
  [header.qoffset_x, header.qoffset_y, header.qoffset_z] = [3, 7, 11].map((n) => affine[n]) as [number, number, number];
}

type Row = readonly [number, number, number];

/** From our order to the file's. */
function fileOrder(data: Float32Array | Labels, [I, J, K]: Shape, channels: number): Float32Array | Labels {
  const result = data.slice();
  let to = 0;
  for (let c = 0; c < channels; c++)
    for (let k = 0; k < K; k++)
      for (let j = 0; j < J; j++)
        for (let i = 0; i < I; i++) result[to++] = data[((i * J + j) * K + k) * channels + c] as number;
  return result;
}

/** NIfTI's codes for coordinates aligned to another file's, and for a unit. */
const [ALIGNED, MILLIMETRES] = [2, 2];

const CODES = { Uint8Array: 2, Int16Array: 4, Float32Array: 16 } as const;

/**
 * A NIfTI-1 file with the affine as sform and qform, not compressed.
 *
 * @param data [I, J, K], or [I, J, K, C] with the channels as the fourth dimension
 */
export async function encodeNifti(data: Float32Array | Labels, { shape, affine }: Grid): Promise<Buffer> {
  const channels = data.length / voxels(shape);
  if (!Number.isInteger(channels)) throw new Error(`${data.length} values do not fill ${shape.join(' x ')} voxels`);
  if (shape.some((length) => length > 32767)) throw new Error(`NIfTI-1 has no room for ${shape.join(' x ')} voxels`);
  const header = new (await library()).NIFTI1();
  const datatype = CODES[data.constructor.name as keyof typeof CODES];
  header.littleEndian = true;
  header.dims = [channels > 1 ? 4 : 3, ...shape, channels, 1, 1, 1];
  header.datatypeCode = datatype;
  header.numBitsPerVoxel = data.BYTES_PER_ELEMENT * 8;
  [header.vox_offset, header.scl_slope, header.scl_inter] = [352, 1, 0];
  header.xyzt_units = MILLIMETRES;
  header.magic = 'n+1';
  setAffine(header, affine);
  const ordered = fileOrder(data, shape, channels);
  return Buffer.concat([
    new Uint8Array(header.toArrayBuffer()),
    new Uint8Array(ordered.buffer, ordered.byteOffset, ordered.byteLength),
  ]);
}

/**
 * Writes a file of `encodeNifti`, compressed where the name ends with .gz. The file appears whole or not at all.
 *
 * @param data [I, J, K], or [I, J, K, C] with the channels as the fourth dimension
 */
export async function writeNifti(path: string, data: Float32Array | Labels, grid: Grid): Promise<void> {
  const bytes = await encodeNifti(data, grid);
  const temporary = `${path}.${process.pid}.part`;
  await writeFile(temporary, /\.gz$/i.test(path) ? await promisify(gzip)(bytes) : bytes);
  await rename(temporary, path);
}
