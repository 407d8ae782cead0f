// Pictures of what a network sees and says: images side by side, labels drawn over them in colours.
import sharp from 'sharp';
import type { Image } from './events';

/** Images of one size, [count, height, width, channels], of any range of values; one or three channels. */
export interface Pictures {
  readonly values: ArrayLike<number>;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Class of each pixel, [count, height, width]; 0 is not drawn. @default none */
  readonly labels?: ArrayLike<number>;
}

/** Distinct to most eyes: Okabe & Ito's colours (https://jfly.uni-koeln.de/color/), from class 1 on, over again when they end. */
const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
  [0, 114, 178],
] as const;

/** How much of a labelled pixel is its colour. */
const OPACITY = 0.45;

/** Red, green and blue of each pixel of one of the pictures, its own range of values brought to 0..255. */
export function toRgb({ values, height, width, channels, labels }: Pictures, index: number): Uint8Array {
  const pixels = height * width;
  const start = index * pixels * channels;
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = start; i < start + pixels * channels; i++) {
    low = Math.min(low, values[i] as number);
    high = Math.max(high, values[i] as number);
  }
  const scale = 255 / (high - low || 1);
  const rgb = new Uint8Array(pixels * 3);
  for (let i = 0; i < pixels; i++) {
    const label = labels?.[index * pixels + i] ?? 0;
    const colour = label > 0 ? COLOURS[(label - 1) % COLOURS.length] : undefined;
    for (let k = 0; k < 3; k++) {
      const grey = ((values[start + i * channels + (channels === 3 ? k : 0)] as number) - low) * scale;
      rgb[i * 3 + k] = Math.round(colour ? grey * (1 - OPACITY) + (colour[k] as number) * OPACITY : grey);
    }
  }
  return rgb;
}

/** A sheet of pictures, row by row, about as wide as high: a PNG. */
export async function contactSheet(pictures: Pictures): Promise<Image> {
  const { count, height, width } = pictures;
  const columns = Math.ceil(Math.sqrt(count));
  const rows = Math.ceil(count / columns);
  const sheet = new Uint8Array(rows * height * columns * width * 3);
  for (let index = 0; index < count; index++) {
    const rgb = toRgb(pictures, index);
    const [row, column] = [Math.floor(index / columns), index % columns];
    for (let y = 0; y < height; y++) {
      const target = ((row * height + y) * columns + column) * width * 3;
      sheet.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), target);
    }
  }
  const raw = { width: columns * width, height: rows * height, channels: 3 } as const;
  return { width: raw.width, height: raw.height, encoded: await sharp(sheet, { raw }).png().toBuffer() };
}
