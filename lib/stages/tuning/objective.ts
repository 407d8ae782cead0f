// The metric that a tuning goes by: whether the jobs emit it, and whether less of it is better or more.
import type { Refuse } from '../checks/checks';
import type { TuningProps } from './tuning-props';

type Direction = NonNullable<TuningProps['objectiveType']>;

/** By the last word of a metric's name. */
const DIRECTIONS: readonly (readonly [words: RegExp, type: Direction])[] = [
  [/(?:^|[^a-z])(?:loss|error|err|mae|mse|rmse|perplexity|hd95|hausdorff)$/i, 'Minimize'],
  [/(?:^|[^a-z])(?:accuracy|acc|dice|iou|f1|auc|auroc|precision|recall|sensitivity|specificity)$/i, 'Maximize'],
];

/** What is given, or what the metric's name tells; undefined where it tells nothing. */
export function objectiveType({ objective, objectiveType: given }: TuningProps): Direction | undefined {
  return given ?? DIRECTIONS.find(([words]) => words.test(objective))?.[1];
}

/** SageMaker's, of a tuning job: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html */
const MOST_METRICS = 20;

/** @param emitted the metrics of the training jobs */
export function checkObjective(props: TuningProps, emitted: readonly string[], refuse: Refuse): void {
  const { objective, objectiveType: given } = props;
  if (!emitted.includes(objective)) {
    const fix =
      emitted.length === 0
        ? 'name it in metricDefinitions of training, with its regular expression'
        : 'choose one of these';
    refuse('objective', `'${objective}'`, `a metric that the jobs emit: ${emitted.join(', ') || 'there is none'}`, fix);
  } else if (objectiveType(props) === undefined) {
    const fix = `set objectiveType, as ${objective} does not tell by its name`;
    refuse('objectiveType', 'left out', 'Minimize or Maximize', fix);
  }
  if (given !== undefined && given !== 'Minimize' && given !== 'Maximize') {
    refuse('objectiveType', `'${given}'`, 'Minimize or Maximize', 'choose one of these');
  }
  if (emitted.length > MOST_METRICS) {
    refuse('metricDefinitions', `${emitted.length} of them`, `${MOST_METRICS} in a tuning`, 'leave some out');
  }
}
