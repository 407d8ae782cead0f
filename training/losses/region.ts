// Losses of how regions overlap: Dice, Jaccard and Tversky, as MONAI computes them.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { float32, op } from '../ops/op';
import { checkWeights, counted, inShapeOf, lossWithGradient, reshaped, sizeOf, targets, voxelsOf } from './labels';

export interface RegionOptions {
  /** What makes probabilities of logits; K = 1 needs sigmoid. @default softmax */
  readonly activation?: 'softmax' | 'sigmoid' | undefined;
  /** Whether class 0 counts. @default true */
  readonly includeBackground?: boolean | undefined;
  /** Whether regions are summed over the batch before they are compared. @default false */
  readonly batch?: boolean | undefined;
  /** Added to the numerator. @default 1e-5 */
  readonly smoothNr?: number | undefined;
  /** Added to the denominator. @default 1e-5 */
  readonly smoothDr?: number | undefined;
  /** The label of voxels that do not count. @default none */
  readonly ignoreIndex?: number | undefined;
}

export interface DiceOptions extends RegionOptions {
  /** Whether the denominator has the squares of the probabilities (Milletari et al., https://arxiv.org/abs/1606.04797). @default false */
  readonly squaredPred?: boolean | undefined;
  /** Intersection over union instead of Dice. @default false */
  readonly jaccard?: boolean | undefined;
  /** One for each of the K classes. @default all 1 */
  readonly classWeights?: readonly number[] | undefined;
}

export interface TverskyOptions extends RegionOptions {
  /** Weight of false positives. @default 0.5 */
  readonly alpha?: number | undefined;
  /** Weight of false negatives. @default 0.5 */
  readonly beta?: number | undefined;
}

/** 1 - (shared * I + smooth) / (i * I + p * P + t * T + smooth), where I is the intersection, P and T the sizes of both regions. */
interface Ratio {
  readonly shared: number;
  readonly i: number;
  readonly p: number;
  readonly t: number;
}

/**
 * Mean over classes and samples of 1 - Dice (or Jaccard), as MONAI's DiceLoss.
 *
 * https://docs.monai.io/en/stable/losses.html#diceloss
 *
 * @param logits [N, ..., K]
 * @param labels int32 [N, ...]
 * @throws RangeError for class weights of another number than the classes, or a softmax of one class
 */
export function diceLoss(logits: Tensor, labels: Tensor, options: DiceOptions = {}): Tensor {
  const ratio = options.jaccard ? { shared: 2, i: -2, p: 2, t: 2 } : { shared: 2, i: 0, p: 1, t: 1 };
  return regionLoss(logits, labels, ratio, options);
}

/**
 * Mean over classes and samples of 1 - Tversky's index (Salehi et al., https://arxiv.org/abs/1706.05721), as MONAI's TverskyLoss.
 *
 * @param logits [N, ..., K]
 * @param labels int32 [N, ...]
 * @throws RangeError for a softmax of one class
 */
export function tverskyLoss(logits: Tensor, labels: Tensor, options: TverskyOptions = {}): Tensor {
  const { alpha = 0.5, beta = 0.5, ...rest } = options;
  return regionLoss(logits, labels, { shared: 1, i: 1 - alpha - beta, p: alpha, t: beta }, rest);
}

function regionLoss(logits: Tensor, labels: Tensor, ratio: Ratio, options: DiceOptions): Tensor {
  const classes = logits.shape.at(-1) as number;
  const { activation = 'softmax', ignoreIndex, squaredPred = false } = options;
  if (classes === 1 && activation === 'softmax')
    throw new RangeError('the softmax of one class is always 1: a single channel needs the activation sigmoid');
  const sequence = [-1, voxelsOf(logits)];
  return lossWithGradient(logits, (logits) => {
    const x = reshaped(logits, [...sequence, classes]);
    const probabilities = activation === 'softmax' ? op('Softmax', [x], { T: float32 }) : x.sigmoid();
    const flat = reshaped(labels, sequence);
    const mask = counted(flat, ignoreIndex)?.expandDims(2);
    const masked = (y: Tensor) => (mask ? y.mul(mask) : y);
    const [predicted, target] = [masked(probabilities), masked(targets(flat, classes))];

    const axes = options.batch ? [0, 1] : [1];
    const total = (y: Tensor) => y.sum(axes, true);
    const sums = {
      intersection: total(predicted.mul(target)),
      predicted: total(squaredPred ? predicted.square() : predicted),
      target: total(target),
    };
    const { loss, byIntersection, byPredicted } = compare(sums, ratio, options, classes);
    const slope = squaredPred ? predicted.mul(2).mul(byPredicted) : byPredicted;
    const byProbability = masked(target.mul(byIntersection).add(slope));
    const weighted = probabilities.mul(byProbability);
    const gradient =
      activation === 'softmax'
        ? weighted.sub(probabilities.mul(weighted.sum(2, true)))
        : weighted.mul(tf.scalar(1).sub(probabilities));
    return { loss, gradient: inShapeOf(gradient, logits) };
  });
}

/** The loss from the sizes of regions, [N or 1, 1, K], and its slopes by the intersection and the predicted region. */
function compare(
  { intersection, predicted, target }: { intersection: Tensor; predicted: Tensor; target: Tensor },
  { shared, i, p, t }: Ratio,
  { includeBackground = true, smoothNr = 1e-5, smoothDr = 1e-5, classWeights }: DiceOptions,
  classes: number,
): { loss: Tensor; byIntersection: Tensor; byPredicted: Tensor } {
  checkWeights(classWeights, classes);
  const first = includeBackground || classes === 1 ? 0 : 1;
  const weights = Array.from({ length: classes }, (_, k) => (k < first ? 0 : (classWeights?.[k] ?? 1)));
  const numerator = intersection.mul(shared).add(smoothNr);
  const denominator = intersection.mul(i).add(predicted.mul(p)).add(target.mul(t)).add(smoothDr);
  const share = numerator.div(denominator);
  const count = sizeOf(share).mul((classes - first) / classes);
  const perClass = tf.tensor3d(weights, [1, 1, classes]).div(count);
  const slope = perClass.div(denominator);
  return {
    loss: tf.scalar(1).sub(share).mul(perClass).sum(),
    byIntersection: slope.mul(share.mul(i).sub(shared)),
    byPredicted: slope.mul(share).mul(p),
  };
}
