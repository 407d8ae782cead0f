// The settings that every training stage takes, and their defaults.
import type {
  DebugHookConfig,
  DebugRuleConfiguration,
  ProfilerConfig,
  ProfilerRuleConfiguration,
  TensorBoardOutputConfig,
} from '@aws-sdk/client-sagemaker';
import { Duration } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { JobException, Resolvable, RetryPolicy, StepException, Text } from '../../pipeline';
import type { Tracking } from '../tracking';
import type { InputMode, TrainingChannel } from './training-channel';

/** What every training stage takes. */
export interface TrainingSettings {
  /** Where each channel's data is; a plain text is the S3 URI of a prefix. */
  readonly channels: Readonly<Record<string, TrainingChannel>>;
  /** S3 URI below which the model is written. */
  readonly output: Text;
  /** What the job runs as. */
  readonly role: IRole;
  /** @default ml.g5.xlarge */
  readonly instanceType?: Text;
  /** @default 1 */
  readonly instanceCount?: number;
  /** Gigabytes of each instance's volume. @default 50 */
  readonly volumeSize?: number;
  /** Time after which SageMaker ends the job. @default a day */
  readonly maxRuntime?: Duration;
  /** Runs on spare capacity, for less; may be interrupted, and then goes on from its checkpoint. @default false */
  readonly spot?: boolean;
  /**
   * S3 URI that checkpoints are kept at; false for none.
   *
   * @default with spot, checkpoints/EXECUTION/STEP below the output; else none
   */
  readonly checkpointUri?: Text | false;
  /** Where the container finds and leaves its checkpoints. @default /opt/ml/checkpoints */
  readonly checkpointPath?: string;
  /** With spot: the time that waiting and running may take together. @default twice maxRuntime */
  readonly maxWait?: Duration;
  /**
   * A warm pool: for how long, up to six hours, the instance waits for the next job; pip and npm then keep what they fetched.
   *
   * @default it does not wait
   */
  readonly keepAlive?: Duration;
  /** Of channels that have none of their own. @default File */
  readonly inputMode?: InputMode;
  /** Environment variables of the container. @default none */
  readonly environment?: Readonly<Record<string, Text>>;
  /**
   * Regular expressions, by the name of the metric that each finds in the log.
   *
   * @default of Scanline's own image the metrics that it prints; of any other none
   */
  readonly metricDefinitions?: Readonly<Record<string, string>>;
  /** Tensors that SageMaker Debugger saves. @default none */
  readonly debugHook?: Resolvable<DebugHookConfig>;
  /** @default none */
  readonly debugRules?: readonly Resolvable<DebugRuleConfiguration>[];
  /** @default SageMaker's: system metrics every 500 ms */
  readonly profiler?: Resolvable<ProfilerConfig>;
  /** @default none */
  readonly profilerRules?: readonly Resolvable<ProfilerRuleConfiguration>[];
  /** Where TensorBoard's files are kept. @default nowhere */
  readonly tensorBoardOutput?: Resolvable<TensorBoardOutputConfig>;
  /** Where the job reports to: MLflow, TensorBoard, W&B; its role is allowed what that needs. @default nowhere */
  readonly tracking?: Tracking;
  /** The network that the job runs in. @default SageMaker's own */
  readonly vpc?: IVpc;
  /** @default the private subnets of the VPC */
  readonly subnets?: SubnetSelection;
  /** @default one is made, that allows all outbound */
  readonly securityGroups?: readonly ISecurityGroup[];
  /**
   * The key of the instances' volumes. SageMaker takes none for an instance type with local disks, which are encrypted by their
   * hardware; it is left out there.
   *
   * @default SageMaker's
   */
  readonly volumeKey?: IKey;
  /** The key of the model and other output. @default the bucket's */
  readonly outputKey?: IKey;
  /** Whether the container is cut off from all networks, S3 included; SageMaker still moves channels and the model. @default false */
  readonly networkIsolation?: boolean;
  /** @default false */
  readonly encryptBetweenContainers?: boolean;
  /** Of the job. @default none */
  readonly tags?: Readonly<Record<string, string>>;
  /** When the step is tried again; empty for never. @default RETRY_ON_CAPACITY */
  readonly retry?: readonly RetryPolicy<StepException | JobException>[];
}

/** Waits up to a day for instances, and tries again three times what failed at SageMaker's end. */
export const RETRY_ON_CAPACITY: readonly RetryPolicy<StepException | JobException>[] = [
  { exceptions: ['SageMaker.CAPACITY_ERROR'], intervalSeconds: 300, backoffRate: 1.5, expireAfterMinutes: 1440 },
  {
    exceptions: ['SageMaker.JOB_INTERNAL_ERROR', 'Step.SERVICE_FAULT', 'Step.THROTTLING'],
    intervalSeconds: 60,
    maxAttempts: 3,
  },
];

export const DEFAULT_INSTANCE_TYPE = 'ml.g5.xlarge';

/** Gigabytes. */
export const DEFAULT_VOLUME_SIZE = 50;

export const DEFAULT_MAX_RUNTIME = Duration.days(1);
