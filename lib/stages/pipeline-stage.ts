// What every stage with a step is: a construct whose step has metrics in CloudWatch, once a pipeline has taken it.
import { Lazy } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import { PipelineError, type Step } from '../pipeline';

/** https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html#cloudwatch-metrics-pipelines */
export const PIPELINE_METRICS_NAMESPACE = 'AWS/Sagemaker/ModelBuildingPipeline';

/** Names of the pipelines that have taken steps; a step itself knows of none. */
const pipelineOf = new WeakMap<Step, string>();

/** Says which pipeline runs the steps, those in branches included. */
export function takeSteps(pipelineName: string, steps: readonly Step[]): void {
  for (const step of steps) pipelineOf.set(step, pipelineName);
}

function pipelineNameOf(step: Step): string {
  const name = pipelineOf.get(step);
  if (name !== undefined) return name;
  throw new PipelineError(step.name, [
    {
      where: `step ${step.name}`,
      problem: 'it has no metrics, for no pipeline has it.',
      fix: 'give it to a SageMakerPipeline as one of its `steps`, or in a branch of one.',
    },
  ]);
}

/** A metric of a step; of which pipeline may be said later, until the app is synthesised. */
export function stepMetric(step: Step, metricName: string, props: MetricOptions = {}): Metric {
  const name = pipelineOf.get(step) ?? Lazy.string({ produce: () => pipelineNameOf(step) });
  return new Metric({
    namespace: PIPELINE_METRICS_NAMESPACE,
    metricName,
    dimensionsMap: { PipelineName: name, StepName: step.name },
    statistic: metricName.endsWith('Duration') ? Stats.AVERAGE : Stats.SUM,
    ...props,
  });
}

/** How a finding names a stage. */
export function whereOf({ node }: PipelineStage): string {
  return `step ${node.id} at ${node.path}`;
}

/** A stage with a step, and the metrics of it. */
export abstract class PipelineStage extends Construct {
  /** The step of the pipeline. */
  abstract readonly step: Step;

  /**
   * A metric of the step.
   *
   * @param metricName StepStarted, StepSucceeded, StepFailed, StepStopped or StepDuration
   * @param props by default the sum over five minutes, of durations the average
   */
  metric(metricName: string, props?: MetricOptions): Metric {
    return stepMetric(this.step, metricName, props);
  }

  /** How often the step has begun. @param props by default the sum over five minutes */
  metricStarted(props?: MetricOptions): Metric {
    return this.metric('StepStarted', props);
  }

  /** How often the step has succeeded. @param props by default the sum over five minutes */
  metricSucceeded(props?: MetricOptions): Metric {
    return this.metric('StepSucceeded', props);
  }

  /** How often the step has failed. @param props by default the sum over five minutes */
  metricFailed(props?: MetricOptions): Metric {
    return this.metric('StepFailed', props);
  }

  /** How often the step was stopped. @param props by default the sum over five minutes */
  metricStopped(props?: MetricOptions): Metric {
    return this.metric('StepStopped', props);
  }

  /** How long the step took, in milliseconds. @param props by default the average over five minutes */
  metricDuration(props?: MetricOptions): Metric {
    return this.metric('StepDuration', props);
  }
}
