// Matrix products: the fully connected layer and attention.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { softmax } from './activation';
import { reshape, transpose } from './layout';
import { differentiable, float32, op } from './op';

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

/**
 * A fully connected layer on the last axis.
 *
 * @param x [..., I]
 * @param weight [O, I]
 * @param bias [O]
 * @returns [..., O]
 */
export function linear(x: Tensor, weight: Tensor, bias?: Tensor): Tensor {
  const [outputs, inputs] = weight.shape as [number, number];
  const rows = x.rank === 2 ? x : reshape(x, [-1, inputs]);
  const y = bias ? biasAdd(product(rows, weight, true), bias) : product(rows, weight, true);
  return x.rank === 2 ? y : reshape(y, [-1, ...x.shape.slice(1, -1), outputs]);
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

/** Told of the weights of attention, [N, heads, S, S], as they are computed. */
export type SeeAttention = (weights: Tensor) => void;

/**
 * Multi-head scaled dot-product self-attention (Vaswani et al., https://arxiv.org/abs/1706.03762).
 *
 * @param qkv queries, keys and values side by side, each head after head: [N, S, 3 * heads * d]
 * @param dropout applied to the attention weights @default none
 * @param attend gives the weights of the scores [N, heads, S, S] @default their softmax
 * @returns [N, S, heads * d]
 */
export function selfAttention(
  qkv: Tensor,
  heads: number,
  dropout: (weights: Tensor) => Tensor = (weights) => weights,
  attend: (scores: Tensor) => Tensor = softmax,
): Tensor {
  const [, length, width] = qkv.shape as [number, number, number];
  const size = width / 3 / heads;
  const parts = transpose(reshape(qkv, [-1, length, 3, heads, size]), [2, 0, 3, 1, 4]);
  const [queries, keys, values] = tf.unstack(parts, 0) as [Tensor, Tensor, Tensor];
  const weights = attend(batchProduct(queries.mul(1 / Math.sqrt(size)), keys, true));
  const mixed = batchProduct(dropout(weights), values, false);
  return reshape(transpose(mixed, [0, 2, 1, 3]), [-1, length, heads * size]);
}
