// Batch and layer normalisation with their own gradients.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { relu } from './activation';
import { concat, reshape } from './layout';
import { differentiable, float, float32, int, op, ops } from './op';
import { useOwnKernels } from './own-kernels';

/** A scale and an offset for each channel, [C]. */
export interface Affine {
  readonly scale: Tensor;
  readonly offset: Tensor;
}

/** The running mean and variance of each channel, [C]. */
export interface Statistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

export interface BatchNormOptions {
  /** Whether a ReLU follows, which costs next to nothing here. @default false */
  readonly relu?: boolean;
  /** Share of the batch in the running statistics. @default 0.1 */
  readonly momentum?: number;
  /** @default 1e-5 */
  readonly epsilon?: number;
  /** Takes the running statistics after this batch. Given: the batch is normalised by its own; not given: by the running ones. */
  readonly update?: (statistics: Statistics) => void;
}

/**
 * Batch normalisation over all but the last axis of [N, ...spatial, C] (Ioffe & Szegedy, https://arxiv.org/abs/1502.03167), as PyTorch's
 * BatchNorm2d and BatchNorm3d: the batch is normalised by its biased variance, the running variance follows the unbiased one.
 *
 * @param x several stand for their concatenation along the channels
 */
export function batchNorm(
  x: Tensor | readonly Tensor[],
  affine: Affine,
  running: Statistics,
  options: BatchNormOptions = {},
): Tensor {
  const list = x instanceof tf.Tensor ? [x] : [...x];
  const { relu: withRelu = false, update } = options;
  if (update && useOwnKernels()) return ownBatchNorm(list, affine, running, { ...options, update });
  const whole = concat(list, (list[0] as Tensor).rank - 1);
  if (useOwnKernels()) return ownNormalization(whole, affine, running, options);
  const channels = whole.shape.at(-1) as number;
  // TensorFlow's op takes two spatial axes
  const flat = whole.rank === 4 ? whole : reshape(whole, [-1, 1, whole.shape.at(-2) as number, channels]);
  const normalized = tensorflowBatchNorm(flat, affine, running, options);
  const y = whole.rank === 4 ? normalized : reshape(normalized, [-1, ...whole.shape.slice(1)]);
  return withRelu ? relu(y) : y;
}

function tensorflowBatchNorm(
  x: Tensor,
  { scale, offset }: Affine,
  { mean, variance }: Statistics,
  { momentum = 0.1, epsilon = 1e-5, update }: BatchNormOptions,
): Tensor {
  const attributes = {
    T: float32,
    U: float32,
    epsilon: float(epsilon),
    data_format: 'NHWC',
    is_training: update !== undefined,
  };
  const share = { exponential_avg_factor: float(update ? momentum : 1) };
  return differentiable(
    [x, scale, offset],
    ([x, scale, offset], save) => {
      const outputs = ops('FusedBatchNormV3', [x, scale, offset, mean, variance], { ...attributes, ...share }, 6);
      const [y, newMean, newVariance, ...reserved] = outputs as [Tensor, Tensor, Tensor, ...Tensor[]];
      update?.({ mean: newMean, variance: newVariance });
      save([x, scale, ...reserved]);
      return y;
    },
    (dy, [x, scale, ...reserved]) =>
      ops('FusedBatchNormGradV3', [dy, x as Tensor, scale as Tensor, ...reserved], attributes, 5).slice(0, 3),
  );
}

const moments = new WeakMap<Tensor, Statistics>();

/** Mean and biased variance of each channel, computed once for a tensor. Not differentiated: who normalises by them does that. */
export function momentsOf(x: Tensor): Statistics {
  let known = moments.get(x);
  // what was worked out inside of a part that is computed again is gone with it
  if (known === undefined || known.mean.isDisposed) {
    const [mean, variance] = ops('ScanlineMoments', [x], { T: float32 }, 2) as [Tensor, Tensor];
    known = { mean, variance };
    moments.set(x, known);
  }
  return known;
}

/** With the kernels of kernels/norms/batch_norm.cc, for training: the list is never concatenated. */
function ownBatchNorm(
  list: readonly Tensor[],
  { scale, offset }: Affine,
  running: Statistics,
  {
    momentum = 0.1,
    epsilon = 1e-5,
    relu = false,
    update,
  }: BatchNormOptions & { update: (statistics: Statistics) => void },
): Tensor {
  const statistics = list.map(momentsOf);
  const batch = [...statistics.map(({ mean }) => mean), ...statistics.map(({ variance }) => variance)];
  const attributes = { T: float32, N: int(list.length), epsilon: float(epsilon), relu };
  return differentiable(
    [scale, offset, ...list],
    ([scale, offset, ...list], save) => {
      const inputs = [scale as Tensor, offset as Tensor, running.mean, running.variance, ...list, ...batch];
      const outputs = ops('ScanlineBatchNorm', inputs, { ...attributes, momentum: float(momentum) }, 3);
      const [y, mean, variance] = outputs as [Tensor, Tensor, Tensor];
      update({ mean, variance });
      save([scale as Tensor, offset as Tensor, ...list, ...batch]);
      return y;
    },
    (dy, saved) => ops('ScanlineBatchNormGrad', [dy, ...saved], attributes, 2 + list.length),
  );
}

/**
 * By the running statistics, with the same kernel: of small images, oneDNN's takes four times as long, which is half the time of a
 * DenseNet that answers one request.
 */
function ownNormalization(
  x: Tensor,
  { scale, offset }: Affine,
  { mean, variance }: Statistics,
  { epsilon = 1e-5, relu: withRelu = false }: BatchNormOptions,
): Tensor {
  const attributes = { T: float32, N: int(1), epsilon: float(epsilon), momentum: float(0), relu: withRelu };
  return differentiable(
    [x, scale, offset],
    ([x, scale, offset], save) => {
      const [y] = ops('ScanlineBatchNorm', [scale, offset, mean, variance, x, mean, variance], attributes, 3);
      save([x, scale, mean, variance, y as Tensor]);
      return y as Tensor;
    },
    (dy, saved) => {
      const [x, scale, mean, variance, y] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor];
      const g = withRelu ? op('ReluGrad', [dy, y], { T: float32 }) : dy;
      const inverse = variance.add(epsilon).rsqrt();
      const outer = x.shape.slice(0, -1).map((_, axis) => axis);
      return [g.mul(scale.mul(inverse)), g.mul(x.sub(mean).mul(inverse)).sum(outer), g.sum(outer)];
    },
  );
}

/**
 * Layer normalisation over the last axis (Ba et al., https://arxiv.org/abs/1607.06450).
 *
 * @param x [..., C]
 * @param scale,offset [C]
 */
export function layerNorm(x: Tensor, scale: Tensor, offset: Tensor, epsilon = 1e-5): Tensor {
  return useOwnKernels() ? ownLayerNorm(x, scale, offset, epsilon) : tensorflowLayerNorm(x, scale, offset, epsilon);
}

/** With the kernel of kernels/norms/layer_norm.cc. */
function ownLayerNorm(x: Tensor, scale: Tensor, offset: Tensor, epsilon: number): Tensor {
  return differentiable(
    [x, scale, offset],
    ([x, scale, offset], save) => {
      const outputs = ops('ScanlineLayerNorm', [x, scale, offset], { T: float32, epsilon: float(epsilon) }, 3);
      const [y, mean, inverse] = outputs as [Tensor, Tensor, Tensor];
      save([x, scale, mean, inverse]);
      return y;
    },
    (dy, saved) => ops('ScanlineLayerNormGrad', [dy, ...saved], { T: float32 }, 3),
  );
}

function tensorflowLayerNorm(x: Tensor, scale: Tensor, offset: Tensor, epsilon: number): Tensor {
  const outer = x.shape.slice(0, -1).map((_, axis) => axis);
  return differentiable(
    [x, scale, offset],
    ([x, scale, offset], save) => {
      const centred = x.sub(x.mean(-1, true));
      const inverse = centred.square().mean(-1, true).add(epsilon).rsqrt();
      const normalized = centred.mul(inverse);
      save([normalized, inverse, scale]);
      return normalized.mul(scale).add(offset);
    },
    (dy, saved) => {
      const [normalized, inverse, scale] = saved as [Tensor, Tensor, Tensor];
      const scaled = dy.mul(scale);
      const projection = normalized.mul(scaled.mul(normalized).mean(-1, true));
      const dx = scaled.sub(scaled.mean(-1, true)).sub(projection).mul(inverse);
      return [dx, dy.mul(normalized).sum(outer), dy.sum(outer)];
    },
  );
}
