// The settings that every training stage takes, what of them is refused at synth, and the job that they ask for.
import type {
  DebugHookConfig,
  DebugRuleConfiguration,
  ProfilerConfig,
  ProfilerRuleConfiguration,
  TensorBoardOutputConfig,
  TrainingInstanceType,
} from '@aws-sdk/client-sagemaker';
import { Duration, Token } from 'aws-cdk-lib';
import type { ISecurityGroup, IVpc, SubnetSelection } from 'aws-cdk-lib/aws-ec2';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import {
  ExecutionVariables,
  type Expression,
  type Finding,
  type JobException,
  join,
  Parameter,
  type Resolvable,
  type RetryPolicy,
  type StepException,
  type Text,
  type TrainingArguments,
} from '../../pipeline';
import { credentialsIn } from './credentials';
import { type InputMode, isFileSystem, isS3, type TrainingChannel, toChannel } from './training-channel';

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
   * A warm pool: for how long, up to an hour, the instance waits for the next job; pip and npm then keep what they fetched.
   *
   * @default it does not wait
   */
  readonly keepAlive?: Duration;
  /** Of channels that have none of their own. @default File */
  readonly inputMode?: InputMode;
  /** Environment variables of the container. @default none */
  readonly environment?: Readonly<Record<string, Text>>;
  /** Regular expressions, by the name of the metric that each finds in the log. @default the stage's own */
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

/** What a stage itself adds to its settings. */
export interface TrainingJob {
  readonly image: Text;
  readonly hyperparameters: Readonly<Record<string, Text>>;
  /** @default none */
  readonly metricDefinitions?: Readonly<Record<string, string>>;
  /** In a VPC. @default none */
  readonly network?: { readonly subnetIds: readonly string[]; readonly securityGroupIds: readonly string[] };
}

/** The folder that outlives a job in its warm pool: https://docs.aws.amazon.com/sagemaker/latest/dg/train-warm-pools.html */
const WARM_POOL_CACHE = '/opt/ml/sagemaker/warmpoolcache';

const DEFAULT_MAX_RUNTIME = Duration.days(1);

const LONGEST_RUNTIME = Duration.days(28);

/**
 * Families with local disks, which take no volume key: their names have a d after the generation, or they are among the
 * accelerated ones that always have disks. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-store-volumes.html
 */
const LOCAL_DISKS = /^ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g4dn|g5|g6|g6e|g7e|p3dn|p5|p5e|p5en|p6-b\d+|trn1|trn1n|trn2)\./;

/** A text as far as it is known at synth: of a parameter its default; of other expressions and of tokens nothing. */
export function knownText(value: Text | undefined): string | undefined {
  if (value instanceof Parameter) {
    const { DefaultValue } = value.toDefinition();
    return typeof DefaultValue === 'string' ? knownText(DefaultValue) : undefined;
  }
  return typeof value === 'string' && !Token.isUnresolved(value) ? value : undefined;
}

/** Whether an instance type has local disks, as far as that is known at synth. */
export function hasLocalDisks(instanceType: Text | undefined): boolean {
  return LOCAL_DISKS.test(knownText(instanceType ?? 'ml.g5.xlarge') ?? '');
}

function seconds(duration: Duration): number | undefined {
  return duration.isUnresolved() ? undefined : duration.toSeconds({ integral: false });
}

type Refuse = (prop: string, given: unknown, allowed: string, fix: string) => void;

function checkTimes(settings: TrainingSettings, refuse: Refuse): void {
  const { spot = false, checkpointUri, maxRuntime = DEFAULT_MAX_RUNTIME, maxWait, keepAlive } = settings;
  const run = seconds(maxRuntime);
  if (run !== undefined && !(Number.isInteger(run) && run >= 1 && run <= LONGEST_RUNTIME.toSeconds())) {
    refuse('maxRuntime', `${run} seconds`, 'whole seconds, from 1 to 28 days', 'give a time in that range');
  }
  if (maxWait) {
    const wait = seconds(maxWait);
    if (!spot)
      refuse('maxWait', maxWait.toHumanString(), 'it with spot alone', 'set spot to true, or leave maxWait out');
    else if (wait !== undefined && run !== undefined && wait < run) {
      const least = maxRuntime.toHumanString();
      refuse('maxWait', maxWait.toHumanString(), `at least maxRuntime, ${least}`, `set maxWait to ${least} or more`);
    }
  }
  if (spot && checkpointUri === false) {
    const fix = 'leave checkpointUri out for a folder below the output, or give an S3 URI';
    refuse('spot', 'true without a checkpoint', 'spot with a checkpoint, as the job may be interrupted', fix);
  }
  if (keepAlive) {
    const alive = seconds(keepAlive);
    if (spot) {
      refuse(
        'keepAlive',
        `${keepAlive.toHumanString()} with spot`,
        'a warm pool without spot',
        'remove one of the two',
      );
    }
    if (alive !== undefined && !(Number.isInteger(alive) && alive >= 1 && alive <= 3600)) {
      refuse('keepAlive', `${alive} seconds`, 'whole seconds, from 1 to 3600', 'give an hour or less');
    }
  }
}

function checkResources(settings: TrainingSettings, refuse: Refuse): void {
  const { instanceCount = 1, volumeSize = 50 } = settings;
  const type = knownText(settings.instanceType);
  if (type !== undefined && !/^ml\.[a-z0-9-]+\.[a-z0-9-]+$/.test(type)) {
    refuse('instanceType', `'${type}'`, "SageMaker's instance types, ml.FAMILY.SIZE", 'give one, e.g. ml.g5.xlarge');
  }
  const whole = (prop: string, value: number, most: number) => {
    if (Token.isUnresolved(value) || (Number.isInteger(value) && value >= 1 && value <= most)) return;
    refuse(prop, value, `a whole number from 1 to ${most}`, 'give one in that range');
  };
  whole('instanceCount', instanceCount, 10_000);
  whole('volumeSize', volumeSize, 16_384);
}

function checkS3Uri(prop: string, value: Text | undefined, refuse: Refuse): void {
  const uri = knownText(value);
  if (uri === undefined || /^s3:\/\/[^/]+/.test(uri)) return;
  refuse(prop, `'${uri}'`, 'an S3 URI', 'give s3://BUCKET/PREFIX');
}

function checkChannels(settings: TrainingSettings, refuse: Refuse): void {
  const { channels, vpc, inputMode = 'File' } = settings;
  const names = Object.keys(channels);
  if (names.length > 20) refuse('channels', `${names.length} of them`, '20', 'put several folders in one channel');
  for (const [name, channel] of Object.entries(channels)) {
    const prop = `channels.${name}`;
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
      refuse(prop, 'that name', 'up to 64 letters, digits, ., - and _', 'give it another name');
    }
    if (!isFileSystem(channel)) {
      checkS3Uri(prop, isS3(channel) ? channel.uri : channel, refuse);
      if (isS3(channel) && channel.attributeNames && channel.dataType !== 'AugmentedManifestFile') {
        const fix = 'set dataType to AugmentedManifestFile, or leave attributeNames out';
        refuse(
          `${prop}.attributeNames`,
          channel.attributeNames.join(', '),
          'them with an augmented manifest alone',
          fix,
        );
      }
      continue;
    }
    if (!vpc) {
      const fix = 'set vpc to the network that the file system is in';
      refuse(prop, `the file system ${knownText(channel.fileSystemId) ?? ''} without a VPC`, 'it in a VPC alone', fix);
    }
    if (inputMode !== 'File') {
      const fix = 'set inputMode to File, and give the S3 channels an inputMode of their own';
      refuse(prop, `a file system with inputMode ${inputMode}`, 'File', fix);
    }
    const directory = knownText(channel.directory);
    if (directory !== undefined && !directory.startsWith('/')) {
      refuse(`${prop}.directory`, `'${directory}'`, 'a full path', `begin it with /: /${directory}`);
    }
  }
}

function checkNetwork({ vpc, subnets, securityGroups }: TrainingSettings, refuse: Refuse): void {
  if (vpc) {
    const given = securityGroups?.length;
    if (given === undefined || (given >= 1 && given <= 5)) return;
    refuse('securityGroups', `${given} of them`, '1 to 5', 'give that many, or leave them out for one of its own');
    return;
  }
  const fix = 'set vpc too';
  if (subnets) refuse('subnets', 'a selection without vpc', 'it with a VPC alone', fix);
  if (securityGroups) refuse('securityGroups', `${securityGroups.length} without vpc`, 'them with a VPC alone', fix);
}

function checkWords(settings: TrainingSettings, refuse: Refuse): void {
  const { environment = {}, tags = {}, metricDefinitions = {} } = settings;
  if (Object.keys(environment).length > 100) {
    refuse('environment', `${Object.keys(environment).length} variables`, '100', 'give some of them as one');
  }
  for (const [name, value] of Object.entries(environment)) {
    const prop = `environment.${name}`;
    const text = knownText(value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      refuse(prop, 'that name', 'letters, digits and _, no digit first', 'give it another name');
    }
    if (text !== undefined && text.length > 512) {
      refuse(prop, `${text.length} characters`, '512', 'put it into a file of the source or a channel');
    }
    for (const { kind } of credentialsIn(`${name}=${text ?? ''}`)) {
      refuse(prop, kind, 'no credentials', 'read it from Secrets Manager inside the job');
    }
  }
  const metrics = Object.entries(metricDefinitions);
  if (metrics.length > 40) refuse('metricDefinitions', `${metrics.length} of them`, '40', 'leave some out');
  for (const [name, regex] of metrics) {
    if (regex.length <= 500 && /(?<!\\)\((?!\?:)/.test(regex)) continue;
    const allowed = 'up to 500 characters with a group around the number';
    refuse(`metricDefinitions.${name}`, `'${regex}'`, allowed, `e.g. '${name}=([0-9.]+)'`);
  }
  if (Object.keys(tags).length > 50) refuse('tags', `${Object.keys(tags).length} of them`, '50', 'leave some out');
  for (const name of Object.keys(tags).filter((key) => /^aws:/i.test(key))) {
    refuse(`tags.${name}`, 'that name', 'names that do not begin with aws:', 'give it another name');
  }
}

function checkRetries({ retry = [] }: TrainingSettings, refuse: Refuse): void {
  retry.forEach((policy, index) => {
    const { exceptions, intervalSeconds = 1, backoffRate = 2, maxAttempts, expireAfterMinutes } = policy;
    const prop = `retry[${index}]`;
    const whole = (name: string, value: number | undefined, least: number, most: number) => {
      if (value === undefined || (Number.isInteger(value) && value >= least && value <= most)) return;
      refuse(`${prop}.${name}`, value, `a whole number from ${least} to ${most}`, 'give one in that range');
    };
    if (exceptions.length === 0) {
      refuse(`${prop}.exceptions`, 'empty', 'at least one', 'name one, e.g. SageMaker.CAPACITY_ERROR');
    }
    // types let only one through, and JavaScript both
    if ((maxAttempts === undefined) === (expireAfterMinutes === undefined)) {
      const given = `with ${maxAttempts === undefined ? 'neither' : 'both'} of maxAttempts and expireAfterMinutes`;
      refuse(prop, given, 'exactly one of them', 'set maxAttempts or expireAfterMinutes');
    }
    whole('maxAttempts', maxAttempts, 1, 20);
    whole('expireAfterMinutes', expireAfterMinutes, 1, 14_400);
    whole('intervalSeconds', intervalSeconds, 0, 86_400);
    if (!(backoffRate >= 0)) refuse(`${prop}.backoffRate`, backoffRate, '0 or more', 'give e.g. 2');
  });
}

/** Says what is wrong with a prop: what was given, what is allowed, how to mend it. */
export function refusal(where: string, prop: string, given: unknown, allowed: string, fix: string): Finding {
  return { where, problem: `${prop} is ${given}; allowed is ${allowed}.`, fix: `${fix}.` };
}

/**
 * What is wrong with the settings, all at once.
 *
 * @param where the step and its construct path
 */
export function checkTrainingSettings(where: string, settings: TrainingSettings): Finding[] {
  const findings: Finding[] = [];
  const refuse: Refuse = (...details) => findings.push(refusal(where, ...details));
  checkTimes(settings, refuse);
  checkResources(settings, refuse);
  checkS3Uri('output', settings.output, refuse);
  checkS3Uri('checkpointUri', settings.checkpointUri || undefined, refuse);
  checkChannels(settings, refuse);
  checkNetwork(settings, refuse);
  checkWords(settings, refuse);
  checkRetries(settings, refuse);
  return findings;
}

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
function environmentOf({ keepAlive, environment }: TrainingSettings): Readonly<Record<string, Text>> {
  const caches = keepAlive && {
    PIP_CACHE_DIR: `${WARM_POOL_CACHE}/pip`,
    npm_config_cache: `${WARM_POOL_CACHE}/npm`,
  };
  return { ...caches, ...environment };
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
      InstanceType: (settings.instanceType ?? 'ml.g5.xlarge') as TrainingInstanceType,
      InstanceCount: settings.instanceCount ?? 1,
      VolumeSizeInGB: settings.volumeSize ?? 50,
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
    ...(settings.tensorBoardOutput && { TensorBoardOutputConfig: settings.tensorBoardOutput }),
    ...(Object.keys(tags).length > 0 && { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
  };
}

/** Hyperparameters of expressions become texts, as SageMaker takes no others. */
export function toText(value: Expression): Expression<string> {
  return join('', value as Expression<string>);
}
