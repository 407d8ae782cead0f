// Values and gradients of an op with two sets of kernels, and gradients by finite differences.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../../../training/native/tensorflow';
import { assertClose } from '../assert-close';

type Op<Inputs extends Tensor[]> = (...inputs: Inputs) => Tensor;

/** Normally distributed values, the same in every run. */
export function normal(shape: readonly number[], seed: number, mean = 0, deviation = 1): Tensor {
  return tf.randomNormal([...shape], mean, deviation, 'float32', seed);
}

/** An op's value and its gradients for a given gradient of the value, in order. */
export function evaluate<Inputs extends Tensor[]>(op: Op<Inputs>, inputs: Inputs, dy: Tensor): Float32Array[] {
  const { value, grads } = tf.valueAndGrads(op as Op<Tensor[]>)(inputs, dy);
  return [value, ...grads].map((tensor) => tensor.dataSync() as Float32Array);
}

export function largest(values: ArrayLike<number>): number {
  return Array.from(values).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Fails unless all arrays agree to a share of the largest value that is expected in each. */
export function assertAlike(
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  share: number,
): void {
  for (const [i, values] of expected.entries()) {
    assertClose(actual[i] as ArrayLike<number>, values, share * Math.max(1e-3, largest(values)), `result ${i}`);
  }
}

const STEP = 1e-2;

/** Fails unless an op's gradients are the slopes between neighbouring values. For smooth ops of a few values around 1. */
export function assertGradientsAreSlopes<Inputs extends Tensor[]>(op: Op<Inputs>, inputs: Inputs): void {
  const dy = normal(op(...inputs).shape, 99);
  const objective = (at: Inputs) => {
    const [y, weights] = [op(...at).dataSync(), dy.dataSync()];
    return Array.from(y).reduce((sum, value, i) => sum + value * (weights[i] as number), 0);
  };
  const [, ...gradients] = evaluate(op, inputs, dy);
  for (const [i, input] of inputs.entries()) {
    const values = input.dataSync();
    const moved = (index: number, by: number) => {
      const copy = Float32Array.from(values);
      copy[index] = (values[index] as number) + by;
      return objective(inputs.map((other, j) => (j === i ? tf.tensor(copy, input.shape) : other)) as Inputs);
    };
    const slopes = Array.from(values, (_, index) => (moved(index, STEP) - moved(index, -STEP)) / (2 * STEP));
    assertClose(gradients[i] as Float32Array, slopes, 2e-3 * Math.max(1, largest(slopes)), `gradient ${i}`);
  }
}
