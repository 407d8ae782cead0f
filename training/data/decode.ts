// Decodes PNG and JPEG images to raw pixel values of the wanted size.
import { stat } from 'node:fs/promises';
import sharp from 'sharp';

export interface ImageSize {
  readonly height: number;
  readonly width: number;
  /** 1: grey; 3: red, green, blue. */
  readonly channels: number;
}

/** A cut or damaged image is an error; a harmless irregularity is not. */
const READING = { failOn: 'error' } as const;

/** Pixels of a file, height x width, more than which are refused before they take memory. */
const MOST_PIXELS = 2 ** 28;

/**
 * The pixels, [height, width, channels], as the file has them: 0..255, or 0..65535 in an image of 16 bits. An image is turned as its
 * EXIF orientation says, stretched to the size, and made grey or coloured as asked; transparency is dropped.
 *
 * @param source path, or the bytes of the file
 * @param maxPixels height x width of the file at most
 * @throws Error with the decoder's reason when it is not an image
 */
export async function decodeImage(
  source: string | Buffer,
  { height, width, channels }: ImageSize,
  maxPixels = MOST_PIXELS,
): Promise<Uint8Array | Uint16Array> {
  if (source.length === 0) throw new Error('it is empty');
  const image = sharp(source, { ...READING, limitInputPixels: maxPixels });
  const deep = (await readMetadata(image, source)).depth === 'ushort';
  const spaces = deep ? { grey: 'grey16', colour: 'rgb16' } : { grey: 'b-w', colour: 'srgb' };
  const { data, info } = await image
    .autoOrient()
    .removeAlpha()
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .toColourspace(channels === 1 ? spaces.grey : spaces.colour)
    .raw({ depth: deep ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== channels) throw new Error(`it has ${info.channels} channels, not ${channels}`);
  return deep ? new Uint16Array(data.buffer, data.byteOffset, data.length / 2) : data;
}

/** @throws Error with the decoder's reason, which does not know an empty file from one of another format */
async function readMetadata(image: sharp.Sharp, source: string | Buffer): Promise<sharp.Metadata> {
  try {
    return await image.metadata();
  } catch (error) {
    if (typeof source === 'string' && (await stat(source).catch(() => undefined))?.size === 0)
      throw new Error('it is empty');
    throw error;
  }
}

/** Whether an image has colours; undefined where it cannot be read. */
async function isColoured(path: string): Promise<boolean | undefined> {
  try {
    const { space, channels } = await sharp(path, READING).metadata();
    return channels >= 3 && space !== 'b-w' && space !== 'grey16';
  } catch {
    return undefined;
  }
}

/** How many images are looked at to tell grey from colour. */
const PROBED = 64;

/** 1 if those of the images that are looked at are all grey, else 3. */
export async function probeChannels(paths: readonly string[]): Promise<1 | 3> {
  const every = Math.max(1, Math.floor(paths.length / PROBED));
  for (let i = 0; i < paths.length; i += every) if (await isColoured(paths[i] as string)) return 3;
  return 1;
}
