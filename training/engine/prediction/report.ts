// Evaluation results as SageMaker's model registry shows them.
import type { ClassificationMetrics } from '../metrics/classification';
import type { VolumeScores } from './segmentation';

interface Metric {
  readonly value: number;
  readonly standard_deviation: 'NaN';
}

/** A number that does not exist, as the distance to a surface that is not there, is left out. */
const metrics = (values: Readonly<Record<string, number | undefined>>) =>
  Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      value !== undefined && Number.isFinite(value) ? [[name, metric(value)]] : [],
    ),
  );

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

/** The JSON of a report on segmented volumes: means over the volumes, and of each class. The registry keeps it as it is. */
export function segmentationReport({ classes, count, confusion: _, ...means }: VolumeScores): unknown {
  const { dice, iou, hausdorff95, surfaceDistance, loss } = means;
  return {
    segmentation_metrics: metrics({
      ...{ dice, iou, hausdorff95, surface_distance: surfaceDistance, cross_entropy: loss },
    }),
    classes: Object.fromEntries(
      classes.map(({ name, unmatched, ...scores }) => [
        name,
        Object.fromEntries(Object.entries({ ...scores, unmatched }).filter(([, value]) => Number.isFinite(value))),
      ]),
    ),
    volumes: count,
  };
}
