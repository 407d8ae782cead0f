// The quality gate: goes on only with a model that is good enough; ends the execution as failed otherwise.
import type { Construct } from 'constructs';
import { ConditionStep, type Expression, FailStep, greaterThanOrEqualTo, join, type Step } from '../pipeline';
import { PipelineStage } from './pipeline-stage';

/** What is asked of a model. */
export interface QualityGateProps {
  /** What is asked for, e.g. an evaluation's accuracy. */
  readonly metric: Expression<number>;
  /** What people call it, e.g. accuracy. */
  readonly metricName: string;
  /** The least that passes. */
  readonly atLeast: number | Expression<number>;
  /** What follows where it passes. */
  readonly ifSteps: readonly Step[];
}

/** Goes on with a model that is good enough, and ends the execution as failed otherwise. */
export class QualityGate extends PipelineStage {
  /** The condition and its branches. */
  readonly step: ConditionStep;

  constructor(scope: Construct, id: string, props: QualityGateProps) {
    super(scope, id);
    const { metric, metricName, atLeast } = props;
    const threshold = typeof atLeast === 'number' ? String(atLeast) : atLeast;
    this.step = new ConditionStep(id, {
      conditions: [greaterThanOrEqualTo(metric, atLeast)],
      ifSteps: props.ifSteps,
      elseSteps: [
        new FailStep(`${id}Failed`, {
          errorMessage: join(
            '',
            `the model's ${metricName} is `,
            metric,
            ', and at least ',
            threshold,
            ' is asked for',
          ),
        }),
      ],
    });
  }
}
