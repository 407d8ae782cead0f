// Application Auto Scaling of a variant, as its API takes it; the same for a template's resources and for the function that deploys.
import {
  type EndpointSettings,
  leastCapacity,
  type ScalingMetric,
  scalingOf,
  type VariantSettings,
  variantNameOf,
} from './endpoint-settings';

/** What RegisterScalableTarget is asked for. */
export interface ScalableTarget {
  readonly ServiceNamespace: 'sagemaker';
  readonly ResourceId: string;
  readonly ScalableDimension:
    | 'sagemaker:variant:DesiredInstanceCount'
    | 'sagemaker:variant:DesiredProvisionedConcurrency';
  readonly MinCapacity: number;
  readonly MaxCapacity: number;
}

/** What PutScalingPolicy is asked for beside the target. */
export interface ScalingPolicy {
  readonly PolicyName: string;
  readonly PolicyType: 'TargetTrackingScaling' | 'StepScaling';
  readonly TargetTrackingScalingPolicyConfiguration?: object;
  readonly StepScalingPolicyConfiguration?: object;
}

/** What PutMetricAlarm is asked for beside its actions. */
export interface WakeUpAlarm {
  readonly AlarmName: string;
  readonly Namespace: string;
  readonly MetricName: string;
  readonly Dimensions: readonly { readonly Name: string; readonly Value: string }[];
  readonly Statistic: 'Average';
  readonly Period: number;
  readonly EvaluationPeriods: number;
  readonly Threshold: number;
  readonly ComparisonOperator: 'GreaterThanOrEqualToThreshold';
}

export interface VariantScaling {
  readonly target: ScalableTarget;
  readonly tracking: ScalingPolicy;
  /** From no instance to the first, which target tracking alone would wait with until there is more than its target in the queue. */
  readonly wakeUp?: { readonly policy: ScalingPolicy; readonly alarm: WakeUpAlarm };
}

const PREDEFINED: Readonly<Record<Exclude<ScalingMetric, 'BacklogPerInstance'>, string>> = {
  InvocationsPerInstance: 'SageMakerVariantInvocationsPerInstance',
  ConcurrentRequestsPerModel: 'SageMakerVariantConcurrentRequestsPerModelHighResolution',
  ProvisionedConcurrencyUtilization: 'SageMakerVariantProvisionedConcurrencyUtilization',
};

/** Seconds. */
const SCALE_IN = 300;
const SCALE_OUT = 60;

function specification(metric: ScalingMetric, endpointName: string): object {
  if (metric !== 'BacklogPerInstance') {
    return { PredefinedMetricSpecification: { PredefinedMetricType: PREDEFINED[metric] } };
  }
  return {
    CustomizedMetricSpecification: {
      MetricName: 'ApproximateBacklogSizePerInstance',
      Namespace: 'AWS/SageMaker',
      Dimensions: [{ Name: 'EndpointName', Value: endpointName }],
      Statistic: 'Average',
    },
  };
}

/** As https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html has it. */
function wakeUp(endpointName: string, variantName: string, cooldown: number): VariantScaling['wakeUp'] {
  return {
    policy: {
      PolicyName: `${endpointName}-${variantName}-wake-up`,
      PolicyType: 'StepScaling',
      StepScalingPolicyConfiguration: {
        AdjustmentType: 'ChangeInCapacity',
        MetricAggregationType: 'Average',
        Cooldown: cooldown,
        StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: 1 }],
      },
    },
    alarm: {
      AlarmName: `${endpointName}-${variantName}-wake-up`,
      Namespace: 'AWS/SageMaker',
      MetricName: 'HasBacklogWithoutCapacity',
      Dimensions: [{ Name: 'EndpointName', Value: endpointName }],
      Statistic: 'Average',
      Period: 60,
      EvaluationPeriods: 2,
      Threshold: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    },
  };
}

/** Undefined where the variant keeps its capacity. */
export function variantScaling(
  endpointName: string,
  variant: VariantSettings,
  settings: Pick<EndpointSettings, 'async'>,
): VariantScaling | undefined {
  const { autoscaling, serverless } = variant;
  if (!autoscaling) return undefined;
  const variantName = variantNameOf(variant);
  const { metric, target } = scalingOf(autoscaling, variant, settings);
  const least = leastCapacity(autoscaling, settings);
  return {
    target: {
      ServiceNamespace: 'sagemaker',
      ResourceId: `endpoint/${endpointName}/variant/${variantName}`,
      ScalableDimension: serverless
        ? 'sagemaker:variant:DesiredProvisionedConcurrency'
        : 'sagemaker:variant:DesiredInstanceCount',
      MinCapacity: least,
      MaxCapacity: autoscaling.maxCapacity,
    },
    tracking: {
      PolicyName: `${endpointName}-${variantName}-${metric}`,
      PolicyType: 'TargetTrackingScaling',
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: target,
        ScaleInCooldown: autoscaling.scaleInCooldown?.toSeconds() ?? SCALE_IN,
        ScaleOutCooldown: autoscaling.scaleOutCooldown?.toSeconds() ?? SCALE_OUT,
        ...specification(metric, endpointName),
      },
    },
    ...(least === 0 && {
      wakeUp: wakeUp(endpointName, variantName, autoscaling.scaleOutCooldown?.toSeconds() ?? SCALE_OUT),
    }),
  } as VariantScaling;
}
