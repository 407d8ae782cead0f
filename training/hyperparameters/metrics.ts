// Every metric that the trainer emits, and how SageMaker finds it in the log.

export interface MetricSpec {
  readonly name: string;
  readonly description: string;
}

/** What the trainer prints as `name=value;` lines, once an epoch. */
export const METRICS = [
  { name: 'train_loss', description: 'mean cross-entropy over the epoch, while the weights moved' },
  {
    name: 'train_accuracy',
    description: 'share of training images that were classified right, while the weights moved',
  },
  { name: 'valid_loss', description: 'mean cross-entropy over the validation images' },
  { name: 'valid_accuracy', description: 'share of validation images that are classified right' },
  { name: 'valid_f1', description: "mean of the classes' F1 over the validation images" },
  { name: 'valid_auc', description: "mean of the classes' areas under the ROC curve over the validation images" },
  { name: 'test_loss', description: 'mean cross-entropy over the test images, once, after training' },
  { name: 'test_accuracy', description: 'share of test images that are classified right, once, after training' },
  { name: 'test_f1', description: "mean of the classes' F1 over the test images, once, after training" },
  {
    name: 'test_auc',
    description: "mean of the classes' areas under the ROC curve over the test images, once, after training",
  },
  { name: 'images_per_second', description: 'training images per second of the epoch' },
] as const satisfies readonly MetricSpec[];

export type MetricName = (typeof METRICS)[number]['name'];

/** A number as the trainer prints it; the group is the value. */
const NUMBER = '([-+]?[0-9]+\\.?[0-9]*(?:[eE][-+]?[0-9]+)?)';

/** The pattern by which SageMaker's MetricDefinitions find a metric in the log. */
export function metricRegex(metric: MetricName): string {
  return `(?:^|\\s)${metric}=${NUMBER};`;
}
