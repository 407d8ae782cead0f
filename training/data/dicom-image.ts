// A DICOM file of one frame as an image for a classifier: as a viewer shows it at first, at the size that the network takes.
import sharp from 'sharp';
import type { ImageSize } from './decode';
import { type DicomContents, parseDicom } from './volumes/dicom-file';

/** Values that are shown black and white: the first window of the file, or the whole range (PS3.3, C.11.2.1.2). */
function windowOf({ number }: DicomContents, pixels: Float32Array): { low: number; high: number } {
  const [centre, width] = [number(0x0028, 0x1050, Number.NaN), number(0x0028, 0x1051, Number.NaN)];
  if (Number.isFinite(centre) && width > 1)
    return { low: centre - 0.5 - (width - 1) / 2, high: centre - 0.5 + (width - 1) / 2 };
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of pixels) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

const WHITE = 65535;

/**
 * Grey values 0..255, [height, width, channels], as a viewer shows the file: in its first window, or its whole range where it has none;
 * inverted where low values are white (MONOCHROME1). Stretched to the size; of three channels all are the same.
 *
 * @param maxPixels rows x columns of the file at most
 * @throws Error with the reason when it is not DICOM, or of a kind that is not read
 */
export async function decodeDicomImage(
  bytes: Buffer,
  { height, width, channels }: ImageSize,
  maxPixels: number,
): Promise<Float32Array> {
  const file = parseDicom(bytes);
  const { rows, columns, values, frames } = file;
  const [frame] = frames;
  if (frame === undefined || frames.length > 1) throw new Error('it has several frames; give an image of one');
  if (rows * columns > maxPixels) throw new Error(`it has ${columns} x ${rows} pixels: more than the pixel limit`);
  const pixels = frame.pixels();
  const { low, high } = windowOf(file, pixels);
  const isInverted = String(values(0x0028, 0x0004)[0] ?? '').trim() === 'MONOCHROME1';
  const shown = Uint16Array.from(pixels, (value) => {
    const share = Math.min(Math.max((value - low) / (high - low || 1), 0), 1);
    return Math.round(WHITE * (isInverted ? 1 - share : share));
  });
  const grey = await sharp(shown, { raw: { width: columns, height: rows, channels: 1 } })
    .toColourspace('grey16')
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .raw({ depth: 'ushort' })
    .toBuffer();
  const result = new Float32Array(height * width * channels);
  for (let n = 0; n < result.length; n++) result[n] = (grey.readUInt16LE(2 * Math.floor(n / channels)) * 255) / WHITE;
  return result;
}
