// A convolution of what a batch normalisation and its ReLU give, which is never stored where the own kernels do all three.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { convolve, isForOwnKernels, type Window } from './convolution';
import { type Affine, type BatchNormOptions, batchNorm, momentsOf, type Statistics } from './normalization';
import { differentiable, float, float32, int, ops } from './op';

/**
 * 2D convolution of a batch normalisation with a ReLU (Jung et al., https://arxiv.org/abs/1807.01702).
 *
 * @param x [N, H, W, C]
 * @param weight [kernel, kernel, C, filters]
 * @returns [N, H', W', filters]
 */
export function normalizedConv2d(
  x: Tensor,
  affine: Affine,
  running: Statistics,
  weight: Tensor,
  { update, momentum = 0.1, epsilon = 1e-5, ...window }: Omit<BatchNormOptions, 'relu'> & Window = {},
): Tensor {
  if (update === undefined || !isForOwnKernels(weight, window)) {
    const options = { momentum, epsilon, relu: true, ...(update && { update }) };
    return convolve(batchNorm(x, affine, running, options), weight, window);
  }
  const { mean, variance } = momentsOf(x);
  const attributes = { T: float32, N: int(1), epsilon: float(epsilon) };
  return differentiable(
    [x, affine.scale, affine.offset, weight],
    ([x, scale, offset, weight], save) => {
      const [a, b, newMean, newVariance] = ops(
        'ScanlineBatchNormCoefficients',
        [scale, offset, running.mean, running.variance, x, mean, variance],
        { ...attributes, momentum: float(momentum) },
        4,
      ) as [Tensor, Tensor, Tensor, Tensor];
      update({ mean: newMean, variance: newVariance });
      save([x, scale, offset, weight, a, b, mean, variance]);
      return ops('ScanlineActivatedConvolution', [x, weight, a, b], { T: float32 }, 1)[0] as Tensor;
    },
    (dy, saved) => {
      const [x, scale, offset, weight, a, b, mean, variance] = saved as [
        ...[Tensor, Tensor, Tensor, Tensor],
        ...[Tensor, Tensor, Tensor, Tensor],
      ];
      const sums = ops('ScanlineActivatedConvolutionGradInput', [dy, weight, a, b, x, mean], { T: float32 }, 3);
      const [dscale, doffset, dx] = ops(
        'ScanlineBatchNormGradFromSums',
        [...sums, scale, offset, x, mean, variance],
        attributes,
        3,
      ) as [Tensor, Tensor, Tensor];
      const inputs = [dy, x, weight, a, b];
      const [dweight] = ops('ScanlineActivatedConvolutionGradFilter', inputs, { T: float32 }, 1) as [Tensor];
      return [dx, dscale, doffset, dweight];
    },
  );
}
