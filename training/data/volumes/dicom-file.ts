// One DICOM file: its elements and the pixels of its frames, refused where daikon would take what is damaged or unpack without a bound.
import { inflateRawSync } from 'node:zlib';
import daikon, { type Image, type Tag } from 'daikon';

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

/** Bytes that one deflated file may unpack to, and pixels that one frame and all of a file may have: far more than a scanner makes. */
const MOST_BYTES = 2 ** 28;
const MOST_PIXELS = 2 ** 26;
const MOST_IN_FILE = 2 ** 28;

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

/** How integers lie in the words of a frame. */
interface PixelFormat {
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
  words: ArrayLike<number>,
  { stored, signed }: PixelFormat,
  { start, count, slope, intercept }: { start: number; count: number; slope: number; intercept: number },
): Float32Array {
  if (words.length < start + count) throw new Error(`it has pixels for ${words.length} of ${start + count}`);
  const unused = 32 - stored;
  const result = new Float32Array(count);
  for (let n = 0; n < count; n++) {
    const raised = (words[start + n] as number) << unused;
    result[n] = (signed ? raised >> unused : raised >>> unused) * slope + intercept;
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

/** Elements by number. */
interface Elements {
  /** Values of an element; none where the file has it not. */
  values(group: number, element: number): readonly unknown[];
  /** The first number of an element, or the preset. */
  number(group: number, element: number, preset: number): number;
  /** Numbers of an element. @throws Error with the name given where there are fewer */
  numbers(what: string, group: number, element: number, length: number): number[];
}

function elementsOf(values: Elements['values']): Elements {
  return {
    values,
    number: (group, element, preset) => {
      const [found] = values(group, element);
      return found === undefined || found === null || !Number.isFinite(Number(found)) ? preset : Number(found);
    },
    numbers: (what, group, element, length) => {
      const found = values(group, element).map(Number);
      if (found.length >= length && found.every(Number.isFinite)) return found;
      throw new Error(`it has no ${what} (${[group, element].map((n) => n.toString(16).padStart(4, '0'))})`);
    },
  };
}

/** One of the pictures of a file, with what the file says of it alone. */
export interface DicomFrame extends Elements {
  /** Row after row, rescaled. @throws Error where they cannot be unpacked */
  pixels(): Float32Array;
}

/** What a file holds. */
export interface DicomContents extends Elements {
  readonly rows: number;
  readonly columns: number;
  /** One, or those of an enhanced multi-frame object, in the order of the file. */
  readonly frames: readonly DicomFrame[];
}

const idOf = (group: number, element: number) => group * 0x10000 + element;

/** The elements of a functional group: each stands in a sequence of its kind (PS3.3, C.7.6.16). */
function functionalGroup(item: Tag | undefined): Map<number, readonly unknown[]> {
  const found = new Map<number, readonly unknown[]>();
  for (const kind of (item?.value ?? []) as readonly Tag[])
    for (const { value } of (kind.value ?? []) as readonly Tag[])
      for (const tag of (value ?? []) as readonly Tag[]) found.set(idOf(tag.group, tag.element), tag.value ?? []);
  return found;
}

/** Of each frame, the elements that are its own or that all share; @throws Error where it is not said where each frame lies */
function frameElements(image: Image, { values }: Elements, count: number): Elements[] {
  const items = values(0x5200, 0x9230) as readonly Tag[];
  const shared = functionalGroup((values(0x5200, 0x9229) as readonly Tag[])[0]);
  const own = items.map(functionalGroup);
  if (own.length !== count || own.some((group) => group.size === 0)) {
    const why = items.length === 0 ? 'does not say where each lies' : 'what it says of each cannot be read';
    throw new Error(`it has several frames, and ${why}; convert it to single frames or NIfTI`);
  }
  return own.map((group) =>
    elementsOf((...at) => group.get(idOf(...at)) ?? shared.get(idOf(...at)) ?? image.getTag(...at)?.value ?? []),
  );
}

/** @throws Error where something that is needed is missing or of a kind that is not read */
export function parseDicom(bytes: Buffer): DicomContents {
  if (bytes.subarray(0, META).includes(DEFLATED)) refuseBomb(bytes);
  const view = new DataView(new Uint8Array(bytes).buffer);
  const image = daikon.Series.parseImage(view);
  if (image === null) throw new Error(`it cannot be parsed: ${daikon.Series.parserError?.message}`);
  const file = elementsOf((group, element) => image.getTag(group, element)?.value ?? []);
  const { values, number, numbers } = file;
  if (number(0x0028, 0x0002, 1) > 1) throw new Error('it is coloured');
  if (!image.hasPixelData()) throw new Error('it has no pixels');
  refuseCut(bytes, String(values(0x0002, 0x0010)[0] ?? '').replace(/\0+$/, ''));
  const [rows = 0] = numbers('Rows', 0x0028, 0x0010, 1);
  const [columns = 0] = numbers('Columns', 0x0028, 0x0011, 1);
  const count = number(0x0028, 0x0008, 1);
  if (rows * columns > MOST_PIXELS) throw new Error(`it has ${columns} x ${rows} pixels; ${MOST_PIXELS} are the most`);
  if (rows * columns * count > MOST_IN_FILE)
    throw new Error(`it has ${count} frames of ${columns} x ${rows} pixels; ${MOST_IN_FILE} pixels are the most`);
  const [allocated = 0] = numbers('BitsAllocated', 0x0028, 0x0100, 1);
  if (!(allocated in WORDS)) throw new Error(`its pixels have ${allocated} bits; allowed are 8, 16 and 32`);
  const format = { stored: number(0x0028, 0x0101, allocated), signed: number(0x0028, 0x0103, 0) === 1 };
  let words: ArrayLike<number> | undefined;
  const unpack = () => {
    const buffer = strictly(() => image.getRawData());
    return new WORDS[allocated as keyof typeof WORDS](image.littleEndian ? buffer : swapped(buffer, allocated));
  };
  const frames = (count > 1 ? frameElements(image, file, count) : [file]).map((elements, n) => ({
    ...elements,
    pixels: () => {
      words ??= unpack();
      const [slope, intercept] = [elements.number(0x0028, 0x1053, 1), elements.number(0x0028, 0x1052, 0)];
      return interpret(words, format, { start: n * rows * columns, count: rows * columns, slope, intercept });
    },
  }));
  return { ...file, rows, columns, frames };
}
