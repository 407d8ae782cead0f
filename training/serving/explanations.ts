// Where a model has looked, for people and for programs: the map over the image in colours, or its numbers.
import sharp from 'sharp';
import type { Values } from '../compiler/runtime';
import type { ImageSize } from '../data/decode';
import { toRgb } from '../tracking/pictures';

/** A map of one image. */
export interface PlaceMap {
  readonly height: number;
  readonly width: number;
  /** Row after row. */
  readonly values: Float32Array;
}

/** The map of an image of a batch for a class: [count, height, width, classes or 1]. */
export function mapOf({ shape, data }: Values, index: number, classNumber: number): PlaceMap {
  const [, height = 0, width = 0, depth = 0] = shape;
  const channel = depth === 1 ? 0 : classNumber;
  const start = index * height * width;
  const values = Float32Array.from(
    { length: height * width },
    (_, place) => data[(start + place) * depth + channel] as number,
  );
  return { height, width, values };
}

/** The map as lists of rows, for JSON. */
export function rowsOf({ height, width, values }: PlaceMap): number[][] {
  return Array.from({ length: height }, (_, row) => Array.from(values.subarray(row * width, (row + 1) * width)));
}

/** Points of the colour scale inferno, which rises evenly in lightness (https://bids.github.io/colormap/), low to high. */
const SCALE = [
  [0, 0, 4],
  [87, 16, 110],
  [188, 55, 84],
  [249, 142, 9],
  [252, 255, 164],
] as const;

/** How much of the place that counts most is its colour; what counts least is the image as it is. */
const OPACITY = 0.7;

/** Pixels of the longer side of a picture at least. */
const SIDE = 512;

function colour(share: number, channel: 0 | 1 | 2): number {
  const place = share * (SCALE.length - 1);
  const low = Math.min(Math.floor(place), SCALE.length - 2);
  const [from, to] = [SCALE[low]?.[channel] as number, SCALE[low + 1]?.[channel] as number];
  return from + (to - from) * (place - low);
}

/** A PNG of the image, [height, width, channels], with the map over it: its least value is left clear, its largest the most opaque. */
export async function overlay(pixels: Float32Array, size: ImageSize, map: PlaceMap): Promise<Buffer> {
  const factor = Math.max(1, Math.ceil(SIDE / Math.max(size.height, size.width)));
  const [width, height] = [size.width * factor, size.height * factor];
  const rgb = toRgb({ values: pixels, count: 1, ...size }, 0);
  const image = await sharp(rgb, { raw: { width: size.width, height: size.height, channels: 3 } })
    .resize(width, height, { fit: 'fill', kernel: 'nearest' })
    .raw()
    .toBuffer();
  const low = map.values.reduce((least, value) => Math.min(least, value), Number.POSITIVE_INFINITY);
  const high = map.values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
  const scaled = Uint8Array.from(map.values, (value) => Math.round((255 * (value - low)) / (high - low || 1)));
  const places = await sharp(scaled, { raw: { width: map.width, height: map.height, channels: 1 } })
    .resize(width, height, { fit: 'fill', kernel: 'linear' })
    .toColourspace('b-w')
    .raw()
    .toBuffer();
  for (let pixel = 0; pixel < width * height; pixel++) {
    const share = (places[pixel] as number) / 255;
    const opacity = OPACITY * share;
    for (const channel of [0, 1, 2] as const) {
      const at = pixel * 3 + channel;
      image[at] = Math.round((image[at] as number) * (1 - opacity) + colour(share, channel) * opacity);
    }
  }
  return sharp(image, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
