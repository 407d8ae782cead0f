// The losses by the names that hyperparameters give them.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { type CrossEntropyOptions, crossEntropy } from './cross-entropy';
import { type FocalOptions, focalLoss } from './focal';
import { type DiceOptions, diceLoss, type TverskyOptions, tverskyLoss } from './region';

export { type CrossEntropyOptions, crossEntropy } from './cross-entropy';
export { deepSupervisionLoss } from './deep-supervision';
export { type FocalOptions, focalLoss } from './focal';
export { type DiceOptions, diceLoss, type RegionOptions, type TverskyOptions, tverskyLoss } from './region';

/** Names of the losses; dice_ce and dice_focal are sums of two. */
export type LossName = 'cross_entropy' | 'dice' | 'dice_ce' | 'dice_focal' | 'focal' | 'tversky';

/** Which loss, and what counts in it; by MONAI's names and defaults. */
export interface LossOptions {
  /** Which loss. */
  readonly name: LossName;
  /** @default softmax */
  readonly activation?: 'softmax' | 'sigmoid' | undefined;
  /** Whether class 0 counts in overlaps and the focal loss. @default true */
  readonly includeBackground?: boolean | undefined;
  /** Whether regions are summed over the batch. @default false */
  readonly batch?: boolean | undefined;
  /** @default false */
  readonly squaredPred?: boolean | undefined;
  /** One for each class. @default all 1 */
  readonly classWeights?: readonly number[] | undefined;
  /** @default none */
  readonly ignoreIndex?: number | undefined;
  /** Of the cross-entropy. @default 0 */
  readonly labelSmoothing?: number | undefined;
  /** Of the focal loss. @default 2 */
  readonly gamma?: number | undefined;
  /** Weight of false positives in the Tversky loss. @default 0.5 */
  readonly alpha?: number | undefined;
  /** Weight of false negatives in the Tversky loss. @default 0.5 */
  readonly beta?: number | undefined;
}

/** Of logits [N, ..., K] and int32 labels [N, ...]: a scalar. */
export type Loss = (logits: Tensor, labels: Tensor) => Tensor;

/** The loss of a batch: its mean over samples, and over voxels or classes as MONAI's loss of that name reduces them. */
export function makeLoss({ name, alpha, beta, gamma, labelSmoothing, squaredPred, ...shared }: LossOptions): Loss {
  const { includeBackground, classWeights, ignoreIndex, activation } = shared;
  const entropy: CrossEntropyOptions = { classWeights, ignoreIndex, labelSmoothing };
  const dice: DiceOptions = { ...shared, squaredPred };
  const focal: FocalOptions = { activation, includeBackground, classWeights, ignoreIndex, gamma };
  const tversky: TverskyOptions = { ...shared, alpha, beta };
  const losses: Record<LossName, Loss> = {
    cross_entropy: (logits, labels) => crossEntropy(logits, labels, entropy),
    dice: (logits, labels) => diceLoss(logits, labels, dice),
    // MONAI's DiceCELoss and DiceFocalLoss: the sum of both, the focal one always of sigmoids
    dice_ce: (logits, labels) => diceLoss(logits, labels, dice).add(crossEntropy(logits, labels, entropy)),
    dice_focal: (logits, labels) =>
      diceLoss(logits, labels, dice).add(focalLoss(logits, labels, { ...focal, activation: 'sigmoid' })),
    focal: (logits, labels) => focalLoss(logits, labels, focal),
    tversky: (logits, labels) => tverskyLoss(logits, labels, tversky),
  };
  return losses[name];
}
