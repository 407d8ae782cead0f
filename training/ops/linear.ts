// Matrix products: the fully connected layer and attention.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { gelu as geluOf, softmax } from './activation';
import { crop, rawReshape, reshape, transpose } from './layout';
import { differentiable, filled, float32, int, op, ops } from './op';
import { useOwnKernels } from './own-kernels';

function matMul(a: Tensor, b: Tensor, transposeA: boolean, transposeB: boolean): Tensor {
  return op('MatMul', [a, b], { T: float32, transpose_a: transposeA, transpose_b: transposeB });
}

/** x [M, I] times weight [I, O], or [O, I] (PyTorch's layout) transposed: [M, O]. */
export function product(x: Tensor, weight: Tensor, transposed: boolean): Tensor {
  return differentiable(
    [x, weight],
    ([x, weight], save) => {
      save([x, weight]);
      return matMul(x, weight, false, transposed);
    },
    (dy, saved) => {
      const [x, weight] = saved as [Tensor, Tensor];
      return [
        matMul(dy, weight, false, !transposed),
        transposed ? matMul(dy, x, true, false) : matMul(x, dy, true, false),
      ];
    },
  );
}

/** Adds a bias [C] to the last axis. */
export function biasAdd(x: Tensor, bias: Tensor): Tensor {
  return differentiable(
    [x, bias],
    ([x, bias]) => op('BiasAdd', [x, bias], { T: float32 }),
    (dy) => [dy, op('BiasAddGrad', [dy], { T: float32 })],
  );
}

export interface LinearOptions {
  /** Whether x goes through a GELU first, which is not stored where the own kernels do both. @default false */
  readonly gelu?: boolean;
  /**
   * Whether the network is trained. A large layer in float32 may then use Strassen's algorithm, where the rounding of a row's result depends
   * on the other rows: what a model answers for an image is not to change with those beside it. Its gradients always may.
   * @default false
   */
  readonly training?: boolean;
}

/**
 * A fully connected layer on the last axis.
 *
 * @param x [..., I]
 * @param weight [O, I]
 * @param bias [O]
 * @returns [..., O]
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor, options: LinearOptions = {}): Tensor {
  const { gelu = false, training = false } = options;
  return useOwnKernels()
    ? ownLinear(x, weight, bias, { gelu, training })
    : tensorflowLinear(gelu ? geluOf(x) : x, weight, bias);
}

function tensorflowLinear(x: Tensor, weight: Tensor, bias: Tensor | undefined): Tensor {
  const [outputs, inputs] = weight.shape as [number, number];
  const rows = x.rank === 2 ? x : reshape(x, [-1, inputs]);
  const y = bias ? biasAdd(product(rows, weight, true), bias) : product(rows, weight, true);
  return x.rank === 2 ? y : reshape(y, [-1, ...x.shape.slice(1, -1), outputs]);
}

/** With the kernels of kernels/products/linear.cc. */
function ownLinear(x: Tensor, weight: Tensor, bias: Tensor | undefined, options: Required<LinearOptions>): Tensor {
  const attributes = { T: float32, gelu: options.gelu };
  return differentiable<Tensor[]>(
    bias ? [x, weight, bias] : [x, weight],
    (given, save) => {
      const [x, weight, bias] = given as [Tensor, Tensor, Tensor?];
      save([x, weight]);
      const offset = bias ?? filled([weight.shape[0] as number], 0);
      return op('ScanlineLinear', [x, weight, offset], { ...attributes, training: options.training });
    },
    (dy, saved) => {
      const [x, weight] = saved as [Tensor, Tensor];
      const dx = op('ScanlineLinearGradInput', [dy, weight, x], attributes);
      const [dweight, dbias] = ops('ScanlineLinearGradWeight', [dy, x], attributes, 2) as [Tensor, Tensor];
      return bias ? [dx, dweight, dbias] : [dx, dweight];
    },
  );
}

function batchMatMul(a: Tensor, b: Tensor, adjointA: boolean, adjointB: boolean): Tensor {
  return op('BatchMatMulV2', [a, b], { T: float32, adj_x: adjointA, adj_y: adjointB });
}

/** a [..., M, K] times b [..., K, N], or b [..., N, K] adjoint; one product for each leading index. */
function batchProduct(a: Tensor, b: Tensor, adjointB: boolean): Tensor {
  return differentiable(
    [a, b],
    ([a, b], save) => {
      save([a, b]);
      return batchMatMul(a, b, false, adjointB);
    },
    (dy, saved) => {
      const [a, b] = saved as [Tensor, Tensor];
      const da = batchMatMul(dy, b, false, !adjointB);
      return [da, adjointB ? batchMatMul(dy, a, true, false) : batchMatMul(a, dy, true, false)];
    },
  );
}

/** Told of the weights of attention, [N, heads, queries, S], as they are computed. */
export type SeeAttention = (weights: Tensor) => void;

export interface AttentionOptions {
  /** How many tokens ask, the first ones: where nothing looks at what the others would find. @default all */
  readonly queries?: number;
  /** What is applied to the attention weights [N, heads, queries, S], dropout say. @default none */
  readonly change?: (weights: Tensor) => Tensor;
  /** Gives the weights of the scores [N, heads, queries, S]. @default their softmax */
  readonly attend?: (scores: Tensor) => Tensor;
}

/**
 * Multi-head scaled dot-product self-attention (Vaswani et al., https://arxiv.org/abs/1706.03762). Where neither its scores nor its weights
 * are asked for, the own kernel never stores them.
 *
 * @param qkv queries, keys and values side by side, each head after head: [N, S, 3 * heads * d]
 * @returns [N, queries, heads * d]
 */
export function selfAttention(qkv: Tensor, heads: number, options: AttentionOptions = {}): Tensor {
  const [, length, width] = qkv.shape as [number, number, number];
  const { queries = length, change, attend } = options;
  const size = width / 3 / heads;
  const parts = reshape(qkv, [-1, length, 3, heads, size]);
  const fused = useOwnKernels() && change === undefined && attend === undefined;
  const mixed = fused ? ownAttention(parts, queries) : tensorflowAttention(parts, { ...options, queries });
  return reshape(mixed, [-1, queries, heads * size]);
}

/** With the kernels of kernels/products/attention.cc. @param qkv [N, S, 3, heads, d] @returns [N, queries, heads, d] */
function ownAttention(qkv: Tensor, queries: number): Tensor {
  const [count, , , heads, size] = qkv.shape as [number, number, number, number, number];
  return differentiable(
    [qkv],
    ([qkv], save) => {
      const [y, level] = ops('ScanlineAttention', [qkv], { T: float32, queries: int(queries) }, 2) as [Tensor, Tensor];
      save([qkv, y, level]);
      // which tells the graph the shape of y
      return rawReshape(y, [count, queries, heads, size]);
    },
    (dy, saved) => [op('ScanlineAttentionGrad', [dy, ...saved], { T: float32 })],
  );
}

function tensorflowAttention(
  qkv: Tensor,
  { queries, change = (weights) => weights, attend = softmax }: AttentionOptions & { readonly queries: number },
): Tensor {
  const [heads, size] = qkv.shape.slice(-2) as [number, number];
  const [all, keys, values] = tf.unstack(transpose(qkv, [2, 0, 3, 1, 4]), 0) as [Tensor, Tensor, Tensor];
  const asking = crop(all, [heads, queries]);
  const weights = attend(batchProduct(asking.mul(1 / Math.sqrt(size)), keys, true));
  return transpose(batchProduct(change(weights), values, false), [0, 2, 1, 3]);
}
