// Every metric that the trainer emits, and how SageMaker finds it in the log.
import type { TaskName } from './task';

export interface MetricSpec {
  readonly name: string;
  readonly description: string;
  /** The task whose trainings emit it. @default both */
  readonly task?: TaskName;
}

/** What the trainer prints as `name=value;` lines, once an epoch. */
export const METRICS = [
  { name: 'train_loss', description: 'mean loss over the epoch, while the weights moved' },
  {
    name: 'train_accuracy',
    description: 'share of training images, or voxels, that were classified right, while the weights moved',
  },
  { name: 'valid_loss', description: 'mean cross-entropy over the validation images, or voxels' },
  {
    name: 'valid_accuracy',
    task: 'classification',
    description: 'share of validation images that are classified right',
  },
  { name: 'valid_f1', task: 'classification', description: "mean of the classes' F1 over the validation images" },
  {
    name: 'valid_auc',
    task: 'classification',
    description: "mean of the classes' areas under the ROC curve over the validation images",
  },
  { name: 'test_loss', description: 'mean cross-entropy over the test images, or voxels, once, after training' },
  {
    name: 'test_accuracy',
    task: 'classification',
    description: 'share of test images that are classified right, once, after training',
  },
  {
    name: 'test_f1',
    task: 'classification',
    description: "mean of the classes' F1 over the test images, once, after training",
  },
  {
    name: 'test_auc',
    task: 'classification',
    description: "mean of the classes' areas under the ROC curve over the test images, once, after training",
  },
  {
    name: 'valid_dice',
    task: 'segmentation',
    description: 'mean Dice of the validation volumes, the background left out',
  },
  {
    name: 'valid_iou',
    task: 'segmentation',
    description: 'mean IoU of the validation volumes, the background left out',
  },
  { name: 'test_dice', task: 'segmentation', description: 'mean Dice of the test volumes, once, after training' },
  { name: 'test_iou', task: 'segmentation', description: 'mean IoU of the test volumes, once, after training' },
  {
    name: 'test_hausdorff95',
    task: 'segmentation',
    description: 'mean 95 % Hausdorff distance, mm, once, after training',
  },
  {
    name: 'test_surface_distance',
    task: 'segmentation',
    description: 'mean distance of surfaces, mm, once, after training',
  },
  { name: 'images_per_second', description: 'training images, or crops, per second of the epoch' },
] as const satisfies readonly MetricSpec[];

export type MetricName = (typeof METRICS)[number]['name'];

/** A number as the trainer prints it; the group is the value. */
const NUMBER = '([-+]?[0-9]+\\.?[0-9]*(?:[eE][-+]?[0-9]+)?)';

/** The pattern by which SageMaker's MetricDefinitions find a metric in the log. */
export function metricRegex(metric: MetricName): string {
  return `(?:^|\\s)${metric}=${NUMBER};`;
}
