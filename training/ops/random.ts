// Random numbers drawn by TensorFlow from (seed, step, site): the same step drawn again, resumed or recomputed, is the same step.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { differentiable, float32, int, int32, op, vector, whole } from './op';

/** What the numbers of one site (a dropout layer, a parameter's initial values) are drawn from. */
export interface RandomKey {
  /** Which run: one whole number below 2^31. */
  readonly seed: number;
  /** Which layer or parameter. */
  readonly site: number;
  /** Which step, as a scalar int32 tensor, so that one recorded graph serves all steps. @default 0 */
  readonly step?: Tensor;
}

/** Two words as the stateless ops take them; the seed fills one, site and step share the other. */
function words({ seed, site, step }: RandomKey): Tensor {
  const SITES = 4096;
  if (!Number.isInteger(site) || site < 0 || site >= SITES)
    throw new RangeError(`random site ${site} is not in [0, ${SITES})`);
  const place = step === undefined ? whole(site) : step.mul(whole(SITES)).add(whole(site));
  return op('Pack', [whole(seed), place], { T: int32, N: int(2), axis: int(0) });
}

/** Uniform in [0, 1). */
function statelessUniform(shape: Tensor, key: RandomKey): Tensor {
  return op('StatelessRandomUniform', [shape, words(key)], { dtype: float32, T: int32, Tseed: int32 });
}

/** Uniform in [low, high). */
export function randomUniform(shape: readonly number[], low: number, high: number, key: RandomKey): Tensor {
  return statelessUniform(vector(shape), key)
    .mul(high - low)
    .add(low);
}

export function randomNormal(shape: readonly number[], deviation: number, key: RandomKey): Tensor {
  return op('StatelessRandomNormal', [vector(shape), words(key)], { dtype: float32, T: int32, Tseed: int32 }).mul(
    deviation,
  );
}

/** Ones, and as a dropped share of them zeros, scaled so that the mean is 1: of the shape of x, or 1 along some of its axes. */
function kept(x: Tensor, rate: number, key: RandomKey, alike: readonly number[]): Tensor {
  let shape = op('Shape', [x], { T: float32, out_type: int32 });
  if (alike.length > 0) {
    shape = shape
      .mul(vector(x.shape.map((_, axis) => (alike.includes(axis) ? 0 : 1))))
      .add(vector(x.shape.map((_, axis) => (alike.includes(axis) ? 1 : 0))));
  }
  return statelessUniform(shape, key)
    .greaterEqual(rate)
    .cast('float32')
    .div(1 - rate);
}

function scaled(x: Tensor, factors: Tensor): Tensor {
  return differentiable(
    [x],
    ([x], save) => {
      save([factors]);
      return x.mul(factors);
    },
    (dy, [factors]) => [dy.mul(factors as Tensor)],
  );
}

/**
 * Zeroes a share of the values and scales the rest so that their mean stays (Srivastava et al., JMLR 15, 2014).
 *
 * @param perChannel drop whole channels (the last axis) of each sample, as PyTorch's Dropout2d and Dropout3d do
 */
export function dropout(x: Tensor, rate: number, key: RandomKey, perChannel = false): Tensor {
  const spatial = x.shape.map((_, axis) => axis).slice(1, -1);
  return scaled(x, kept(x, rate, key, perChannel ? spatial : []));
}

/** Zeroes a share of the samples and scales the rest (Huang et al., https://arxiv.org/abs/1603.09382). */
export function dropPath(x: Tensor, rate: number, key: RandomKey): Tensor {
  return scaled(x, kept(x, rate, key, x.shape.map((_, axis) => axis).slice(1)));
}
