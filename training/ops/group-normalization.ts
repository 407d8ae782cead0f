// Group and instance normalisation with their own gradients, and the activation that follows in the same go.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { prelu } from './activation';
import { reshape } from './layout';
import { differentiable, float, float32, int, ops } from './op';
import { useOwnKernels } from './own-kernels';

export interface GroupNormOptions {
  /** Groups of neighbouring channels that are normalised together; with as many as channels it is instance normalisation. */
  readonly groups: number;
  /** Negative values are multiplied by this afterwards: 0 for a ReLU, a scalar tensor for a PReLU. @default 1, none */
  readonly slope?: number | Tensor;
  /** @default 1e-5 */
  readonly epsilon?: number;
}

/**
 * Group normalisation of each sample (Wu & He, https://arxiv.org/abs/1803.08494), as PyTorch's GroupNorm.
 *
 * @param x [N, ..., C]
 * @param scale,offset [C]
 */
export function groupNorm(x: Tensor, scale: Tensor, offset: Tensor, options: GroupNormOptions): Tensor {
  const { groups, slope = 1, epsilon = 1e-5 } = options;
  if (useOwnKernels()) {
    return ownGroupNorm(x, scale, offset, typeof slope === 'number' ? tf.scalar(slope) : slope, groups, epsilon);
  }
  const y = tensorflowGroupNorm(x, scale, offset, groups, epsilon);
  return slope === 1 ? y : prelu(y, slope);
}

/** With the kernels of kernels/norms/group_norm.cc. */
function ownGroupNorm(x: Tensor, scale: Tensor, offset: Tensor, slope: Tensor, groups: number, epsilon: number) {
  const attributes = { T: float32, groups: int(groups) };
  return differentiable(
    [x, scale, offset, slope],
    ([x, scale, offset, slope], save) => {
      const inputs = [x, scale, offset, slope.reshape([])];
      const outputs = ops('ScanlineGroupNorm', inputs, { ...attributes, epsilon: float(epsilon) }, 3);
      const [y, mean, inverse] = outputs as [Tensor, Tensor, Tensor];
      save([...inputs, mean, inverse]);
      return y;
    },
    (dy, saved) => {
      const gradients = ops('ScanlineGroupNormGrad', [dy, ...saved], attributes, 4);
      return [...gradients.slice(0, 3), (gradients[3] as Tensor).reshape(slope.shape)];
    },
  );
}

/**
 * By sums of each channel, which are added up within the groups: reductions over axes that are not neighbours are several times slower.
 */
function tensorflowGroupNorm(x: Tensor, scale: Tensor, offset: Tensor, groups: number, epsilon: number): Tensor {
  const channels = x.shape.at(-1) as number;
  const inner = x.shape.slice(1, -1);
  const axes = inner.map((_, axis) => axis + 1);
  const spread = [-1, ...inner.map(() => 1), channels];
  const size = channels / groups;
  const count = inner.reduce((product, length) => product * length, size);
  /** For each channel the mean of its group, from sums [N, C]. */
  const overGroups = (sums: Tensor) => {
    const means = reshape(sums, [-1, groups, size]).sum(2, true).div(count);
    return reshape(means.mul(tf.ones([1, 1, size])), [-1, channels]);
  };
  return differentiable(
    [x, scale, offset],
    ([x, scale, offset], save) => {
      const centred = x.sub(reshape(overGroups(x.sum(axes)), spread));
      const inverse = overGroups(centred.square().sum(axes)).add(epsilon).rsqrt();
      const normalized = centred.mul(reshape(inverse, spread));
      save([normalized, inverse, scale]);
      return normalized.mul(scale).add(offset);
    },
    (dy, saved) => {
      const [normalized, inverse, scale] = saved as [Tensor, Tensor, Tensor];
      const [sums, products] = [dy.sum(axes), dy.mul(normalized).sum(axes)];
      const level = reshape(overGroups(sums.mul(scale)), spread);
      const projection = normalized.mul(reshape(overGroups(products.mul(scale)), spread));
      const dx = dy.mul(scale).sub(level).sub(projection).mul(reshape(inverse, spread));
      return [dx, products.sum(0), sums.sum(0)];
    },
  );
}
