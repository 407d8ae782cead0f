// The weights of attention within windows: a softmax of scores, a bias for each pair of tokens, and of shifted windows a mask.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { softmax } from './activation';
import { addConstant, addToEach, reshape } from './layout';
import { differentiable, float32, op, ops } from './op';
import { useOwnKernels } from './own-kernels';

/** What is added to the score of two tokens that are not neighbours; MONAI's. */
const APART = -100;

/**
 * Softmax over the last axis of scores + bias, where tokens of different regions hardly see each other.
 *
 * @param scores [N * windows, heads, tokens, tokens]
 * @param bias [heads, tokens, tokens]
 * @param regions the region of each token of each window; tokens of all are neighbours where it is not given
 */
export function windowSoftmax(scores: Tensor, bias: Tensor, regions?: readonly (readonly number[])[]): Tensor {
  return useOwnKernels() ? ownWindowSoftmax(scores, bias, regions) : tensorflowWindowSoftmax(scores, bias, regions);
}

type Regions = Parameters<typeof windowSoftmax>[2];

/** With the kernels of kernels/activations/window_softmax.cc. */
function ownWindowSoftmax(scores: Tensor, bias: Tensor, regions: Regions): Tensor {
  const tokens = bias.shape.at(-1) as number;
  const windows = regions ?? [new Array<number>(tokens).fill(0)];
  const table = tf.tensor2d(windows as number[][], [windows.length, tokens], 'int32');
  return differentiable(
    [scores, bias],
    ([scores, bias], save) => {
      const y = op('ScanlineWindowSoftmax', [scores, bias, table], { T: float32 });
      save([y]);
      return y;
    },
    (dy, [y]) => ops('ScanlineWindowSoftmaxGrad', [dy, y as Tensor], { T: float32 }, 2),
  );
}

function tensorflowWindowSoftmax(scores: Tensor, bias: Tensor, regions: Regions): Tensor {
  const [heads, tokens] = scores.shape.slice(1) as [number, number];
  const biased = addToEach(scores, reshape(bias, [1, heads, tokens, tokens]));
  if (regions === undefined) return softmax(biased);
  const windows = regions.length;
  const region = (shape: [number, number, number, number, number]) => tf.tensor5d(regions.flat(), shape, 'int32');
  const apart = region([1, windows, 1, tokens, 1])
    .notEqual(region([1, windows, 1, 1, tokens]))
    .cast('float32');
  const masked = addConstant(reshape(biased, [-1, windows, heads, tokens, tokens]), apart.mul(APART));
  return softmax(reshape(masked, [-1, heads, tokens, tokens]));
}
