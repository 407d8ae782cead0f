// A function that keeps nothing for its gradient but what it was given, and is computed again when the gradient is asked for.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { backend, tf } from '../native/tensorflow';
import { differentiable } from './op';

let sparing = false;

/**
 * A tensor, and where the gradient of a recomputed part is being recorded, not there before the others are: so what the others are worked
 * out from can be gone before anything is made of this one.
 */
export function after(tensor: Tensor, others: readonly Tensor[]): Tensor {
  return sparing ? (together([tensor, ...others])[0] as Tensor) : tensor;
}

/** Gradients of y = f(xs) in the middle of another gradient, whose tape tfjs would forget. 0 of what y does not depend on. */
function gradientsWithin(f: () => Tensor, xs: readonly Tensor[], dy: Tensor): Tensor[] {
  const engine = tf.engine();
  const { state } = engine;
  const [outer, before] = [state.activeTape, sparing];
  sparing = true;
  try {
    const { grads } = engine.gradients(f, [...xs], dy, true);
    return grads.map((gradient, index) => gradient ?? tf.zerosLike(xs[index] as Tensor));
  } finally {
    state.activeTape = outer;
    sparing = before;
  }
}

/** The same tensors, not there before all of them are. */
function together(tensors: readonly Tensor[]): Tensor[] {
  const { binding } = backend;
  const outputs = binding.together?.(backend.getInputTensorIds([...tensors]));
  return outputs?.map((metadata) => backend.createOutputTensor(metadata)) ?? tensors.map((tensor) => tensor.clone());
}

/** x, whose gradients in the part that begins here are summed up before those of elsewhere: so as when it is computed again. */
export function entering(x: Tensor): Tensor {
  return differentiable(
    [x],
    ([x]) => x.clone(),
    (dy) => [dy],
  );
}

/**
 * Gradient checkpointing (Chen et al., https://arxiv.org/abs/1604.06174): of a part of a network only the inputs are kept until its
 * gradient is worked out, which begins by computing the part again.
 *
 * @param compute the part; called a second time, with `again`, it must do the same ops, and must not have its effects twice
 */
export function recomputed(
  inputs: readonly Tensor[],
  weights: readonly Tensor[],
  compute: (inputs: Tensor[], weights: Tensor[], again: boolean) => Tensor,
): Tensor {
  const count = inputs.length;
  return differentiable(
    [...inputs, ...weights],
    (given, save) => {
      save(given);
      return compute(given.slice(0, count), given.slice(count), false);
    },
    (dy, saved) => {
      const [late, ...again] = together([dy, ...saved.slice(0, count)]) as [Tensor, ...Tensor[]];
      const kept = saved.slice(count);
      // all at once, so that what one of them still needs is gone before the part that comes before this one is computed again
      return together(gradientsWithin(() => compute(again, kept, true), [...again, ...kept], late));
    },
  );
}
