// Samples a volume at places between its voxels: for a new spacing, a rotation, an elastic change, and the way back.
import {
  type Affine,
  emptyLike,
  type Grid,
  invert,
  type Labels,
  multiply,
  refuseHuge,
  type Sample,
  type Shape,
  voxels,
} from '../volume';

/** What lies beyond the volume: its border goes on, it is mirrored there, or there is nothing (0). */
export type Padding = 'border' | 'reflection' | 'zeros';

export interface Resampling {
  readonly shape: Shape;
  /** Voxel indices of the result to those of the source. */
  readonly matrix: Affine;
  /** Added to the voxel indices of the result first: [3, I, J, K]. */
  readonly offsets?: Float32Array;
  /** @default border */
  readonly padding?: Padding;
}

/** A place mirrored into the volume, about the outer edges of its first and last voxel (PyTorch's grid_sample, align_corners false). */
function mirrored(place: number, length: number): number {
  const period = 2 * length;
  const shifted = (((place + 0.5) % period) + period) % period;
  return (shifted < length ? shifted : period - shifted) - 0.5;
}

function inside(place: number, length: number, padding: Padding): number {
  if (padding === 'zeros') return place;
  const within = padding === 'reflection' ? mirrored(place, length) : place;
  return within < 0 ? 0 : within > length - 1 ? length - 1 : within;
}

/** A place in the source; one object is used for all, for millions are visited. */
interface Place {
  x: number;
  y: number;
  z: number;
}

/** Calls for each voxel of the result with its number and place in the source. */
function forEachPlace(resampling: Resampling, source: Shape, visit: (target: number, place: Place) => void): void {
  const { shape, matrix, offsets, padding = 'border' } = resampling;
  const [a, b, c, x0, d, e, f, y0, g, h, l, z0] = matrix as unknown as Twelve;
  const count = voxels(shape);
  const place: Place = { x: 0, y: 0, z: 0 };
  let target = 0;
  for (let i = 0; i < shape[0]; i++)
    for (let j = 0; j < shape[1]; j++)
      for (let k = 0; k < shape[2]; k++, target++) {
        const u = offsets ? i + (offsets[target] as number) : i;
        const v = offsets ? j + (offsets[count + target] as number) : j;
        const w = offsets ? k + (offsets[2 * count + target] as number) : k;
        place.x = inside(a * u + b * v + c * w + x0, source[0], padding);
        place.y = inside(d * u + e * v + f * w + y0, source[1], padding);
        place.z = inside(g * u + h * v + l * w + z0, source[2], padding);
        visit(target, place);
      }
}

type Twelve = readonly [number, number, number, number, number, number, number, number, number, number, number, number];

/** Between the eight voxels around each place; those beyond the volume are 0. */
function trilinear(image: Float32Array, source: Shape, channels: number, resampling: Resampling): Float32Array {
  const result = new Float32Array(voxels(resampling.shape) * channels);
  const [I, J, K] = source;
  const [nextI, nextJ] = [J * K * channels, K * channels];
  forEachPlace(resampling, source, (target, { x, y, z }) => {
    const i = Math.floor(x);
    const j = Math.floor(y);
    const k = Math.floor(z);
    if (i >= 0 && j >= 0 && k >= 0 && i + 1 < I && j + 1 < J && k + 1 < K) {
      // most voxels: all eight are there
      const [u, v, w] = [x - i, y - j, z - k];
      for (let channel = 0; channel < channels; channel++) {
        const at = ((i * J + j) * K + k) * channels + channel;
        const along = (start: number) => (image[start] as number) * (1 - w) + (image[start + channels] as number) * w;
        const low = along(at) * (1 - v) + along(at + nextJ) * v;
        const high = along(at + nextI) * (1 - v) + along(at + nextI + nextJ) * v;
        result[target * channels + channel] = low * (1 - u) + high * u;
      }
      return;
    }
    for (let corner = 0; corner < 8; corner++) {
      const ni = i + (corner >> 2);
      const nj = j + ((corner >> 1) & 1);
      const nk = k + (corner & 1);
      if (ni < 0 || nj < 0 || nk < 0 || ni >= I || nj >= J || nk >= K) continue;
      const weight = (1 - Math.abs(x - ni)) * (1 - Math.abs(y - nj)) * (1 - Math.abs(z - nk));
      const from = ((ni * J + nj) * K + nk) * channels;
      const to = target * channels;
      for (let channel = 0; channel < channels; channel++)
        (result[to + channel] as number) += weight * (image[from + channel] as number);
    }
  });
  return result;
}

/** To the nearest whole number, halves to the even one: as PyTorch's grid_sample takes the nearest voxel. */
function nearestEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** The label of the voxel nearest to each place; 0 beyond the volume. */
export function nearest(label: Labels, source: Shape, resampling: Resampling): Labels {
  const result = emptyLike(label, voxels(resampling.shape));
  const [I, J, K] = source;
  forEachPlace(resampling, source, (target, { x, y, z }) => {
    const i = nearestEven(x);
    const j = nearestEven(y);
    const k = nearestEven(z);
    if (i >= 0 && j >= 0 && k >= 0 && i < I && j < J && k < K) result[target] = label[(i * J + j) * K + k] as number;
  });
  return result;
}

/** The sample at the places asked for: the image trilinearly, the labels from the nearest voxel. */
export function resample(sample: Sample, resampling: Resampling, affine: Affine): Sample {
  const { image, label, shape, channels } = sample;
  refuseHuge(resampling.shape, channels);
  return {
    ...{ shape: resampling.shape, channels, affine },
    image: trilinear(image, shape, channels, resampling),
    ...(label && { label: nearest(label, shape, resampling) }),
  };
}

/**
 * Labels that were found on one grid, brought to another: what a network says of a prepared volume, in the space of the file. Where the
 * grid does not reach, 0.
 *
 * @param label [I, J, K] on `from`
 * @returns [I, J, K] on `to`
 */
export function labelsOnGrid(label: Labels, from: Grid, to: Grid): Labels {
  const inverse = invert(from.affine);
  if (inverse === undefined) throw new Error('the affine of the labels cannot be inverted');
  return nearest(label, from.shape, { shape: to.shape, matrix: multiply(inverse, to.affine), padding: 'zeros' });
}
