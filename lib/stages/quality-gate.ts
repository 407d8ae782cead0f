// The quality gate: goes on only with a model that is good enough; ends the execution as failed otherwise.
import { Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import {
  ConditionStep,
  type Expression,
  FailStep,
  greaterThanOrEqualTo,
  join,
  Parameter,
  PipelineError,
  type Step,
} from '../pipeline';
import { type Refuse, refusals } from './checks/checks';
import { isShare } from './evaluation';
import { PipelineStage, whereOf } from './pipeline-stage';

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

/** What is known at synth of the least that passes. */
function leastOf(atLeast: QualityGateProps['atLeast']): unknown {
  return atLeast instanceof Parameter ? atLeast.toDefinition().DefaultValue : atLeast;
}

function checkAtLeast({ metric, metricName, atLeast }: QualityGateProps, refuse: Refuse): void {
  const least = leastOf(atLeast);
  if (typeof least !== 'number' || Token.isUnresolved(least)) return;
  const fix = `give e.g. ${least > 1 && least <= 100 ? least / 100 : 0.9}`;
  if (isShare(metric) && !(least >= 0 && least <= 1))
    refuse('atLeast', least, `from 0 to 1, as ${metricName} is a share`, fix);
  else if (!Number.isFinite(least)) refuse('atLeast', least, 'a number', fix);
}

/** Goes on with a model that is good enough, and ends the execution as failed otherwise. */
export class QualityGate extends PipelineStage {
  /** The condition and its branches. */
  readonly step: ConditionStep;

  /** @throws PipelineError where the metric cannot come to what is asked for */
  constructor(scope: Construct, id: string, props: QualityGateProps) {
    super(scope, id);
    const findings = refusals(whereOf(this), (refuse) => checkAtLeast(props, refuse));
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
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
