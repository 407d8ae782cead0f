// Convolution and pooling in 2D and 3D with PyTorch's explicit padding.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { pad, rawReshape, reshape, slice } from './layout';
import { product } from './linear';
import { type Attributes, differentiable, float32, int, int32, op, vector, whole } from './op';
import { computesInBfloat16, useOwnKernels } from './own-kernels';
import { after } from './recompute';
import { mapAxis } from './resize';

/** The smallest float32: what pads an input whose maximum is taken. */
const LOWEST = -3.4028234663852886e38;

/** Own kernels of convolutions take multiples of so many channels. */
const STRIP = 16;

/** One number for all spatial axes, or one for each. */
export type PerAxis = number | readonly number[];

export interface Window {
  /** @default 1 for a convolution, the kernel's size for pooling */
  readonly stride?: PerAxis;
  /** Zeros (for max pooling: nothing) on each side of each spatial axis. @default 0 */
  readonly padding?: PerAxis;
}

export interface ConvolutionWindow extends Window {
  /** Distance between the pixels that the kernel looks at. @default 1 */
  readonly dilation?: PerAxis;
}

export function perAxis(value: PerAxis, axes: number): readonly number[] {
  return typeof value === 'number' ? new Array<number>(axes).fill(value) : value;
}

function windowAttributes(stride: readonly number[], padding: 'VALID' | 'SAME'): Attributes {
  const format = stride.length === 2 ? 'NHWC' : 'NDHWC';
  return { T: float32, strides: int([1, ...stride, 1]), padding, data_format: format };
}

/**
 * The input with its padding around it, without the last rows and columns where no window reaches.
 *
 * TensorFlow's SAME puts the odd pixel of a strided window on the other side than PyTorch does; its EXPLICIT has no oneDNN kernels for
 * the gradients (an Eigen one is 30 times slower in bfloat16). So the padding is an op of its own.
 */
function padded(x: Tensor, kernel: PerAxis, stride: PerAxis, padding: PerAxis, value: number): Tensor {
  const axes = x.rank - 2;
  const [kernels, strides, paddings] = [perAxis(kernel, axes), perAxis(stride, axes), perAxis(padding, axes)];
  const sides = x.shape.map((length, axis) => {
    if (axis === 0 || axis === axes + 1) return [0, 0] as const;
    const [kernel, stride, padding] = [kernels[axis - 1], strides[axis - 1], paddings[axis - 1]] as [
      number,
      number,
      number,
    ];
    const outputs = Math.floor((length + 2 * padding - kernel) / stride) + 1;
    return [padding, Math.max(0, (outputs - 1) * stride + kernel - length - padding)] as const;
  });
  return sides.every(([before, after]) => before + after === 0) ? x : pad(x, sides, value);
}

/** The shape as a tensor of the graph, for it holds the batch dimension. */
function shapeOf(x: Tensor): Tensor {
  return op('Shape', [x], { T: float32, out_type: int32 });
}

/** A convolution that looks at one pixel is a matrix product, which is faster as such, its gradients above all. */
function pointwise(x: Tensor, weight: Tensor): Tensor {
  const [channels, filters] = weight.shape.slice(-2) as [number, number];
  const y = product(reshape(x, [-1, channels]), reshape(weight, [channels, filters]), false);
  return reshape(y, [-1, ...x.shape.slice(1, -1), filters]);
}

/** A kernel with zeros between its values. (TensorFlow has no gradients of dilated 3D convolutions on a CPU.) */
function dilated(weight: Tensor, dilation: readonly number[]): Tensor {
  return dilation.reduce((kernel, factor, axis) => {
    if (factor === 1) return kernel;
    const { shape } = kernel;
    const [before, length, after] = [shape.slice(0, axis), shape[axis] as number, shape.slice(axis + 1)];
    const size = (length - 1) * factor + 1;
    const spread = (index: number) => Array.from({ length }, (_, i) => (i * factor === index ? 1 : 0));
    const wide = mapAxis(
      reshape(kernel, [1, ...shape]),
      axis + 1,
      Array.from({ length: size }, (_, index) => spread(index)),
    );
    return reshape(wide, [...before, size, ...after]);
  }, weight);
}

/** The names of TensorFlow's ops by the number of spatial axes. */
const OPS = {
  2: { forward: 'Conv2D', input: 'Conv2DBackpropInput', filter: 'Conv2DBackpropFilter' },
  3: { forward: 'Conv3D', input: 'Conv3DBackpropInputV2', filter: 'Conv3DBackpropFilterV2' },
} as const;

function opsOf(x: Tensor): (typeof OPS)[2 | 3] {
  return OPS[(x.rank - 2) as 2 | 3];
}

/**
 * The largest product of channels and filters, by the rank of the filter, that kernels/convolutions/winograd.cc does well: it makes the
 * filter 4 times as large, and that of an image has to stay in a core's second cache; of a volume a part of it serves more pixels at once.
 */
const LARGEST: Readonly<Record<number, number>> = { 4: 8192, 5: 36864 };

/** Whether kernels/convolutions/winograd.cc does a convolution, and well. */
export function isForOwnKernels(weight: Tensor, { stride = 1, padding = 0, dilation = 1 }: ConvolutionWindow): boolean {
  const axes = weight.rank - 2;
  const all = (values: PerAxis, wanted: number) => perAxis(values, axes).every((value) => value === wanted);
  if (!useOwnKernels() || !all(stride, 1) || !all(padding, 1) || !all(dilation, 1)) return false;
  const [channels, filters] = weight.shape.slice(-2) as [number, number];
  const fits =
    channels % STRIP === 0 && filters % STRIP === 0 && channels * filters <= (LARGEST[weight.rank] as number);
  return fits && all(weight.shape.slice(0, axes), 3);
}

/** With the kernels of kernels/convolutions/convolution.cc: 3 x 3 or 3 x 3 x 3, stride 1, padding 1. */
function ownConvolution(x: Tensor, weight: Tensor): Tensor {
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return op('ScanlineConvolution', [x, weight], { T: float32 });
    },
    (dy, saved) => {
      const [x, weight] = saved as [Tensor, Tensor];
      const dweight = op('ScanlineConvolutionGradFilter', [dy, x, weight], { T: float32 });
      return [op('ScanlineConvolutionGradInput', [after(dy, [dweight]), weight], { T: float32 }), dweight];
    },
  );
}

/** A convolution between a fine grid and a coarse one, with the kernels of kernels/convolutions/volume_convolution.cc. */
interface Grids {
  /** Sides of the volumes. */
  readonly fine: readonly number[];
  readonly coarse: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
}

/**
 * Whether kernels/convolutions/volume_convolution.cc does a convolution: it knows no products of bfloat16, which TensorFlow's kernels are
 * faster with.
 */
function isForOwnVolumeKernels(weight: Tensor): boolean {
  return (
    useOwnKernels() &&
    !computesInBfloat16() &&
    weight.rank === 5 &&
    weight.shape.slice(-2).every((channels) => channels % STRIP === 0)
  );
}

/** @param transposed whether x is the coarse grid */
function acrossGrids(x: Tensor, weight: Tensor, { fine, coarse, stride, padding }: Grids, transposed: boolean): Tensor {
  const sides = transposed ? fine : coarse;
  const attributes = { T: float32, sides: int(sides), stride: int(stride), padding: int(padding) };
  const y = op(`ScanlineVolumeConvolution${transposed ? 'Transposed' : ''}`, [x, weight], attributes);
  const filters = weight.shape.at(transposed ? -2 : -1) as number;
  return rawReshape(y, [x.shape[0] as number, ...sides, filters]);
}

function ownVolumeConvolution(x: Tensor, weight: Tensor, grids: Grids, transposed: boolean): Tensor {
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return acrossGrids(x, weight, grids, transposed);
    },
    (dy, saved) => {
      const [x, weight] = saved as [Tensor, Tensor];
      const attributes = { T: float32, stride: int(grids.stride), padding: int(grids.padding) };
      const [fine, coarse] = transposed ? [dy, x] : [x, dy];
      return [
        acrossGrids(dy, weight, grids, !transposed),
        op('ScanlineVolumeConvolutionGradFilter', [fine, coarse, weight], attributes),
      ];
    },
  );
}

/**
 * 2D and 3D convolution.
 *
 * @param x [N, ...spatial, C]
 * @param weight [...kernel, C, filters]
 * @returns [N, ...spatial', filters]
 */
export function convolve(x: Tensor, weight: Tensor, window: ConvolutionWindow = {}): Tensor {
  if (isForOwnKernels(weight, window)) return ownConvolution(x, weight);
  const axes = x.rank - 2;
  const [stride, padding] = [perAxis(window.stride ?? 1, axes), perAxis(window.padding ?? 0, axes)];
  const kernel = dilated(weight, perAxis(window.dilation ?? 1, axes));
  const sizes = kernel.shape.slice(0, axes);
  const dense = stride.every((step) => step === 1);
  if (dense && sizes.every((size, axis) => size === 1 && padding[axis] === 0)) return pointwise(x, kernel);
  if (isForOwnVolumeKernels(kernel)) {
    const fine = x.shape.slice(1, -1);
    const coarse = fine.map((length, axis) => {
      const free = length + 2 * (padding[axis] as number) - (sizes[axis] as number);
      return Math.floor(free / (stride[axis] as number)) + 1;
    });
    return ownVolumeConvolution(x, kernel, { fine, coarse, stride, padding }, false);
  }
  const centred = dense && sizes.every((size, axis) => 2 * (padding[axis] as number) === size - 1);
  const input = centred ? x : padded(x, sizes, stride, padding, 0);
  return rawConvolve(input, kernel, windowAttributes(stride, centred ? 'SAME' : 'VALID'));
}

function rawConvolve(x: Tensor, weight: Tensor, attributes: Attributes): Tensor {
  const { forward, input, filter } = opsOf(x);
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return op(forward, [x, weight], attributes);
    },
    (dy, [x, weight]) => [
      op(input, [shapeOf(x as Tensor), weight as Tensor, dy], { ...attributes, ...shapeType(x as Tensor) }),
      op(filter, [x as Tensor, shapeOf(weight as Tensor), dy], attributes),
    ],
  );
}

/** The 3D ops alone take shapes of several types. */
function shapeType({ rank }: Tensor): Attributes {
  return rank === 5 ? { Tshape: int32 } : {};
}

export interface TransposedWindow extends Window {
  /** Added to one side of the output, at the end of each spatial axis. @default 0 */
  readonly outputPadding?: PerAxis;
}

/**
 * Transposed convolution, as PyTorch's ConvTranspose: along each axis (length - 1) * stride - 2 * padding + kernel + outputPadding values.
 *
 * @param x [N, ...spatial, C]
 * @param weight [...kernel, filters, C]
 * @returns [N, ...spatial', filters]
 */
export function transposedConvolve(x: Tensor, weight: Tensor, window: TransposedWindow = {}): Tensor {
  const axes = x.rank - 2;
  const spatial = x.shape.slice(1, -1);
  const filters = weight.shape.at(-2) as number;
  const stride = perAxis(window.stride ?? 1, axes);
  const [padding, more] = [perAxis(window.padding ?? 0, axes), perAxis(window.outputPadding ?? 0, axes)];
  const full = spatial.map((length, i) => (length - 1) * (stride[i] as number) + (weight.shape[i] as number));
  if (isForOwnVolumeKernels(weight)) {
    const fine = full.map((size, i) => size - 2 * (padding[i] as number) + (more[i] as number));
    return ownVolumeConvolution(x, weight, { fine, coarse: spatial, stride, padding }, true);
  }
  const y = rawTransposedConvolve(x, weight, [...full, filters], windowAttributes(stride, 'VALID'));
  // what is cut off at the end where it is positive is added where it is negative
  const after = padding.map((cut, i) => cut - (more[i] as number));
  const wide = pad(y, [[0, 0], ...after.map((cut) => [0, Math.max(0, -cut)] as const), [0, 0]]);
  const sizes = full.map((size, i) => size - (padding[i] as number) - (after[i] as number));
  return slice(after.some((cut) => cut < 0) ? wide : y, padding, sizes);
}

/** @param shape of the output after its first axis */
function rawTransposedConvolve(x: Tensor, weight: Tensor, shape: readonly number[], attributes: Attributes): Tensor {
  const { forward, input, filter } = opsOf(x);
  const attributesOfInput = { ...attributes, ...shapeType(x) };
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      const count = op('StridedSlice', [shapeOf(x), vector([0]), vector([1]), vector([1])], FIRST);
      const sizes = op('Pack', [count, ...shape.map(whole)], { T: int32, N: int(x.rank), axis: int(0) });
      return op(input, [sizes, weight, x], attributesOfInput);
    },
    (dy, [x, weight]) => [
      op(forward, [dy, weight as Tensor], attributes),
      op(filter, [dy, shapeOf(weight as Tensor), x as Tensor], attributes),
    ],
  );
}

/** Of a StridedSlice that gives the first entry of a vector of whole numbers, as a scalar. */
const FIRST: Attributes = {
  ...{ T: int32, Index: int32, begin_mask: int(0), end_mask: int(0) },
  ...{ ellipsis_mask: int(0), new_axis_mask: int(0), shrink_axis_mask: int(1) },
};

function poolAttributes(x: Tensor, kernel: PerAxis, stride: PerAxis): Attributes {
  const [sizes, steps] = [perAxis(kernel, x.rank - 2), perAxis(stride, x.rank - 2)];
  return { ...windowAttributes(steps, 'VALID'), ksize: int([1, ...sizes, 1]) };
}

/** Max pooling over the spatial axes of [N, ...spatial, C]. */
export function maxPool(x: Tensor, kernel: PerAxis, { stride = kernel, padding = 0 }: Window = {}): Tensor {
  const attributes = poolAttributes(x, kernel, stride);
  const [forward, backward] = x.rank === 4 ? ['MaxPool', 'MaxPoolGrad'] : ['MaxPool3D', 'MaxPool3DGrad'];
  const typed = x.rank === 4 ? attributes : { ...attributes, TInput: float32 };
  return differentiable(
    [padding === 0 ? x : padded(x, kernel, stride, padding, LOWEST)],
    ([x], save) => {
      const y = op(forward as string, [x], attributes);
      save([x, y]);
      return y;
    },
    (dy, [x, y]) => [op(backward as string, [x as Tensor, y as Tensor, dy], typed)],
  );
}

/** Average pooling over the spatial axes of [N, ...spatial, C], without padding. */
export function avgPool(x: Tensor, kernel: PerAxis, stride: PerAxis = kernel): Tensor {
  const attributes = poolAttributes(x, kernel, stride);
  const [forward, backward] = x.rank === 4 ? ['AvgPool', 'AvgPoolGrad'] : ['AvgPool3D', 'AvgPool3DGrad'];
  return differentiable(
    [x],
    ([x], save) => {
      save([shapeOf(x)]);
      return op(forward as string, [x], attributes);
    },
    (dy, [shape]) => [op(backward as string, [shape as Tensor, dy], attributes)],
  );
}

/** The mean over the spatial axes: [N, ...spatial, C] -> [N, C]. */
export function globalAveragePool(x: Tensor): Tensor {
  const spatial = x.shape.slice(1, -1);
  const count = spatial.reduce((product, length) => product * length, 1);
  return differentiable(
    [x],
    ([x], save) => {
      save([shapeOf(x)]);
      return x.mean(spatial.map((_, axis) => axis + 1));
    },
    (dy, [shape]) => {
      const spread = reshape(dy.div(count), [-1, ...spatial.map(() => 1), x.shape.at(-1) as number]);
      return [op('BroadcastTo', [spread, shape as Tensor], { T: float32, Tidx: int32 })];
    },
  );
}
