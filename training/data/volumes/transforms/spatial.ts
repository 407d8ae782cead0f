// Where voxels lie: orientation, spacing, flips, rotations, affine and elastic changes. Named and computed as MONAI's.
import { between, type RandomSource } from '../../random';
import {
  type Affine,
  IDENTITY,
  invert,
  multiply,
  type Sample,
  type Shape,
  spacingOf,
  translation,
  turned,
  turnTo,
  voxels,
} from '../volume';
import { type Padding, resample } from './resample';
import { gaussianSmoothed } from './smooth';

type Numbers = readonly [number, number, number];

/** Voxel axes along the body's. @param axcodes e.g. RAS: i to the right, j to the front, k up */
export function orientation({ axcodes }: { readonly axcodes: string }) {
  return (sample: Sample): Sample => turned(sample, turnTo(axcodes, sample.affine));
}

/** The affine with other distances of voxels, its directions kept (the orthogonal factor of its QR decomposition). */
function zoomed(affine: Affine, pixdim: Numbers): number[] {
  const column = (axis: number) => [0, 4, 8].map((row) => affine[row + axis] as number);
  const basis: number[][] = [];
  for (const axis of [0, 1, 2]) {
    let rest = column(axis);
    for (const other of basis) {
      const share = rest.reduce((sum, value, n) => sum + value * (other[n] as number), 0);
      rest = rest.map((value, n) => value - share * (other[n] as number));
    }
    const length = Math.hypot(...rest);
    basis.push(rest.map((value) => value / length));
  }
  const rows = [0, 1, 2].flatMap((row) => [
    ...basis.map((unit, axis) => (unit[row] as number) * pixdim[axis as 0 | 1 | 2]),
    0,
  ]);
  return [...rows, 0, 0, 0, 1];
}

/** Spacings that differ by less are the same (MONAI's AFFINE_TOL). */
const SAME = 1e-3;

/** numpy.round: halves to the even number. */
const round = (value: number) => (Math.abs(value % 1) === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/**
 * Other distances of neighbouring voxels. The first voxel stays where it is; where a sheared affine has no corner that is the lowest along
 * all axes, the middles meet (MONAI's compute_shape_offset).
 *
 * @param pixdim along i, j and k, mm; 0 keeps what is
 */
export function spacing({ pixdim }: { readonly pixdim: readonly number[] }) {
  return (sample: Sample): Sample => {
    const { affine, shape } = sample;
    const wanted = spacingOf(affine).map((length, axis) => {
      const target = pixdim[axis] || length;
      return Math.abs(length - target) <= SAME ? length : target;
    });
    const after = zoomed(affine, wanted as unknown as Numbers);
    const change = multiply(invert(after) as Affine, affine);
    const span = (row: number, axis: number) => (change[row * 4 + axis] as number) * ((shape[axis] as number) - 1);
    const axes = [0, 1, 2];
    const size = axes.map((row) => round(1 + axes.reduce((sum, axis) => sum + Math.abs(span(row, axis)), 0)));
    const sheared = axes.some((row) => axes.some((axis) => span(row, axis) < -SAME));
    const middle = (matrix: Affine, lengths: readonly number[], row: number) =>
      axes.reduce((sum, axis) => sum + ((matrix[row * 4 + axis] as number) * (lengths[axis] as number)) / 2, 0);
    for (const row of axes) {
      const shift = sheared ? middle(affine, shape, row) - middle(after, size, row) : 0;
      after[row * 4 + 3] = (affine[row * 4 + 3] as number) + shift;
    }
    const resampling = { shape: size as unknown as Shape, matrix: multiply(invert(affine) as Affine, after) };
    return resample(sample, resampling, after);
  };
}

/** Reversed along an axis. */
export function flip({ spatialAxis }: { readonly spatialAxis: number }) {
  return (sample: Sample): Sample =>
    turned(
      sample,
      [0, 1, 2].map((axis) => ({ axis, flip: axis === spatialAxis })),
    );
}

/** Reversed along an axis, sometimes. */
export function randFlip({ prob, spatialAxis }: { readonly prob: number; readonly spatialAxis: number }) {
  return (sample: Sample, random: RandomSource): Sample => (random() < prob ? flip({ spatialAxis })(sample) : sample);
}

/** Turned by 90 degrees, `k` times, from the first of two axes to the second (numpy.rot90). */
export function rotate90({
  k,
  spatialAxes: [a, b],
}: {
  readonly k: number;
  readonly spatialAxes: readonly [number, number];
}) {
  return (sample: Sample): Sample => {
    let result = sample;
    for (let times = 0; times < k % 4; times++) {
      const turn = [0, 1, 2].map((axis) => ({ axis, flip: false }));
      turn[a] = { axis: b, flip: true };
      turn[b] = { axis: a, flip: false };
      result = turned(result, turn);
    }
    return result;
  };
}

/**
 * Turned by 90, 180 or 270 degrees in one of the three planes, sometimes. A plane whose sides differ is only turned by 180, so that all
 * crops keep one shape.
 */
export function randRotate90({ prob }: { readonly prob: number }) {
  return (sample: Sample, random: RandomSource): Sample => {
    const [happens, plane, turns] = [random() < prob, Math.floor(random() * 3), 1 + Math.floor(random() * 3)];
    if (!happens) return sample;
    const [a, b] = [
      [0, 1],
      [0, 2],
      [1, 2],
    ][plane] as [0 | 1, 1 | 2];
    return rotate90({ k: sample.shape[a] === sample.shape[b] ? turns : 2, spatialAxes: [a, b] })(sample);
  };
}

export interface AffineParameters {
  /** Radians about i, j and k, in this order, each about the axes as turned before. */
  readonly rotate: Numbers;
  /** Of i by j, i by k, j by i, j by k, k by i, k by j. */
  readonly shear: readonly number[];
  /** Voxels. */
  readonly translate: Numbers;
  /** Factors on the coordinates that are sampled: below 1 magnifies. */
  readonly scale: Numbers;
}

const NO_CHANGE: AffineParameters = {
  rotate: [0, 0, 0],
  shear: [0, 0, 0, 0, 0, 0],
  translate: [0, 0, 0],
  scale: [1, 1, 1],
};

function rotation([x, y, z]: Numbers): Affine {
  const [cosX, sinX, cosY, sinY] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
  const aboutX = [1, 0, 0, 0, 0, cosX, -sinX, 0, 0, sinX, cosX, 0, 0, 0, 0, 1];
  const aboutY = [cosY, 0, sinY, 0, 0, 1, 0, 0, -sinY, 0, cosY, 0, 0, 0, 0, 1];
  const aboutZ = [Math.cos(z), -Math.sin(z), 0, 0, Math.sin(z), Math.cos(z), 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
  return multiply(multiply(aboutX, aboutY), aboutZ);
}

/** One shear after the other, so that volumes stay what they are. */
function shearing(coefficients: readonly number[]): Affine {
  const places = [1, 2, 4, 6, 8, 9];
  return coefficients.reduce<Affine>((matrix, coefficient, n) => {
    const single = [...IDENTITY];
    single[places[n] as number] = coefficient;
    return multiply(single, matrix);
  }, IDENTITY);
}

/** Voxel indices of the result to those of the source: rotation, shear, translation and scale about the middle. */
function aboutTheMiddle({ rotate, shear, translate, scale }: AffineParameters, shape: Shape): Affine {
  const sheared = multiply(rotation(rotate), shearing(shear));
  const scaled = [scale[0], 0, 0, 0, 0, scale[1], 0, 0, 0, 0, scale[2], 0, 0, 0, 0, 1];
  const inner = multiply(multiply(sheared, translation(translate)), scaled);
  const middle = shape.map((length) => (length - 1) / 2) as unknown as Shape;
  const back = middle.map((place) => -place) as unknown as Shape;
  return multiply(multiply(translation(middle), inner), translation(back));
}

/** Rotated, sheared, moved and scaled about its middle, in its own shape. */
export function affine({ padding, ...given }: Partial<AffineParameters> & { readonly padding?: Padding }) {
  return (sample: Sample): Sample => {
    const matrix = aboutTheMiddle({ ...NO_CHANGE, ...given }, sample.shape);
    return resample(sample, { shape: sample.shape, matrix, padding }, multiply(sample.affine, matrix));
  };
}

export interface AffineRanges {
  /** Largest rotation about each axis, radians. */
  readonly rotateRange: number;
  /** Largest shear. */
  readonly shearRange: number;
  /** Largest translation, voxels. */
  readonly translateRange: number;
  /** Largest share by which it grows or shrinks, along each axis. */
  readonly scaleRange: number;
}

/** An affine change with parameters drawn evenly from their ranges, sometimes. */
export function randAffine({
  prob,
  padding,
  ...ranges
}: AffineRanges & { readonly prob: number; readonly padding?: Padding }) {
  return (sample: Sample, random: RandomSource): Sample => {
    const happens = random() < prob;
    const draws = (count: number, range: number) => Array.from({ length: count }, () => between(random, -range, range));
    const [rotate, shear] = [draws(3, ranges.rotateRange), draws(6, ranges.shearRange)];
    const [translate, scale] = [draws(3, ranges.translateRange), draws(3, ranges.scaleRange).map((share) => 1 + share)];
    return happens
      ? affine({ rotate, shear, translate, scale, padding } as unknown as AffineParameters)(sample)
      : sample;
  };
}

/**
 * Each voxel moved by random offsets, smoothed by a Gaussian and scaled (Simard et al., ICDAR 2003; MONAI's Rand3DElastic).
 *
 * @param noise in -1..1, [3, I, J, K]
 * @param sigma of the Gaussian, voxels
 */
export function elastic(options: {
  readonly noise: Float32Array;
  readonly sigma: number;
  readonly magnitude: number;
  readonly padding?: Padding;
}) {
  return (sample: Sample): Sample => {
    const { shape } = sample;
    const offsets = gaussianSmoothed(options.noise, shape, options.sigma);
    for (let n = 0; n < offsets.length; n++) (offsets[n] as number) *= options.magnitude;
    return resample(sample, { shape, matrix: IDENTITY, offsets, padding: options.padding }, sample.affine);
  };
}

/** An elastic change with sigma and magnitude drawn evenly from their ranges, sometimes. */
export function rand3DElastic({
  prob,
  sigmaRange,
  magnitudeRange,
  padding,
}: {
  readonly prob: number;
  readonly sigmaRange: readonly [number, number];
  readonly magnitudeRange: readonly [number, number];
  readonly padding?: Padding;
}) {
  return (sample: Sample, random: RandomSource): Sample => {
    const [happens, sigma, magnitude] = [
      random() < prob,
      between(random, ...sigmaRange),
      between(random, ...magnitudeRange),
    ];
    if (!happens) return sample;
    const noise = Float32Array.from({ length: 3 * voxels(sample.shape) }, () => between(random, -1, 1));
    return elastic({ noise, sigma, magnitude, padding })(sample);
  };
}
