// The settings that every endpoint takes, however it is made: variants, scaling, capture, asynchronous results, updates, network.
import type { ProductionVariantInstanceType } from '@aws-sdk/client-sagemaker';
import { Duration } from 'aws-cdk-lib';
import type { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Text } from '../../pipeline';
import type { NetworkSettings } from '../access/network';
import type { ByocImage } from '../byoc-image';

/** A version of a model package group. */
export interface ModelPackageSource {
  /** Of one version. */
  readonly modelPackageArn: Text;
}

/** A model of one's own: what runs, and what it loads. */
export interface ModelDataSource {
  /** What serves it. */
  readonly image: ByocImage;
  /** S3 URI of model.tar.gz. */
  readonly modelData: Text;
  /** Environment variables of the container. @default none */
  readonly environment?: Readonly<Record<string, Text>>;
}

/** A model that is there already, by its name. Its role, network and isolation are its own. */
export interface ExistingModel {
  /** Of a model in SageMaker. */
  readonly modelName: Text;
}

/** What a variant serves. */
export type EndpointModel = ModelPackageSource | ModelDataSource | ExistingModel;

/** No instances of one's own: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html */
export interface ServerlessInference {
  /** MiB, from 1024 to 6144 in steps of 1024. @default 4096 */
  readonly memorySize?: number;
  /** Requests at the same time, 1 to 200; what exceeds it is refused. @default 20 */
  readonly maxConcurrency?: number;
  /** Requests that are answered without a cold start, at most maxConcurrency. @default none */
  readonly provisionedConcurrency?: number;
}

/**
 * What the number of instances, or of a serverless variant the provisioned concurrency, follows.
 *
 * - InvocationsPerInstance: requests a minute on each instance
 * - ConcurrentRequestsPerModel: requests that are under way at once, looked at every 10 seconds
 * - BacklogPerInstance: of an asynchronous endpoint, requests that wait for each instance
 * - ProvisionedConcurrencyUtilization: of a serverless variant, the share of it that is used, 0 to 1
 */
export type ScalingMetric =
  | 'InvocationsPerInstance'
  | 'ConcurrentRequestsPerModel'
  | 'BacklogPerInstance'
  | 'ProvisionedConcurrencyUtilization';

/** Target tracking by Application Auto Scaling: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling.html */
export interface EndpointAutoscaling {
  /** Instances, or provisioned concurrency; 0 with an asynchronous endpoint alone. @default 1; 0 with an asynchronous endpoint */
  readonly minCapacity?: number;
  /** Instances, or of a serverless variant its concurrency. */
  readonly maxCapacity: number;
  /** @default BacklogPerInstance if asynchronous, ProvisionedConcurrencyUtilization if serverless, else InvocationsPerInstance */
  readonly metric?: ScalingMetric;
  /** What the metric is held at. @default 5 waiting, 0.7 of the concurrency, 60 a minute, or 4 at once */
  readonly target?: number;
  /** Time after fewer instances before there may be fewer still. @default 5 minutes */
  readonly scaleInCooldown?: Duration;
  /** Time after more instances before there may be more still. @default 1 minute */
  readonly scaleOutCooldown?: Duration;
}

/** How a variant is run. */
export interface VariantSettings {
  /** @default AllTraffic */
  readonly variantName?: string;
  /** Its share of the requests is its weight over the sum of all; of a shadow, over the production variant's. @default 1 */
  readonly weight?: number;
  /** @default ml.g5.xlarge */
  readonly instanceType?: string;
  /** @default 1, or the least that autoscaling has, if that is more */
  readonly initialInstanceCount?: number;
  /** Gigabytes of each instance's volume, 1 to 512; an instance type with local disks takes none. @default SageMaker's own */
  readonly volumeSize?: number;
  /** Time in which the container must answer /ping, 1 minute to 1 hour. @default SageMaker's own */
  readonly containerStartupTimeout?: Duration;
  /** Time in which the model must be downloaded and unpacked, 1 minute to 1 hour. @default SageMaker's own */
  readonly modelDownloadTimeout?: Duration;
  /** Elastic Inference, e.g. ml.eia2.medium, where an account still has it. @default none */
  readonly acceleratorType?: string;
  /** The AMI of the instances, which settles the driver, e.g. al2-ami-sagemaker-inference-gpu-2. @default SageMaker's own */
  readonly inferenceAmiVersion?: string;
  /** Without instances of one's own. @default instances */
  readonly serverless?: ServerlessInference;
  /** @default as many instances as initially */
  readonly autoscaling?: EndpointAutoscaling;
}

/** A variant and the model that it serves. */
export interface EndpointVariant extends VariantSettings {
  /** What it serves. */
  readonly model: EndpointModel;
}

/** What is kept of requests and answers: https://docs.aws.amazon.com/sagemaker/latest/dg/model-monitor-data-capture.html */
export interface DataCapture {
  /** Per cent of the requests. @default 100 */
  readonly percentage?: number;
  /** @default Input and Output */
  readonly modes?: readonly ('Input' | 'Output' | 'InputAndOutput')[];
  /** S3 URI below which it is kept. @default capture/ENDPOINT in the bucket */
  readonly destination?: string;
  /** Content types that are kept as text, not as base64. @default none */
  readonly csvContentTypes?: readonly string[];
  /** Content types that are kept as JSON. @default application/json */
  readonly jsonContentTypes?: readonly string[];
}

/** Requests wait in a queue, and answers go to S3: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html */
export interface AsyncInference {
  /** S3 URI of the answers. @default async/ENDPOINT/output in the bucket */
  readonly output?: string;
  /** S3 URI of what could not be answered. @default async/ENDPOINT/failure in the bucket */
  readonly failure?: string;
  /** Told of each answer. @default nobody */
  readonly successTopic?: ITopic;
  /** Told of each failure. @default nobody */
  readonly errorTopic?: ITopic;
  /** Requests that an instance is sent at once, 1 to 1000. @default SageMaker chooses */
  readonly maxConcurrentInvocations?: number;
}

/**
 * How an endpoint moves to another configuration: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
 *
 * AllAtOnce, Canary and Linear start new instances beside the old ones, and go back to those when an alarm goes off; Rolling replaces
 * some at a time, and needs less capacity. All but AllAtOnce need two instances at least, for a step may be half of them at most.
 */
export type UpdateStrategy = 'AllAtOnce' | 'Canary' | 'Linear' | 'Rolling';

/** How a new configuration takes over from the old one. */
export interface EndpointUpdate {
  /** @default AllAtOnce */
  readonly strategy?: UpdateStrategy;
  /** Of Canary at most half, of Linear 10 to 50 per cent, of Rolling 5 to 50 per cent at a time. @default 10 per cent */
  readonly stepSize?: number;
  /** @default CAPACITY_PERCENT */
  readonly stepUnit?: 'CAPACITY_PERCENT' | 'INSTANCE_COUNT';
  /** Time for which the alarms are watched after each step, up to 1 hour. @default 5 minutes */
  readonly interval?: Duration;
  /** Time for which the old instances stay, up to 1 hour; not with Rolling. @default none */
  readonly terminationWait?: Duration;
  /** Time after which an update is given up, 10 minutes to 8 hours. @default SageMaker's own */
  readonly maxExecutionTime?: Duration;
  /**
   * Each takes the update back when it goes off, up to 10; false for none.
   *
   * @default for each variant the share of requests answered with 5xx, above 1 %, and the p99 of the model's latency, above 10 seconds;
   * of an asynchronous endpoint, any failure
   */
  readonly rollbackAlarms?: readonly IAlarm[] | false;
}

/** What all endpoints have in common. */
export interface EndpointSettings extends NetworkSettings {
  /** Up to 63 letters, digits and hyphens. @default made of the construct's path */
  readonly endpointName?: string;
  /** Requests are copied to it, and its answers are kept from those who ask; beside one production variant alone. @default none */
  readonly shadow?: EndpointVariant;
  /** @default nothing is captured */
  readonly capture?: DataCapture;
  /** @default requests are answered at once */
  readonly async?: AsyncInference;
  /** @default AllAtOnce with alarms; none for a serverless endpoint */
  readonly update?: EndpointUpdate;
  /** Holds the models; takes what is captured and answered asynchronously. @default none; then role, destination and output must be given */
  readonly bucket?: IBucket;
  /**
   * Of the bucket, of what is captured and answered asynchronously, and of the instances' volumes. SageMaker takes none for the volume of
   * instance types with local disks, as ml.g5, which are encrypted by their hardware; it is left out there.
   *
   * @default that of the bucket
   */
  readonly key?: IKey;
  /**
   * What the containers work as. @default one is made, that reads the models (those of the bucket where they are known only later), writes
   * what is captured and answered, and pulls the images
   */
  readonly role?: IRole;
  /** Images of model packages, which the role that is made may pull, beside those of the variants. @default none */
  readonly images?: readonly ByocImage[];
  /** Whether the containers are cut off from all networks. @default true; false for a serverless endpoint, which cannot be */
  readonly networkIsolation?: boolean;
  /** Of the endpoint and its configurations. @default none */
  readonly tags?: Readonly<Record<string, string>>;
}

export const DEFAULT_VARIANT = 'AllTraffic';

export const DEFAULT_INSTANCE_TYPE: ProductionVariantInstanceType = 'ml.g5.xlarge';

export const DEFAULT_SERVERLESS = { memorySize: 4096, maxConcurrency: 20 } as const;

export const STEP_PERCENT = 10;

/** For which the alarms are watched after each step. */
export const DEFAULT_INTERVAL = Duration.minutes(5);

export function isModelPackage(model: EndpointModel): model is ModelPackageSource {
  return 'modelPackageArn' in model;
}

export function isModelData(model: EndpointModel): model is ModelDataSource {
  return 'modelData' in model;
}

export function variantNameOf({ variantName = DEFAULT_VARIANT }: VariantSettings): string {
  return variantName;
}

/** Instances or provisioned concurrency below which autoscaling does not go. */
export function leastCapacity({ minCapacity }: EndpointAutoscaling, settings: Pick<EndpointSettings, 'async'>): number {
  return minCapacity ?? (settings.async ? 0 : 1);
}

export function initialCount(variant: VariantSettings, settings: Pick<EndpointSettings, 'async'>): number {
  const { initialInstanceCount, autoscaling } = variant;
  return initialInstanceCount ?? Math.max(1, autoscaling ? leastCapacity(autoscaling, settings) : 1);
}

/** Which metric a variant scales by, and at which value. */
export function scalingOf(
  { metric, target }: EndpointAutoscaling,
  variant: VariantSettings,
  settings: Pick<EndpointSettings, 'async'>,
): { readonly metric: ScalingMetric; readonly target: number } {
  const natural = variant.serverless ? 'ProvisionedConcurrencyUtilization' : 'InvocationsPerInstance';
  const chosen = metric ?? (settings.async ? 'BacklogPerInstance' : natural);
  return { metric: chosen, target: target ?? TARGETS[chosen] };
}

const TARGETS: Readonly<Record<ScalingMetric, number>> = {
  BacklogPerInstance: 5,
  ProvisionedConcurrencyUtilization: 0.7,
  InvocationsPerInstance: 60,
  ConcurrentRequestsPerModel: 4,
};
