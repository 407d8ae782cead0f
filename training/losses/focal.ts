// The focal loss: cross-entropy that leaves easy voxels alone.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { float32, op } from '../ops/op';
import { checkWeights, counted, inShapeOf, lossWithGradient, ratio, reshaped, sizeOf, targets } from './labels';

export interface FocalOptions {
  /** How little easy voxels count; 0 is cross-entropy. @default 2 */
  readonly gamma?: number | undefined;
  /** What makes probabilities of logits. @default softmax */
  readonly activation?: 'softmax' | 'sigmoid' | undefined;
  /** Whether class 0 counts; where not, the softmax is taken over the other classes alone, as MONAI does. @default true */
  readonly includeBackground?: boolean | undefined;
  /** Weight of the positive targets (sigmoid), or of all classes but the first (softmax); the rest weighs 1 - alpha. @default none */
  readonly alpha?: number | undefined;
  /** One for each of the K classes. @default all 1 */
  readonly classWeights?: readonly number[] | undefined;
  /**
   * The label of voxels that do not count. Where it is given, the loss is summed over the classes and averaged over the voxels that
   * count, as MONAI's; else averaged over the classes too. @default none
   */
  readonly ignoreIndex?: number | undefined;
}

/** Of each class and voxel. */
interface Focal {
  readonly losses: Tensor;
  /** The gradient of a weighted sum of the losses with respect to the logits. */
  readonly gradient: (weights: Tensor) => Tensor;
}

/** Lin et al., https://arxiv.org/abs/1708.02002, eq. 4, as MONAI's FocalLoss. @param x [M, K] @param target one-hot [M, K] */
function softmaxFocal(x: Tensor, target: Tensor, gamma: number): Focal {
  const logProbability = op('LogSoftmax', [x], { T: float32 });
  const probability = logProbability.exp();
  const rest = tf.scalar(1).sub(probability);
  const modulation = rest.pow(gamma);
  // rest ** (gamma - 1), and not infinite where nothing is left to learn
  const easing = ratio(modulation, rest).mul(gamma);
  return {
    losses: modulation.mul(logProbability).mul(target).neg(),
    gradient: (weights) => {
      const slope = easing.mul(probability).mul(logProbability).sub(modulation).mul(target).mul(weights);
      return slope.sub(probability.mul(slope.sum(1, true)));
    },
  };
}

/** As above, each class for itself. */
function sigmoidFocal(x: Tensor, target: Tensor, gamma: number): Focal {
  const sign = target.mul(2).sub(1);
  const towards = x.mul(sign);
  const loss = op('Softplus', [towards.neg()], { T: float32 });
  const rest = towards.neg().sigmoid();
  const modulation = rest.pow(gamma);
  return {
    losses: modulation.mul(loss),
    gradient: (weights) => {
      const slope = modulation.mul(towards.sigmoid().mul(gamma).mul(loss).add(rest)).neg();
      return slope.mul(sign).mul(weights);
    },
  };
}

/** What each class and voxel counts, [M or 1, K]. */
function focalWeights(target: Tensor, { activation, alpha, classWeights }: FocalOptions, first: number): Tensor {
  const classes = target.shape[1] as number;
  const ofClass = Array.from({ length: classes }, (_, k) => classWeights?.[k + first] ?? 1);
  if (alpha === undefined) return tf.tensor2d(ofClass, [1, classes]);
  if (activation === 'sigmoid') {
    const balance = target.mul(2 * alpha - 1).add(1 - alpha);
    return balance.mul(tf.tensor2d(ofClass, [1, classes]));
  }
  // without the background no class is the first: MONAI then ignores a scalar alpha
  const balanced = first === 1 ? ofClass : ofClass.map((weight, k) => weight * (k === 0 ? 1 - alpha : alpha));
  return tf.tensor2d(balanced, [1, classes]);
}

/**
 * The focal loss, as MONAI's FocalLoss with to_onehot_y and the reduction mean.
 *
 * https://docs.monai.io/en/stable/losses.html#focalloss
 *
 * @param logits [N, ..., K]
 * @param labels int32 [N, ...]
 * @throws RangeError for class weights of another number than the classes, or a softmax of one class
 */
export function focalLoss(logits: Tensor, labels: Tensor, options: FocalOptions = {}): Tensor {
  const { gamma = 2, activation = 'softmax', includeBackground = true, ignoreIndex } = options;
  const classes = logits.shape.at(-1) as number;
  checkWeights(options.classWeights, classes);
  if (classes === 1 && activation === 'softmax')
    throw new RangeError('the softmax of one class is always 1: a single channel needs the activation sigmoid');
  const first = includeBackground || classes === 1 ? 0 : 1;
  return lossWithGradient(logits, (logits) => {
    const flat = reshaped(labels, [-1]);
    const kept = (y: Tensor) => (first === 0 ? y : y.slice([0, 1], [-1, classes - 1]));
    const mask = counted(flat, ignoreIndex)?.expandDims(1);
    const masked = (y: Tensor) => (mask ? y.mul(mask) : y);
    const x = masked(kept(reshaped(logits, [-1, classes])));
    const target = masked(kept(targets(flat, classes)));
    const focal = activation === 'softmax' ? softmaxFocal : sigmoidFocal;
    const { losses, gradient } = focal(x, target, gamma);
    const count = mask ? mask.sum() : sizeOf(losses);
    const weights = masked(focalWeights(target, { ...options, activation }, first).mul(tf.onesLike(losses)));
    const shares = ratio(weights, count);
    const slopes = gradient(shares);
    const whole =
      first === 0
        ? slopes
        : slopes.pad([
            [0, 0],
            [1, 0],
          ]);
    return { loss: losses.mul(shares).sum(), gradient: inShapeOf(whole, logits) };
  });
}
