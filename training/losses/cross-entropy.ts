// Cross-entropy from logits.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { tf } from '../native/tensorflow';
import { float32, int32, op, ops, whole } from '../ops/op';
import { checkWeights, counted, inShapeOf, lossWithGradient, ratio, reshaped, targets } from './labels';

export interface CrossEntropyOptions {
  /** One for each of the K classes; for K = 1 the weight of the positive ones (PyTorch's pos_weight). @default all 1 */
  readonly classWeights?: readonly number[] | undefined;
  /** The label of voxels that do not count, a class or not. @default none */
  readonly ignoreIndex?: number | undefined;
  /** This share of each target is spread evenly over the classes; not for K = 1. @default 0 */
  readonly labelSmoothing?: number | undefined;
}

/**
 * Mean cross-entropy as PyTorch's CrossEntropyLoss: the sum of weight * loss over the sum of weights; for K = 1 as its
 * BCEWithLogitsLoss. Where no label counts it is 0, with a gradient of 0 (PyTorch's is not a number).
 *
 * https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
 *
 * @param logits [N, ..., K]
 * @param labels int32 [N, ...]
 * @throws RangeError for class weights of another number than the classes
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const classes = logits.shape.at(-1) as number;
  checkWeights(options.classWeights, classes);
  const flat = reshaped(labels, [-1]);
  return lossWithGradient(logits, (logits) => {
    const rows = reshaped(logits, [-1, classes]);
    const { loss, gradient } =
      classes === 1
        ? binary(rows, flat, options)
        : options.labelSmoothing
          ? smoothed(rows, flat, options, options.labelSmoothing)
          : sparse(rows, flat, options);
    return { loss, gradient: inShapeOf(gradient, logits) };
  });
}

/** What each row counts: the weight of its class, 0 where it is to be ignored. */
function rowWeights(labels: Tensor, { classWeights, ignoreIndex }: CrossEntropyOptions): Tensor {
  const valid = counted(labels, ignoreIndex);
  if (classWeights === undefined) return valid ?? tf.onesLike(labels).cast('float32');
  const weights = classWeightOf(known(labels, valid), classWeights);
  return valid ? weights.mul(valid) : weights;
}

/** Labels of which those to ignore are a class, so that TensorFlow takes them. */
function known(labels: Tensor, valid: Tensor | undefined): Tensor {
  return valid ? labels.mul(valid.cast('int32')) : labels;
}

function classWeightOf(labels: Tensor, classWeights: readonly number[]): Tensor {
  const inputs = [tf.tensor1d([...classWeights]), labels, whole(0)];
  return op('GatherV2', inputs, { Tparams: float32, Tindices: int32, Taxis: int32 });
}

function sparse(rows: Tensor, labels: Tensor, options: CrossEntropyOptions): { loss: Tensor; gradient: Tensor } {
  const attributes = { T: float32, Tlabels: int32 };
  const inputs = [rows, known(labels, counted(labels, options.ignoreIndex))];
  const [losses, gradients] = ops('SparseSoftmaxCrossEntropyWithLogits', inputs, attributes, 2) as [Tensor, Tensor];
  const weights = rowWeights(labels, options);
  const total = weights.sum();
  return {
    loss: ratio(losses.mul(weights).sum(), total),
    gradient: gradients.mul(ratio(weights, total).expandDims(1)),
  };
}

/** Against targets of which a share is spread over the classes, each part weighted by its own class. */
function smoothed(
  rows: Tensor,
  labels: Tensor,
  options: CrossEntropyOptions,
  share: number,
): { loss: Tensor; gradient: Tensor } {
  const classes = rows.shape[1] as number;
  const { classWeights = Array<number>(classes).fill(1), ignoreIndex } = options;
  const valid = counted(labels, ignoreIndex);
  const spread = targets(known(labels, valid), classes)
    .mul(1 - share)
    .add(share / classes)
    .mul(tf.tensor2d([...classWeights], [1, classes]));
  const target = valid ? spread.mul(valid.expandDims(1)) : spread;
  const total = rowWeights(labels, options).sum();
  const logProbabilities = op('LogSoftmax', [rows], { T: float32 });
  const gradient = logProbabilities.exp().mul(target.sum(1, true)).sub(target);
  return { loss: ratio(logProbabilities.mul(target).sum().neg(), total), gradient: ratio(gradient, total) };
}

/** -weight * t * log(sigmoid(x)) - (1 - t) * log(1 - sigmoid(x)), by softplus so that no logarithm overflows. */
function binary(rows: Tensor, labels: Tensor, options: CrossEntropyOptions): { loss: Tensor; gradient: Tensor } {
  const { classWeights: [positive] = [1], ignoreIndex } = options;
  const valid = counted(labels, ignoreIndex) ?? tf.onesLike(labels).cast('float32');
  const [x, mask] = [rows, valid.expandDims(1)];
  const on = targets(labels, 1)
    .mul(mask)
    .mul(positive as number);
  const off = mask.sub(targets(labels, 1).mul(mask));
  const total = valid.sum();
  const softplus = (y: Tensor) => op('Softplus', [y], { T: float32 });
  const losses = on.mul(softplus(x.neg())).add(off.mul(softplus(x)));
  const gradient = off.mul(x.sigmoid()).sub(on.mul(x.neg().sigmoid()));
  return { loss: ratio(losses.sum(), total), gradient: ratio(gradient, total) };
}
