// One DICOM file of one frame: its elements and its pixels, refused where daikon would take what is damaged or unpack without a bound.
import { inflateRawSync } from 'node:zlib';
import daikon from 'daikon';

/** The bytes that a file's magic stands behind. */
export const PREAMBLE = 128;

/** Whether the bytes begin as a DICOM file does. */
export function isDicomFile(bytes: Buffer): boolean {
  return bytes.length >= PREAMBLE + 4 && bytes.toString('latin1', PREAMBLE, PREAMBLE + 4) === 'DICM';
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

/** daikon warns of compressed pixels that are damaged, on the console, and gives what it has. */
function strictly<Result>(unpack: () => Result): Result {
  const { warn } = console;
  console.warn = (problem) => {
    throw new Error(`its pixels are damaged: ${problem}`);
  };
  try {
    return unpack();
  } finally {
    console.warn = warn;
  }
}

/** What a file holds. */
export interface DicomContents {
  readonly rows: number;
  readonly columns: number;
  /** Values of an element; none where the file has it not. */
  values(group: number, element: number): readonly unknown[];
  /** The first number of an element, or the preset. */
  number(group: number, element: number, preset: number): number;
  /** Numbers of an element. @throws Error with the name given where there are fewer */
  numbers(what: string, group: number, element: number, length: number): number[];
  /** Row after row, rescaled. @throws Error where they cannot be unpacked */
  pixels(): Float32Array;
}

/** @throws Error where something that is needed is missing or of a kind that is not read */
export function parseDicom(bytes: Buffer): DicomContents {
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
  return {
    ...{ rows, columns, values, number, numbers },
    pixels: () =>
      interpret(
        strictly(() => image.getRawData()),
        rows * columns,
        format,
        slope,
        intercept,
      ),
  };
}
