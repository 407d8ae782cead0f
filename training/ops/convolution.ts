// 2D convolution and pooling with PyTorch's explicit padding.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { pad, reshape } from './layout';
import { product } from './linear';
import { type Attributes, differentiable, float32, int, int32, op } from './op';
import { useOwnKernels } from './own-kernels';

/** The smallest float32: what pads an input whose maximum is taken. */
const LOWEST = -3.4028234663852886e38;

export interface Window {
  /** @default 1 for a convolution, the kernel's size for pooling */
  readonly stride?: number;
  /** Zeros (for max pooling: nothing) on each side of height and width. @default 0 */
  readonly padding?: number;
}

function windowAttributes(stride: number, padding: 'VALID' | 'SAME'): Attributes {
  return { T: float32, strides: int([1, stride, stride, 1]), padding, data_format: 'NHWC' };
}

/**
 * The input with its padding around it, without the last rows and columns where no window reaches.
 *
 * TensorFlow's SAME puts the odd pixel of a strided window on the other side than PyTorch does; its EXPLICIT has no oneDNN kernels for
 * the gradients (an Eigen one is 30 times slower in bfloat16). So the padding is an op of its own.
 */
function padded(x: Tensor, kernel: number, stride: number, padding: number, value: number): Tensor {
  const sides = x.shape.map((length, axis) => {
    if (axis === 0 || axis === 3) return [0, 0] as const;
    const outputs = Math.floor((length + 2 * padding - kernel) / stride) + 1;
    return [padding, Math.max(0, (outputs - 1) * stride + kernel - length - padding)] as const;
  });
  return pad(x, sides, value);
}

/** The shape as a tensor of the graph, for it holds the batch dimension. */
function shapeOf(x: Tensor): Tensor {
  return op('Shape', [x], { T: float32, out_type: int32 });
}

/** A convolution that looks at one pixel is a matrix product, which is faster as such, its gradients above all. */
function pointwise(x: Tensor, weight: Tensor): Tensor {
  const [, , channels, filters] = weight.shape as [number, number, number, number];
  const y = product(reshape(x, [-1, channels]), reshape(weight, [channels, filters]), false);
  return reshape(y, [-1, ...x.shape.slice(1, -1), filters]);
}

/** Whether kernels/winograd.cc does a convolution well: its filter, 4 times as large there, has to stay in a core's second cache. */
export function isForOwnKernels(weight: Tensor, { stride = 1, padding = 0 }: Window): boolean {
  const STRIP = 16;
  const LARGEST = 8192;
  const [size, , channels, filters] = weight.shape as [number, number, number, number];
  const centred = size === 3 && stride === 1 && padding === 1;
  return useOwnKernels() && centred && channels % STRIP === 0 && filters % STRIP === 0 && channels * filters <= LARGEST;
}

/** With the kernels of kernels/convolution.cc: 3 x 3, stride 1, padding 1. */
function ownConvolution(x: Tensor, weight: Tensor): Tensor {
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return op('ScanlineConvolution', [x, weight], { T: float32 });
    },
    (dy, saved) => {
      const [x, weight] = saved as [Tensor, Tensor];
      return [
        op('ScanlineConvolutionGradInput', [dy, weight], { T: float32 }),
        op('ScanlineConvolutionGradFilter', [dy, x, weight], { T: float32 }),
      ];
    },
  );
}

/**
 * 2D convolution.
 *
 * @param x [N, H, W, C]
 * @param weight [kernel, kernel, C, filters]
 * @returns [N, H', W', filters]
 */
export function conv2d(x: Tensor, weight: Tensor, { stride = 1, padding = 0 }: Window = {}): Tensor {
  const kernel = weight.shape[0] as number;
  if (kernel === 1 && stride === 1 && padding === 0) return pointwise(x, weight);
  if (isForOwnKernels(weight, { stride, padding })) return ownConvolution(x, weight);
  const centred = stride === 1 && 2 * padding === kernel - 1;
  const input = padding === 0 || centred ? x : padded(x, kernel, stride, padding, 0);
  const attributes = { ...windowAttributes(stride, centred ? 'SAME' : 'VALID'), dilations: int([1, 1, 1, 1]) };
  return differentiable(
    [input, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return op('Conv2D', [x, weight], attributes);
    },
    (dy, [x, weight]) => [
      op('Conv2DBackpropInput', [shapeOf(x as Tensor), weight as Tensor, dy], attributes),
      op('Conv2DBackpropFilter', [x as Tensor, shapeOf(weight as Tensor), dy], attributes),
    ],
  );
}

/** Max pooling over height and width of [N, H, W, C]. */
export function maxPool2d(x: Tensor, kernel: number, { stride = kernel, padding = 0 }: Window = {}): Tensor {
  const attributes = { ...windowAttributes(stride, 'VALID'), ksize: int([1, kernel, kernel, 1]) };
  return differentiable(
    [padding === 0 ? x : padded(x, kernel, stride, padding, LOWEST)],
    ([x], save) => {
      const y = op('MaxPool', [x], attributes);
      save([x, y]);
      return y;
    },
    (dy, [x, y]) => [op('MaxPoolGrad', [x as Tensor, y as Tensor, dy], attributes)],
  );
}

/** Average pooling over height and width of [N, H, W, C], without padding. */
export function avgPool2d(x: Tensor, kernel: number, stride = kernel): Tensor {
  const attributes = { ...windowAttributes(stride, 'VALID'), ksize: int([1, kernel, kernel, 1]) };
  return differentiable(
    [x],
    ([x], save) => {
      save([shapeOf(x)]);
      return op('AvgPool', [x], attributes);
    },
    (dy, [shape]) => [op('AvgPoolGrad', [shape as Tensor, dy], attributes)],
  );
}

/** The mean over height and width: [N, H, W, C] -> [N, C]. */
export function globalAveragePool(x: Tensor): Tensor {
  const [, height, width, channels] = x.shape as [number, number, number, number];
  return differentiable(
    [x],
    ([x], save) => {
      save([shapeOf(x)]);
      return x.mean([1, 2]);
    },
    (dy, [shape]) => {
      const spread = reshape(dy.div(height * width), [-1, 1, 1, channels]);
      return [op('BroadcastTo', [spread, shape as Tensor], { T: float32, Tidx: int32 })];
    },
  );
}
