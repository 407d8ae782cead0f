// What a model says of whole volumes, window by window: the class of each voxel, and how that agrees with labels.

import type { WholeVolume } from '../../data/volumes/loader';
import { spacingOf, voxels } from '../../data/volumes/volume';
import { UserError } from '../../errors';
import { ignoredNumber, type SegmenterConfig } from '../artifact';
import { argmax } from '../metrics/classification';
import {
  SegmentationCounter,
  type SegmentationCounterOptions,
  type SegmentationMetrics,
} from '../metrics/segmentation';
import type { Inference } from './inference';
import { slidingWindowSlabs } from './sliding-window';

export interface Segmentation {
  /** Number of the class of each voxel, [I, J, K]. */
  readonly predicted: Uint8Array;
  /** Mean cross-entropy of the voxels that count; undefined where the volume has no labels. */
  readonly loss?: number;
}

/** -log of the probability that logits give to a class. */
function crossEntropy(logits: Float32Array, label: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const logit of logits) if (logit > largest) largest = logit;
  let sum = 0;
  for (const logit of logits) sum += Math.exp(logit - largest);
  return Math.log(sum) + largest - (logits[label] as number);
}

/** The class of each voxel of a prepared volume. @param signal ends it between two windows, by throwing its reason */
export async function segment(
  inference: Inference,
  { images, labels, shape }: Pick<WholeVolume, 'images' | 'labels' | 'shape'>,
  config: SegmenterConfig,
  signal?: AbortSignal,
): Promise<Segmentation> {
  const { window } = config;
  const { overlap, sw_batch_size: batch, sw_mode: blending } = config.hyperparameters;
  const predicted = new Uint8Array(voxels(shape));
  const options = { roi: window.shape, overlap, batch, blending };
  const ignored = ignoredNumber(config);
  let [loss, counted] = [0, 0];
  const slabs = slidingWindowSlabs(images, shape, window.channels, options, (values, count) => {
    signal?.throwIfAborted();
    return inference.run(values, count);
  });
  for await (const { start, length, classes, values } of slabs) {
    const first = start * shape[1] * shape[2];
    for (let voxel = 0; voxel < length * shape[1] * shape[2]; voxel++) {
      const logits = values.subarray(voxel * classes, (voxel + 1) * classes);
      predicted[first + voxel] = argmax(logits);
      const label = labels?.[first + voxel];
      if (label === undefined || label === ignored) continue;
      loss += crossEntropy(logits, label);
      counted++;
    }
  }
  return { predicted, ...(labels && { loss: loss / Math.max(1, counted) }) };
}

export interface VolumeScores extends SegmentationMetrics {
  /** Mean over the volumes of the mean cross-entropy of their voxels. */
  readonly loss: number;
}

/**
 * Segments volumes and counts how they agree with their labels; those without labels are passed over.
 *
 * @throws UserError where no volume has labels
 */
export async function evaluateVolumes(
  inference: Inference,
  volumes: AsyncIterable<WholeVolume>,
  config: SegmenterConfig,
  options: Omit<SegmentationCounterOptions, 'ignoreIndex'> & {
    readonly onVolume?: (volume: WholeVolume, predicted: Uint8Array) => void | Promise<void>;
  } = {},
): Promise<VolumeScores> {
  const { onVolume, ...counting } = options;
  const ignoreIndex = ignoredNumber(config);
  const counter = new SegmentationCounter(config.classes, {
    ...counting,
    ...(ignoreIndex !== undefined && { ignoreIndex }),
  });
  let loss = 0;
  for await (const volume of volumes) {
    const { labels, shape, affine } = volume;
    if (!labels) continue;
    const result = await segment(inference, volume, config);
    loss += result.loss ?? 0;
    counter.add({ predicted: result.predicted, actual: labels, shape, spacing: spacingOf(affine) });
    await onVolume?.(volume, result.predicted);
  }
  const metrics = counter.result();
  if (metrics.count > 0) return { ...metrics, loss: loss / metrics.count };
  throw new UserError('no volume to evaluate on has a label.', 'add label.nii.gz to the subjects.');
}
