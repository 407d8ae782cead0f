// The job that a training stage's settings ask for, as SageMaker takes it.
import type { TrainingInstanceType } from '@aws-sdk/client-sagemaker';
import { ExecutionVariables, join, type Text, type TrainingArguments } from '../../pipeline';
import { hasLocalDisks } from '../checks/local-disks';
import { toChannel } from './training-channel';
import {
  DEFAULT_INSTANCE_TYPE,
  DEFAULT_MAX_RUNTIME,
  DEFAULT_VOLUME_SIZE,
  type TrainingSettings,
} from './training-settings';

/** What a stage itself adds to its settings: what the job runs. */
export interface TrainingWork {
  readonly image: Text;
  readonly hyperparameters: Readonly<Record<string, Text>>;
  /** @default none */
  readonly metricDefinitions?: Readonly<Record<string, string>>;
}

export interface TrainingJob extends TrainingWork {
  /** In a VPC. @default none */
  readonly network?: { readonly subnetIds: readonly string[]; readonly securityGroupIds: readonly string[] };
}

/** The folder that outlives a job in its warm pool: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html */
const WARM_POOL_CACHE = '/opt/ml/sagemaker/warmpoolcache';

/** Where checkpoints are kept; a folder of this execution and step, so that nothing goes on from another's. */
function checkpointConfig(step: string, settings: TrainingSettings): CheckpointArguments | undefined {
  const { spot = false, output, checkpointUri, checkpointPath } = settings;
  if (checkpointUri === false || (checkpointUri === undefined && !spot)) return undefined;
  return {
    S3Uri: checkpointUri ?? join('/', output, 'checkpoints', ExecutionVariables.pipelineExecutionId, step),
    ...(checkpointPath !== undefined && { LocalPath: checkpointPath }),
  };
}

type CheckpointArguments = NonNullable<TrainingArguments['CheckpointConfig']>;

/** What the container finds in its environment; a warm pool keeps the caches of pip and npm. */
function environmentOf({ keepAlive, tracking, environment }: TrainingSettings): Readonly<Record<string, Text>> {
  const caches = keepAlive && {
    PIP_CACHE_DIR: `${WARM_POOL_CACHE}/pip`,
    npm_config_cache: `${WARM_POOL_CACHE}/npm`,
  };
  return { ...caches, ...tracking?.environment, ...environment };
}

/** The arguments of the training step. */
export function trainingArguments(step: string, settings: TrainingSettings, job: TrainingJob): TrainingArguments {
  const {
    maxRuntime = DEFAULT_MAX_RUNTIME,
    maxWait,
    keepAlive,
    spot = false,
    volumeKey,
    outputKey,
    tags = {},
  } = settings;
  const checkpoint = checkpointConfig(step, settings);
  const environment = environmentOf(settings);
  const tensorBoard = settings.tensorBoardOutput ?? settings.tracking?.tensorBoardOutput;
  const channels = Object.entries(settings.channels).map(([name, channel]) => toChannel(name, channel));
  const metrics = Object.entries(settings.metricDefinitions ?? job.metricDefinitions ?? {});
  const wait = maxWait?.toSeconds() ?? 2 * maxRuntime.toSeconds();
  return {
    AlgorithmSpecification: {
      TrainingImage: job.image,
      TrainingInputMode: settings.inputMode ?? 'File',
      ...(metrics.length > 0 && { MetricDefinitions: metrics.map(([Name, Regex]) => ({ Name, Regex })) }),
    },
    RoleArn: settings.role.roleArn,
    HyperParameters: job.hyperparameters,
    ...(channels.length > 0 && { InputDataConfig: channels }),
    OutputDataConfig: { S3OutputPath: settings.output, ...(outputKey && { KmsKeyId: outputKey.keyArn }) },
    ResourceConfig: {
      InstanceType: (settings.instanceType ?? DEFAULT_INSTANCE_TYPE) as TrainingInstanceType,
      InstanceCount: settings.instanceCount ?? 1,
      VolumeSizeInGB: settings.volumeSize ?? DEFAULT_VOLUME_SIZE,
      ...(volumeKey && !hasLocalDisks(settings.instanceType) && { VolumeKmsKeyId: volumeKey.keyArn }),
      ...(keepAlive && { KeepAlivePeriodInSeconds: keepAlive.toSeconds() }),
    },
    StoppingCondition: {
      MaxRuntimeInSeconds: maxRuntime.toSeconds(),
      ...(spot && { MaxWaitTimeInSeconds: wait }),
    },
    ...(spot && { EnableManagedSpotTraining: true }),
    ...(checkpoint && { CheckpointConfig: checkpoint }),
    ...(Object.keys(environment).length > 0 && { Environment: environment }),
    ...(job.network && {
      VpcConfig: { Subnets: job.network.subnetIds, SecurityGroupIds: job.network.securityGroupIds },
    }),
    ...(settings.networkIsolation && { EnableNetworkIsolation: true }),
    ...(settings.encryptBetweenContainers && { EnableInterContainerTrafficEncryption: true }),
    ...(settings.debugHook && { DebugHookConfig: settings.debugHook }),
    ...(settings.debugRules && { DebugRuleConfigurations: settings.debugRules }),
    ...(settings.profiler && { ProfilerConfig: settings.profiler }),
    ...(settings.profilerRules && { ProfilerRuleConfigurations: settings.profilerRules }),
    ...(tensorBoard && { TensorBoardOutputConfig: tensorBoard }),
    ...(Object.keys(tags).length > 0 && { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
  };
}
