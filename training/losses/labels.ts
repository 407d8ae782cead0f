// What every loss makes of logits and labels: rows of classes, one-hot targets, and which voxels count.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { differentiable, float32, int, int32, op, vector, whole } from '../ops/op';

/** A scalar loss whose gradient with respect to its input is worked out beside its value. */
export function lossWithGradient(x: Tensor, body: (x: Tensor) => { loss: Tensor; gradient: Tensor }): Tensor {
  return differentiable(
    [x],
    ([x], save) => {
      const { loss, gradient } = body(x);
      save([gradient]);
      return loss;
    },
    (dy, [gradient]) => [(gradient as Tensor).mul(dy)],
  );
}

/** The same values in another shape, without a gradient; one dimension may be -1. */
export function reshaped(x: Tensor, shape: readonly number[]): Tensor {
  const T = x.dtype === 'int32' ? int32 : float32;
  return op('Reshape', [x, vector(shape)], { T, Tshape: int32 });
}

/** The values of `flat` in the shape of `x`, whose first dimension may be unknown. */
export function inShapeOf(flat: Tensor, x: Tensor): Tensor {
  return reshaped(flat, [-1, ...x.shape.slice(1)]);
}

/** Voxels of a sample: 1 for logits [N, K]. */
export function voxelsOf(logits: Tensor): number {
  return logits.shape.slice(1, -1).reduce((product, length) => product * length, 1);
}

/** How many elements a tensor has, as a float32 scalar. */
export function sizeOf(x: Tensor): Tensor {
  return op('Size', [x], { T: float32, out_type: int32 }).cast('float32');
}

/** 1 where a label counts, 0 where it is the one to ignore; undefined where all count. */
export function counted(labels: Tensor, ignoreIndex: number | undefined): Tensor | undefined {
  return ignoreIndex === undefined ? undefined : labels.notEqual(whole(ignoreIndex)).cast('float32');
}

/**
 * Targets as float32, [...labels, K]: one-hot, or for K = 1 the labels themselves. A label that is no class is 0 everywhere.
 *
 * @param labels int32
 */
export function targets(labels: Tensor, classes: number): Tensor {
  if (classes === 1) return labels.cast('float32').expandDims(-1);
  const inputs = [labels, whole(classes), tf.scalar(1), tf.scalar(0)];
  return op('OneHot', inputs, { T: float32, TI: int32, axis: int(-1) });
}

/** @throws RangeError unless there is one weight for each class */
export function checkWeights(weights: readonly number[] | undefined, classes: number): void {
  if (weights && weights.length !== classes) {
    throw new RangeError(`${weights.length} class weights for ${classes} classes; one for each is needed`);
  }
}

/** a / b, 0 where b is 0. (tfjs's own cannot take an unknown batch size.) */
export function ratio(a: Tensor, b: Tensor): Tensor {
  return op('DivNoNan', [a, b], { T: float32 });
}
