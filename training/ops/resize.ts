// Linear interpolation, and other maps along single axes that are matrices of few entries.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { reshape, transpose } from './layout';
import { differentiable, float32, op } from './op';
import { useOwnKernels } from './own-kernels';

type Matrix = readonly (readonly number[])[];

/** matrix [R, L] times the middle axis of x [A, L, B]: [A, R, B]. */
function product(x: Tensor, matrix: Matrix): Tensor {
  const table = tf.tensor2d(matrix as number[][]);
  if (useOwnKernels()) return op('ScanlineAxisProduct', [x, table], { T: float32 });
  return op('BatchMatMulV2', [table, x], { T: float32, adj_x: false, adj_y: false });
}

/**
 * A linear map along one axis after the first.
 *
 * @param matrix one row for each entry of the new axis
 */
export function mapAxis(x: Tensor, axis: number, matrix: Matrix): Tensor {
  const transposed = (matrix[0] as readonly number[]).map((_, column) => matrix.map((row) => row[column] as number));
  const inner = x.shape.slice(axis + 1).reduce((size, length) => size * length, 1);
  const flat = reshape(x, [-1, x.shape[axis] as number, inner]);
  const mapped = differentiable(
    [flat],
    ([flat]) => product(flat, matrix),
    (dy) => [product(dy, transposed)],
  );
  return reshape(mapped, [-1, ...x.shape.slice(1, axis), matrix.length, ...x.shape.slice(axis + 1)]);
}

/** What each of `size` values is of `length` values that it lies between, as PyTorch's interpolate places them. */
function interpolation(length: number, size: number, alignCorners: boolean): Matrix {
  const place = (index: number) => {
    if (alignCorners) return size === 1 ? 0 : (index * (length - 1)) / (size - 1);
    return Math.max(0, ((index + 0.5) * length) / size - 0.5);
  };
  return Array.from({ length: size }, (_, index) => {
    const at = place(index);
    const below = Math.min(Math.floor(at), length - 1);
    const share = below + 1 < length ? at - below : 0;
    const row = new Array<number>(length).fill(0);
    row[below] = 1 - share;
    if (share > 0) row[below + 1] = share;
    return row;
  });
}

/**
 * Linear interpolation along each spatial axis: bilinear in 2D, trilinear in 3D, as torch.nn.functional.interpolate does it.
 *
 * @param x [N, ...spatial, C]
 * @param sizes of the spatial axes afterwards
 * @param alignCorners whether the outermost values keep their places, rather than the outer edges of pixels @default false
 */
export function resizeLinear(x: Tensor, sizes: readonly number[], alignCorners = false): Tensor {
  return sizes.reduce((y, size, index) => {
    const length = x.shape[index + 1] as number;
    return size === length ? y : mapAxis(y, index + 1, interpolation(length, size, alignCorners));
  }, x);
}

/**
 * Spreads channels over space (Shi et al., https://arxiv.org/abs/1609.05158) as PyTorch's PixelShuffle does.
 *
 * @param x [N, ...spatial, C * factor ^ axes]
 * @returns [N, ...spatial * factor, C]
 */
export function pixelShuffle(x: Tensor, factor: number): Tensor {
  const spatial = x.shape.slice(1, -1);
  const count = spatial.length;
  const channels = (x.shape.at(-1) as number) / factor ** count;
  // [N, D, H, W, C, fd, fh, fw] -> [N, D, fd, H, fh, W, fw, C]
  const parts = reshape(x, [-1, ...spatial, channels, ...spatial.map(() => factor)]);
  const order = spatial.flatMap((_, axis) => [axis + 1, count + 2 + axis]);
  return reshape(transpose(parts, [0, ...order, count + 1]), [
    -1,
    ...spatial.map((length) => length * factor),
    channels,
  ]);
}

/** The mean of each window of `size` values along every spatial axis, zeros before the first: as many values as before. */
export function blur(x: Tensor, size: number): Tensor {
  return x.shape.slice(1, -1).reduce((y, length, index) => {
    const row = (i: number) => Array.from({ length }, (_, j) => (j <= i && j > i - size ? 1 / size : 0));
    return mapAxis(
      y,
      index + 1,
      Array.from({ length }, (_, i) => row(i)),
    );
  }, x);
}
