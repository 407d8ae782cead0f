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

/**
 * Zeroes a share of the values and scales the rest so that their mean stays (Srivastava et al., JMLR 15, 2014).
 *
 * @param perChannel drop whole channels (the last axis) of each sample, as PyTorch's Dropout2d does
 */
export function dropout(x: Tensor, rate: number, key: RandomKey, perChannel = false): Tensor {
  let shape = op('Shape', [x], { T: float32, out_type: int32 });
  if (perChannel) {
    // keep the first and last dimension, 1 in between
    const ends = vector(x.shape.map((_, axis) => (axis === 0 || axis === x.rank - 1 ? 1 : 0)));
    shape = shape.mul(ends).add(vector(x.shape.map((_, axis) => (axis === 0 || axis === x.rank - 1 ? 0 : 1))));
  }
  const keep = statelessUniform(shape, key)
    .greaterEqual(rate)
    .cast('float32')
    .div(1 - rate);
  return differentiable(
    [x],
    ([x], save) => {
      save([keep]);
      return x.mul(keep);
    },
    (dy, [keep]) => [dy.mul(keep as Tensor)],
  );
}
