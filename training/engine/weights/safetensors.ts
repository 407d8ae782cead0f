// Reads and writes safetensors (https://huggingface.co/docs/safetensors): an 8-byte header length, a JSON header, then the raw values.
import { type FileHandle, open } from 'node:fs/promises';
import type { Values } from '../../compiler/runtime';
import { UserError } from '../../errors';
import type { TensorData } from '../../native/addon';

/** Of 16 bits, as float32 has them: [sign, exponent, mantissa] of IEEE's half. */
function fromHalf(bits: number): number {
  const [sign, exponent, mantissa] = [bits >> 15 ? -1 : 1, (bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 0x1f) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** bfloat16 is the upper half of float32. */
function fromBfloat16(buffer: ArrayBuffer): Float32Array {
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
}

/** What is read: floating-point numbers of any width become float32. */
const TYPES = {
  F32: { bytes: 4, view: (buffer: ArrayBuffer) => new Float32Array(buffer) },
  F64: { bytes: 8, view: (buffer: ArrayBuffer) => Float32Array.from(new Float64Array(buffer)) },
  F16: { bytes: 2, view: (buffer: ArrayBuffer) => Float32Array.from(new Uint16Array(buffer), fromHalf) },
  BF16: { bytes: 2, view: fromBfloat16 },
  I32: { bytes: 4, view: (buffer: ArrayBuffer) => new Int32Array(buffer) },
  I64: { bytes: 8, view: (buffer: ArrayBuffer) => new BigInt64Array(buffer) },
} as const;

type TypeName = keyof typeof TYPES;

interface Entry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

function isEntry(value: unknown): value is Entry {
  const { dtype, shape, data_offsets: offsets } = (value ?? {}) as Partial<Entry>;
  return typeof dtype === 'string' && Array.isArray(shape) && Array.isArray(offsets) && offsets.length === 2;
}

/** Bytes; what the reference implementation allows for a header. */
const LARGEST_HEADER = 100_000_000;

function typeOf(data: TensorData): TypeName {
  if (data instanceof Float32Array) return 'F32';
  if (data instanceof Int32Array) return 'I32';
  if (data instanceof BigInt64Array) return 'I64';
  throw new TypeError('safetensors here hold float32, int32 and int64 alone');
}

/**
 * Writes tensors, in order, and waits until they are on the disk.
 *
 * @param metadata free text by name, kept in the header
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, Values>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt', ...metadata } };
  let offset = 0;
  for (const [name, { shape, data }] of tensors) {
    header[name] = { dtype: typeOf(data), shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  const json = Buffer.from(JSON.stringify(header));
  const padded = Buffer.concat([json, Buffer.alloc((8 - (json.length % 8)) % 8, ' ')]);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  const file = await open(path, 'w');
  try {
    for (const part of [length, padded, ...[...tensors.values()].map(({ data }) => data)]) {
      await file.writeFile(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readExactly(file: FileHandle, path: string, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  if (bytesRead === length) return buffer;
  throw new UserError(`${path} ends before its contents do: it was cut off.`, 'copy or write it again.');
}

async function readHeader(file: FileHandle, path: string): Promise<{ header: Record<string, Entry>; start: number }> {
  const length = Number((await readExactly(file, path, 0, 8)).readBigUInt64LE());
  if (length > LARGEST_HEADER)
    throw new UserError(`${path} is not a safetensors file.`, 'give a file that ends in .safetensors.');
  const json = await readExactly(file, path, 8, length);
  try {
    const { __metadata__: _, ...header } = JSON.parse(json.toString('utf8'));
    if (Object.values(header).every(isEntry)) return { header: header as Record<string, Entry>, start: 8 + length };
  } catch {
    // no JSON at all: told below, as JSON of something else is
  }
  throw new UserError(
    `${path} is not a safetensors file: its header is not JSON of tensors.`,
    'give a file that ends in .safetensors.',
  );
}

/** @throws UserError when the file is damaged, or holds a type other than float16 to float64, bfloat16, int32 and int64 */
export async function readSafetensors(path: string): Promise<Map<string, Values>> {
  const file = await open(path, 'r');
  try {
    const { header, start } = await readHeader(file, path);
    const tensors = new Map<string, Values>();
    for (const [name, { dtype, shape, data_offsets: offsets }] of Object.entries(header)) {
      const type = TYPES[dtype as TypeName];
      const length = shape.reduce((product, dimension) => product * dimension, 1) * (type?.bytes ?? 0);
      if (type === undefined || offsets[1] - offsets[0] !== length) {
        throw new UserError(
          `${path}: ${name} is ${dtype} [${shape}] in ${offsets[1] - offsets[0]} bytes; float16 to float64, bfloat16, int32 and int64 can be read.`,
          'convert the weights to float32 before they are saved.',
        );
      }
      const bytes = await readExactly(file, path, start + offsets[0], length);
      tensors.set(name, {
        shape,
        data: type.view(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + length) as ArrayBuffer),
      });
    }
    return tensors;
  } finally {
    await file.close();
  }
}
