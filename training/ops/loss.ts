// Cross-entropy from logits.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { differentiable, float32, int32, op, ops, whole } from './op';

/**
 * Mean cross-entropy, weighted by class as PyTorch's CrossEntropyLoss does: the sum of weight * loss over the sum of weights.
 *
 * @param logits [N, K]
 * @param labels int32 [N]
 * @param classWeights one for each of the K classes @default all 1
 */
export function crossEntropy(logits: Tensor, labels: Tensor, classWeights?: readonly number[]): Tensor {
  return differentiable(
    [logits],
    ([logits], save) => {
      const attributes = { T: float32, Tlabels: int32 };
      const [losses, gradients] = ops('SparseSoftmaxCrossEntropyWithLogits', [logits, labels], attributes, 2) as [
        Tensor,
        Tensor,
      ];
      const weights = classWeights ? classWeightOf(labels, classWeights) : tf.onesLike(losses);
      const total = weights.sum();
      save([gradients.mul(weights.div(total).expandDims(1))]);
      return losses.mul(weights).sum().div(total);
    },
    (dy, [gradients]) => [(gradients as Tensor).mul(dy)],
  );
}

function classWeightOf(labels: Tensor, classWeights: readonly number[]): Tensor {
  const inputs = [tf.tensor1d([...classWeights]), labels, whole(0)];
  return op('GatherV2', inputs, { Tparams: float32, Tindices: int32, Taxis: int32 });
}
