// A step on an EMR cluster: one that runs already, or one made for the step.
// https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-emr
import type { Resolvable, Text } from '../expression';
import { type Cached, RequestStep, type Retried, type StepOptions } from './step';

/** What the cluster runs: https://docs.aws.amazon.com/emr/latest/APIReference/API_HadoopJarStepConfig.html */
export interface HadoopJarStep {
  /** S3 URI of the JAR, or command-runner.jar. */
  readonly Jar: string;
  /** @default the JAR's own */
  readonly MainClass?: string;
  /** @default none */
  readonly Args?: string[];
  /** Of Java. @default none */
  readonly Properties?: { readonly Key: string; readonly Value: string }[];
}

/**
 * A request for a cluster, as EMR's RunJobFlow takes it: Instances has InstanceGroups or InstanceFleets. SageMaker sets Name, Steps,
 * AutoTerminationPolicy, and the Instances' KeepJobFlowAliveWhenNoSteps and TerminationProtected.
 */
export interface EmrClusterConfig {
  /** InstanceGroups or InstanceFleets. */
  readonly Instances: Readonly<Record<string, unknown>>;
  readonly [key: string]: unknown;
}

type Cluster =
  | {
      readonly clusterId: Text;
      /** Role of the step on the cluster. @default the cluster's */
      readonly executionRoleArn?: Text;
      readonly clusterConfig?: never;
    }
  | {
      readonly clusterConfig: EmrClusterConfig;
      readonly clusterId?: never;
      readonly executionRoleArn?: never;
    };

/** What runs, and on which cluster. */
export type EmrStepOptions = StepOptions &
  Cached &
  Retried &
  Cluster & {
    /** What runs. */
    readonly jar: Resolvable<HadoopJarStep>;
  };

/** https://docs.aws.amazon.com/emr/latest/APIReference/API_Step.html */
export interface EmrStepProperties {
  /** Of the step, by EMR. */
  readonly Id: string;
  /** Of the step, by EMR. */
  readonly Name: string;
  /** What becomes of the cluster when it fails. */
  readonly ActionOnFailure: string;
  /** Of the step on the cluster. */
  readonly ExecutionRoleArn: string;
  /** Where it ran. */
  readonly ClusterId: string;
  /** What ran. */
  readonly Config: {
    readonly Jar: string;
    readonly MainClass: string;
    readonly Args: string[];
    readonly Properties: Record<string, string>;
  };
  /** How it went. */
  readonly Status: {
    readonly State: string;
    readonly StateChangeReason: { readonly Code: string; readonly Message: string };
    readonly FailureDetails: { readonly Reason: string; readonly Message: string; readonly LogFile: string };
  };
}

/** Runs a JAR on an EMR cluster. */
export class EmrStep extends RequestStep<unknown, EmrStepProperties> {
  readonly type = 'EMR';

  constructor(name: string, options: EmrStepOptions) {
    const { jar, clusterId, clusterConfig, executionRoleArn, ...common } = options;
    super(name, {
      ...common,
      arguments: {
        StepConfig: { HadoopJarStep: jar },
        ClusterId: clusterId,
        ExecutionRoleArn: executionRoleArn,
        ClusterConfig: clusterConfig,
      },
    });
  }
}
