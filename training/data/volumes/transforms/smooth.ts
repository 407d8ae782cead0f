// Smooths fields by a Gaussian, as MONAI's GaussianFilter does.
import { type Shape, voxels } from '../volume';

/** Kernels reach so many deviations to either side (what Rand3DElastic asks for). */
const TRUNCATED = 3;

/** The error function by its Maclaurin series, which converges for all arguments; exact to 1e-9 for those up to 4. */
function erf(x: number): number {
  let [sum, term] = [x, x];
  for (let n = 1; Math.abs(term) > 1e-12; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

/** The share of a Gaussian that each voxel covers, from -reach to reach. */
export function gaussianKernel(sigma: number): Float64Array {
  const reach = Math.floor(Math.max(sigma * TRUNCATED, 0.5) + 0.5);
  const scale = Math.SQRT1_2 / sigma;
  return Float64Array.from({ length: 2 * reach + 1 }, (_, n) => {
    const place = n - reach;
    return Math.max(0, 0.5 * (erf(scale * (place + 0.5)) - erf(scale * (place - 0.5))));
  });
}

/** Convolved along one axis, with zeros beyond the ends. */
function smoothAlong(field: Float32Array, length: number, stride: number, kernel: Float64Array): Float32Array {
  const result = new Float32Array(field.length);
  const reach = (kernel.length - 1) / 2;
  for (let n = 0; n < field.length; n++) {
    const place = Math.floor(n / stride) % length;
    const [first, last] = [Math.max(-reach, -place), Math.min(reach, length - 1 - place)];
    let sum = 0;
    for (let step = first; step <= last; step++)
      sum += (kernel[step + reach] as number) * (field[n + step * stride] as number);
    result[n] = sum;
  }
  return result;
}

/** Each field of [N, I, J, K] smoothed along i, j and k. @param sigma voxels */
export function gaussianSmoothed(fields: Float32Array, shape: Shape, sigma: number): Float32Array {
  const kernel = gaussianKernel(sigma);
  const [I, J, K] = shape;
  const alongI = smoothAlong(fields, I, voxels(shape) / I, kernel);
  return smoothAlong(smoothAlong(alongI, J, K, kernel), K, 1, kernel);
}
