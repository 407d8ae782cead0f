// Random changes of a training image: flips, rotation, zoom, gamma. All are drawn from a key, so that an epoch can be repeated.
import type { ImageSize } from './decode';
import { randomSource } from './random';

export interface Augmentation {
  readonly flip: 'none' | 'horizontal' | 'vertical' | 'both';
  /** Degrees, to either side. */
  readonly rotate: number;
  /** Largest share by which the image grows or shrinks. */
  readonly zoom: number;
  /** Largest deviation of the gamma exponent from 1. */
  readonly intensity: number;
  /** How often each of rotation, zoom and gamma happens. */
  readonly probability: number;
}

/** Image coordinates to sample at: x' = a x + b y + c, y' = d x + e y + f. */
type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number];

/** Samples the image at transformed places, bilinearly; beyond its border the border goes on. */
function warp(pixels: Float32Array, { height, width, channels }: ImageSize, [a, b, c, d, e, f]: Affine): Float32Array {
  const result = new Float32Array(pixels.length);
  const clamp = (value: number, largest: number) => Math.min(Math.max(value, 0), largest);
  for (let row = 0, target = 0; row < height; row++) {
    for (let column = 0; column < width; column++, target += channels) {
      const x = clamp(a * column + b * row + c, width - 1);
      const y = clamp(d * column + e * row + f, height - 1);
      const [left, top] = [Math.floor(x), Math.floor(y)];
      const [right, bottom] = [Math.min(left + 1, width - 1), Math.min(top + 1, height - 1)];
      const [u, v] = [x - left, y - top];
      for (let channel = 0; channel < channels; channel++) {
        const at = (i: number, j: number) => pixels[(i * width + j) * channels + channel] as number;
        const upper = at(top, left) * (1 - u) + at(top, right) * u;
        const lower = at(bottom, left) * (1 - u) + at(bottom, right) * u;
        result[target + channel] = upper * (1 - v) + lower * v;
      }
    }
  }
  return result;
}

/** Rotation by `degrees` and magnification by `scale` about the centre, then flips. */
function affine({ height, width }: ImageSize, degrees: number, scale: number, flipX: boolean, flipY: boolean): Affine {
  const [centreX, centreY] = [(width - 1) / 2, (height - 1) / 2];
  const radians = (degrees * Math.PI) / 180;
  const [cosine, sine] = [Math.cos(radians) / scale, Math.sin(radians) / scale];
  const [signX, signY] = [flipX ? -1 : 1, flipY ? -1 : 1];
  const [a, b, d, e] = [cosine * signX, -sine * signY, sine * signX, cosine * signY];
  return [a, b, centreX - a * centreX - b * centreY, d, e, centreY - d * centreX - e * centreY];
}

/** Raises values to a power between the image's own smallest and largest, in place. */
function applyGamma(pixels: Float32Array, gamma: number): void {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of pixels) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const range = high - low;
  if (range === 0) return;
  for (let i = 0; i < pixels.length; i++) pixels[i] = low + range * (((pixels[i] as number) - low) / range) ** gamma;
}

/**
 * The image changed as the key decides.
 *
 * @param pixels [height, width, channels]; may be changed
 * @param keys e.g. seed, epoch, number of the image
 */
export function augment(
  pixels: Float32Array,
  size: ImageSize,
  options: Augmentation,
  ...keys: readonly number[]
): Float32Array {
  const random = randomSource(...keys);
  const between = (largest: number) => (random() * 2 - 1) * largest;
  // every number is drawn, used or not, so that one setting does not change what another draws
  const [flipX, flipY] = [random() < 0.5, random() < 0.5];
  const [rotates, degrees] = [random() < options.probability, between(options.rotate)];
  const [zooms, scale] = [random() < options.probability, 1 + between(options.zoom)];
  const [brightens, gamma] = [random() < options.probability, 1 + between(options.intensity)];
  const mirrorX = flipX && (options.flip === 'horizontal' || options.flip === 'both');
  const mirrorY = flipY && (options.flip === 'vertical' || options.flip === 'both');
  const moved = rotates || zooms || mirrorX || mirrorY;
  const result = moved
    ? warp(pixels, size, affine(size, rotates ? degrees : 0, zooms ? scale : 1, mirrorX, mirrorY))
    : pixels;
  if (brightens) applyGamma(result, gamma);
  return result;
}
