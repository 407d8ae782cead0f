// Parts of a network whose inside is computed again for the gradient, rather than kept for it, where the pass asks for that.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { entering, recomputed } from '../ops/recompute';
import type { Pass, Scope } from './network';

type Part<Input, Rest extends unknown[]> = (x: Input, pass: Pass, ...rest: Rest) => Tensor;

/**
 * A part of a network that may be forgotten between the passes forward and backward (see `Pass.checkpointing`). Where it is computed again
 * dropout drops the same, and no buffer is moved a second time.
 *
 * @param scope in which the part declares its parameters
 * @param build declares them, and gives the part
 */
export function checkpointed<Input extends Tensor | readonly Tensor[], Rest extends unknown[]>(
  scope: Scope,
  build: () => Part<Input, Rest>,
): Part<Input, Rest> {
  const before = scope.parameters.length;
  const part = build();
  const trained = scope.parameters.slice(before).filter(({ role }) => role === 'trained');
  return (x, pass, ...rest) => {
    const alone = x instanceof tf.Tensor;
    if (!pass.checkpointing) return part((alone && pass.training ? entering(x) : x) as Input, pass, ...rest);
    const weights = trained.map(({ name }) => pass.parameter(name));
    return recomputed(alone ? [x] : x, weights, (inputs, given, again) => {
      const named = new Map(trained.map(({ name }, index) => [name, given[index] as Tensor]));
      const inner: Pass = {
        ...pass,
        parameter: (name) => named.get(name) ?? pass.parameter(name),
        ...(again && { assign: () => {} }),
      };
      return part((alone ? inputs[0] : inputs) as Input, inner, ...rest);
    });
  };
}
