// Evaluation results as SageMaker's model registry shows them.
import type { ClassificationMetrics } from './metrics/classification';

interface Metric {
  readonly value: number;
  readonly standard_deviation: 'NaN';
}

const metric = (value: number): Metric => ({ value, standard_deviation: 'NaN' });

/**
 * The JSON of a model quality report, with precision, recall and F1 of each class beside the standard entries.
 *
 * https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-model-quality-metrics.html
 */
export function modelQualityReport({ accuracy, loss, classes, confusion, count }: ClassificationMetrics): unknown {
  const names = classes.map(({ name }) => name);
  const weighted = (of: (index: number) => number) =>
    classes.reduce((sum, { support }, i) => sum + support * of(i), 0) / count;
  const row = (counts: readonly number[]) => Object.fromEntries(names.map((name, i) => [name, counts[i]]));
  return {
    multiclass_classification_metrics: {
      accuracy: metric(accuracy),
      cross_entropy: metric(loss),
      weighted_precision: metric(weighted((i) => classes[i]?.precision as number)),
      weighted_recall: metric(weighted((i) => classes[i]?.recall as number)),
      weighted_f1: metric(weighted((i) => classes[i]?.f1 as number)),
      confusion_matrix: Object.fromEntries(names.map((name, i) => [name, row(confusion[i] as number[])])),
    },
    classes: Object.fromEntries(classes.map(({ name, ...metrics }) => [name, metrics])),
    images: count,
  };
}
