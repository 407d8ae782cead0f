// The loss of several levels of a decoder together.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { int32, op, vector, whole } from '../ops/op';

/**
 * Labels in another resolution, each from the voxel that its centre lies in, as PyTorch's nearest-exact.
 *
 * @param labels int32 [N, ...spatial]
 * @param sides of the spatial axes afterwards
 */
export function resizeLabels(labels: Tensor, sides: readonly number[]): Tensor {
  return sides.reduce((resized, side, index) => {
    const length = labels.shape[index + 1] as number;
    if (side === length) return resized;
    const places = Array.from({ length: side }, (_, i) => Math.floor(((i + 0.5) * length) / side));
    return op('GatherV2', [resized, vector(places), whole(index + 1)], {
      Tparams: int32,
      Tindices: int32,
      Taxis: int32,
    });
  }, labels);
}

/** What each level counts, the finest first: 1, 1/2, 1/4, ..., divided by their sum (nnU-Net, https://doi.org/10.1038/s41592-020-01008-z). */
export function levelWeights(count: number): number[] {
  const halves = Array.from({ length: count }, (_, level) => 2 ** -level);
  const sum = halves.reduce((total, weight) => total + weight, 0);
  return halves.map((weight) => weight / sum);
}

/**
 * The weighted sum of a loss over levels, as MONAI's DeepSupervisionLoss with these weights; labels are brought to the levels' sizes.
 *
 * https://docs.monai.io/en/stable/losses.html#deepsupervisionloss
 *
 * @param levels logits [N, ...coarser, K], the finest first
 * @param labels int32 [N, ...spatial]
 */
export function deepSupervisionLoss(
  loss: (logits: Tensor, labels: Tensor) => Tensor,
  levels: readonly Tensor[],
  labels: Tensor,
): Tensor {
  if (levels.length === 1) return loss(levels[0] as Tensor, labels);
  const weights = levelWeights(levels.length);
  return levels
    .map((logits, level) => loss(logits, resizeLabels(labels, logits.shape.slice(1, -1))).mul(weights[level] as number))
    .reduce((sum, part) => sum.add(part));
}
