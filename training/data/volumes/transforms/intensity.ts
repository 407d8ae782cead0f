// What values mean: scaling, normalisation, contrast, noise, bias field. Named and computed as MONAI's.
import { between, normal, type RandomSource } from '../../random';
import type { Sample, Shape } from '../volume';

const withImage = (sample: Sample, image: Float32Array): Sample => ({ ...sample, image });

/** Calls with the values of each channel, or of all at once, and what puts the changed ones back. */
function perChannel(sample: Sample, channelWise: boolean, change: (values: Float32Array) => Float32Array): Sample {
  const { image, channels } = sample;
  if (!channelWise || channels === 1) return withImage(sample, change(image));
  const result = new Float32Array(image.length);
  for (let channel = 0; channel < channels; channel++) {
    const values = new Float32Array(image.length / channels);
    for (let n = 0; n < values.length; n++) values[n] = image[n * channels + channel] as number;
    for (const [n, value] of change(values).entries()) result[n * channels + channel] = value;
  }
  return withImage(sample, result);
}

function extremes(values: Float32Array): { low: number; high: number } {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return { low, high };
}

export interface TargetRange {
  /** @default values are only brought to 0..1 */
  readonly bMin?: number;
  readonly bMax?: number;
  /** Values beyond the range become its ends. @default false */
  readonly clip?: boolean;
}

/** a_min..a_max to b_min..b_max. */
function scaled(
  values: Float32Array,
  aMin: number,
  aMax: number,
  { bMin, bMax, clip = false }: TargetRange,
): Float32Array {
  const [low, high] = [bMin ?? 0, bMax ?? 1];
  if (aMax === aMin) return values.map((value) => value - aMin + low);
  const result = values.map((value) => ((value - aMin) / (aMax - aMin)) * (high - low) + low);
  return clip ? result.map((value) => Math.min(Math.max(value, low), high)) : result;
}

/** A fixed range to another: for values with a unit, as the Hounsfield units of CT. */
export function scaleIntensityRange({
  aMin,
  aMax,
  ...target
}: TargetRange & { readonly aMin: number; readonly aMax: number }) {
  return (sample: Sample): Sample => withImage(sample, scaled(sample.image, aMin, aMax, target));
}

/** The range of the values to another. */
export function scaleIntensity({ channelWise = false, ...target }: TargetRange & { readonly channelWise?: boolean }) {
  return (sample: Sample): Sample =>
    perChannel(sample, channelWise, (values) => {
      const { low, high } = extremes(values);
      return scaled(values, low, high, target);
    });
}

/** The value below which so many percent lie, linear between neighbours. @param sorted ascending */
function percentile(sorted: Float32Array, percent: number): number {
  const place = (percent / 100) * (sorted.length - 1);
  const below = Math.floor(place);
  const [low, high] = [sorted[below] as number, sorted[Math.min(below + 1, sorted.length - 1)] as number];
  return low + (high - low) * (place - below);
}

/** The range between two percentiles of the values to another. @param lower, upper percent */
export function scaleIntensityRangePercentiles({
  lower,
  upper,
  channelWise = false,
  ...target
}: TargetRange & { readonly lower: number; readonly upper: number; readonly channelWise?: boolean }) {
  return (sample: Sample): Sample =>
    perChannel(sample, channelWise, (values) => {
      const sorted = values.slice().sort();
      return scaled(values, percentile(sorted, lower), percentile(sorted, upper), target);
    });
}

/**
 * Mean 0 and deviation 1 (z-score).
 *
 * @param nonzero the values that are not 0 alone count and change: the background of a skull-stripped image stays 0
 */
export function normalizeIntensity({
  nonzero = false,
  channelWise = false,
}: {
  readonly nonzero?: boolean;
  readonly channelWise?: boolean;
}) {
  const normalized = (values: Float32Array): Float32Array => {
    let [count, sum] = [0, 0];
    for (const value of values) {
      if (nonzero && value === 0) continue;
      count++;
      sum += value;
    }
    if (count === 0) return values;
    const mean = sum / count;
    let squares = 0;
    for (const value of values) if (!nonzero || value !== 0) squares += (value - mean) ** 2;
    const deviation = Math.sqrt(squares / count) || 1;
    return values.map((value) => (nonzero && value === 0 ? 0 : (value - mean) / deviation));
  };
  return (sample: Sample): Sample => perChannel(sample, channelWise, normalized);
}

/** Values raised to a power, between the image's own lowest and highest. */
export function adjustContrast({ gamma }: { readonly gamma: number }) {
  return (sample: Sample): Sample => {
    const { low, high } = extremes(sample.image);
    const range = high - low;
    return withImage(
      sample,
      sample.image.map((value) => ((value - low) / (range + 1e-7)) ** gamma * range + low),
    );
  };
}

/** A gamma drawn evenly from its range, sometimes. */
export function randAdjustContrast({
  prob,
  gamma,
}: {
  readonly prob: number;
  readonly gamma: readonly [number, number];
}) {
  return (sample: Sample, random: RandomSource): Sample => {
    const [happens, drawn] = [random() < prob, between(random, ...gamma)];
    return happens ? adjustContrast({ gamma: drawn })(sample) : sample;
  };
}

/** Gaussian noise of a deviation drawn evenly from 0..std, sometimes. */
export function randGaussianNoise({
  prob,
  mean = 0,
  std,
}: {
  readonly prob: number;
  readonly mean?: number;
  readonly std: number;
}) {
  return (sample: Sample, random: RandomSource): Sample => {
    const [happens, deviation] = [random() < prob, between(random, 0, std)];
    return happens
      ? withImage(
          sample,
          sample.image.map((value) => value + mean + deviation * normal(random)),
        )
      : sample;
  };
}

/** Values of the Legendre polynomials up to a degree at `length` places from -1 to 1: [degree + 1][length]. */
function legendre(degree: number, length: number): Float64Array[] {
  const at = (n: number) => (length === 1 ? -1 : -1 + (2 * n) / (length - 1));
  const values = [new Float64Array(length).fill(1), Float64Array.from({ length }, (_, n) => at(n))];
  for (let order = 2; order <= degree; order++) {
    const [one, two] = [values[order - 1] as Float64Array, values[order - 2] as Float64Array];
    values.push(one.map((value, n) => ((2 * order - 1) * at(n) * value - (order - 1) * (two[n] as number)) / order));
  }
  return values;
}

/** Which powers a coefficient belongs to: all whose orders add up to the degree at most, k's fastest. */
function orders(degree: number): Shape[] {
  const result: Shape[] = [];
  for (let i = 0; i <= degree; i++)
    for (let j = 0; i + j <= degree; j++) for (let k = 0; i + j + k <= degree; k++) result.push([i, j, k]);
  return result;
}

/**
 * Multiplied by the exponential of a smooth field, a sum of Legendre polynomials: as the coils of an MRI scanner shade an image (Sudre et
 * al., MICCAI 2017; MONAI's RandBiasField).
 *
 * @param coefficients in the order of `orders(degree)`
 */
export function biasField({
  degree,
  coefficients,
}: {
  readonly degree: number;
  readonly coefficients: readonly number[];
}) {
  return (sample: Sample): Sample => {
    const { shape, channels } = sample;
    const [alongI, alongJ, alongK] = shape.map((length) => legendre(degree, length)) as unknown as readonly [
      Basis,
      Basis,
      Basis,
    ];
    const image = sample.image.slice();
    const terms = orders(degree).map((order, n) => ({ order, value: coefficients[n] as number }));
    for (let i = 0, at = 0; i < shape[0]; i++)
      for (let j = 0; j < shape[1]; j++) {
        const byK = new Float64Array(degree + 1);
        for (const {
          order: [a, b, c],
          value,
        } of terms)
          (byK[c] as number) += value * (alongI[a]?.[i] as number) * (alongJ[b]?.[j] as number);
        for (let k = 0; k < shape[2]; k++) {
          let field = 0;
          for (let c = 0; c <= degree; c++) field += (byK[c] as number) * (alongK[c]?.[k] as number);
          const factor = Math.exp(field);
          for (let channel = 0; channel < channels; channel++) (image[at++] as number) *= factor;
        }
      }
    return withImage(sample, image);
  };
}

type Basis = readonly Float64Array[];

/** A bias field with coefficients drawn evenly from their range, sometimes. */
export function randBiasField({
  prob,
  degree = 3,
  coeffRange,
}: {
  readonly prob: number;
  readonly degree?: number;
  readonly coeffRange: readonly [number, number];
}) {
  return (sample: Sample, random: RandomSource): Sample => {
    const happens = random() < prob;
    const coefficients = orders(degree).map(() => between(random, ...coeffRange));
    return happens ? biasField({ degree, coefficients })(sample) : sample;
  };
}
