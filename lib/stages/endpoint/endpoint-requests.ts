// What an endpoint's settings are as requests of SageMaker's API: for a pipeline's steps, a template's resources, and the function that deploys.
import type {
  CreateEndpointConfigInput,
  CreateModelInput,
  DataCaptureConfig,
  DeploymentConfig,
  ProductionVariantInstanceType,
} from '@aws-sdk/client-sagemaker';
import type { Resolvable, Text } from '../../pipeline';
import type { Place } from '../access/network';
import { hasLocalDisks } from '../checks/local-disks';
import {
  DEFAULT_INSTANCE_TYPE,
  DEFAULT_INTERVAL,
  DEFAULT_SERVERLESS,
  type EndpointModel,
  type EndpointSettings,
  initialCount,
  isModelData,
  isModelPackage,
  STEP_PERCENT,
  type VariantSettings,
  variantNameOf,
} from './endpoint-settings';

export type ModelRequest = Resolvable<Omit<CreateModelInput, 'ModelName'>>;

export type ConfigRequest = Resolvable<Omit<CreateEndpointConfigInput, 'EndpointConfigName'>>;

type VariantRequest = NonNullable<ConfigRequest['ProductionVariants']>[number];

/** A variant with the name of its model. */
export interface NamedVariant extends VariantSettings {
  readonly modelName: Text;
}

/** S3 URIs that containers and SageMaker write to, with the role of the endpoint. */
export interface Destinations {
  readonly capture?: string;
  readonly output?: string;
  readonly failure?: string;
}

export function destinationsOf(endpointName: string, settings: EndpointSettings): Destinations {
  const { bucket, capture, async } = settings;
  const below = (path: string) => (bucket ? `s3://${bucket.bucketName}/${path}` : undefined);
  // SageMaker itself adds the endpoint, the variant and the hour to what is captured
  const captured = capture && (capture.destination ?? below('capture'));
  const output = async && (async.output ?? below(`async/${endpointName}/output`));
  const failure = async && (async.failure ?? below(`async/${endpointName}/failure`));
  return { ...(captured && { capture: captured }), ...(output && { output }), ...(failure && { failure }) };
}

/** Undefined for a model that is there already. */
export function modelRequest(
  model: EndpointModel,
  { roleArn, isolated, place }: { roleArn: string; isolated: boolean; place: Place | undefined },
): ModelRequest | undefined {
  if (!isModelPackage(model) && !isModelData(model)) return undefined;
  const container = isModelPackage(model)
    ? { ModelPackageName: model.modelPackageArn }
    : {
        Image: model.image.uri,
        ModelDataUrl: model.modelData,
        ...(model.environment && { Environment: model.environment }),
      };
  return {
    ExecutionRoleArn: roleArn,
    PrimaryContainer: container,
    ...(isolated && { EnableNetworkIsolation: true }),
    ...(place && { VpcConfig: { Subnets: place.subnetIds, SecurityGroupIds: place.securityGroupIds } }),
  };
}

function variantRequest(variant: NamedVariant, settings: EndpointSettings): VariantRequest {
  const { weight = 1, instanceType = DEFAULT_INSTANCE_TYPE, volumeSize, serverless } = variant;
  const { containerStartupTimeout, modelDownloadTimeout, acceleratorType, inferenceAmiVersion } = variant;
  const common = { VariantName: variantNameOf(variant), ModelName: variant.modelName, InitialVariantWeight: weight };
  if (serverless) {
    const { memorySize, maxConcurrency, provisionedConcurrency } = { ...DEFAULT_SERVERLESS, ...serverless };
    return {
      ...common,
      ServerlessConfig: {
        MemorySizeInMB: memorySize,
        MaxConcurrency: maxConcurrency,
        ...(provisionedConcurrency !== undefined && { ProvisionedConcurrency: provisionedConcurrency }),
      },
    };
  }
  return {
    ...common,
    InstanceType: instanceType as ProductionVariantInstanceType,
    InitialInstanceCount: initialCount(variant, settings),
    ...(volumeSize !== undefined && { VolumeSizeInGB: volumeSize }),
    ...(containerStartupTimeout && {
      ContainerStartupHealthCheckTimeoutInSeconds: containerStartupTimeout.toSeconds(),
    }),
    ...(modelDownloadTimeout && { ModelDataDownloadTimeoutInSeconds: modelDownloadTimeout.toSeconds() }),
    ...(acceleratorType !== undefined && { AcceleratorType: acceleratorType as 'ml.eia2.medium' }),
    ...(inferenceAmiVersion !== undefined && {
      InferenceAmiVersion: inferenceAmiVersion as 'al2-ami-sagemaker-inference-gpu-2',
    }),
  };
}

function captureRequest(settings: EndpointSettings, destination: string): Resolvable<DataCaptureConfig> | undefined {
  const { capture, key } = settings;
  if (!capture) return undefined;
  const { percentage = 100, modes = ['Input', 'Output'], csvContentTypes = [] } = capture;
  const { jsonContentTypes = ['application/json'] } = capture;
  return {
    EnableCapture: true,
    InitialSamplingPercentage: percentage,
    DestinationS3Uri: destination,
    CaptureOptions: modes.map((CaptureMode) => ({ CaptureMode })),
    ...(key && { KmsKeyId: key.keyArn }),
    ...(csvContentTypes.length + jsonContentTypes.length > 0 && {
      CaptureContentTypeHeader: {
        ...(csvContentTypes.length > 0 && { CsvContentTypes: csvContentTypes }),
        ...(jsonContentTypes.length > 0 && { JsonContentTypes: jsonContentTypes }),
      },
    }),
  };
}

function asyncRequest(settings: EndpointSettings, { output, failure }: Destinations): ConfigRequest | undefined {
  const { async, key } = settings;
  if (!async) return undefined;
  const { successTopic, errorTopic, maxConcurrentInvocations } = async;
  return {
    AsyncInferenceConfig: {
      OutputConfig: {
        S3OutputPath: output as string,
        ...(failure !== undefined && { S3FailurePath: failure }),
        ...(key && { KmsKeyId: key.keyArn }),
        ...((successTopic || errorTopic) && {
          NotificationConfig: {
            ...(successTopic && { SuccessTopic: successTopic.topicArn }),
            ...(errorTopic && { ErrorTopic: errorTopic.topicArn }),
          },
        }),
      },
      ...(maxConcurrentInvocations !== undefined && {
        ClientConfig: { MaxConcurrentInvocationsPerInstance: maxConcurrentInvocations },
      }),
    },
  } as ConfigRequest;
}

/** The key of the instances' volumes; none where one of the instance types takes none, for SageMaker refuses it then. */
export function volumeKeyArn(
  { key }: EndpointSettings,
  variants: readonly Pick<VariantSettings, 'instanceType'>[],
): string | undefined {
  return variants.some(({ instanceType }) => hasLocalDisks(instanceType ?? DEFAULT_INSTANCE_TYPE))
    ? undefined
    : key?.keyArn;
}

export function tagList(tags: Readonly<Record<string, string>> = {}): { Key: string; Value: string }[] {
  return Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
}

/** @param shadow beside the one variant */
export function configRequest(
  settings: EndpointSettings,
  variants: readonly NamedVariant[],
  shadow: NamedVariant | undefined,
  destinations: Destinations,
): ConfigRequest {
  const capture = captureRequest(settings, destinations.capture as string);
  const key = volumeKeyArn(settings, shadow ? [...variants, shadow] : variants);
  const tags = tagList(settings.tags);
  return {
    ProductionVariants: variants.map((variant) => variantRequest(variant, settings)),
    ...(shadow && { ShadowProductionVariants: [variantRequest(shadow, settings)] }),
    ...(capture && { DataCaptureConfig: capture }),
    ...asyncRequest(settings, destinations),
    ...(key !== undefined && { KmsKeyId: key }),
    ...(tags.length > 0 && { Tags: tags }),
  } as ConfigRequest;
}

const TRAFFIC = { AllAtOnce: 'ALL_AT_ONCE', Canary: 'CANARY', Linear: 'LINEAR' } as const;

/** How the endpoint moves to another configuration. */
export function deploymentRequest(
  { update = {} }: EndpointSettings,
  alarmNames: readonly string[],
): Resolvable<DeploymentConfig> {
  const { strategy = 'AllAtOnce', stepSize = STEP_PERCENT, stepUnit = 'CAPACITY_PERCENT' } = update;
  const WaitIntervalInSeconds = (update.interval ?? DEFAULT_INTERVAL).toSeconds();
  const size = { Type: stepUnit, Value: stepSize };
  const limit = update.maxExecutionTime && {
    MaximumExecutionTimeoutInSeconds: update.maxExecutionTime.toSeconds(),
  };
  const policy =
    strategy === 'Rolling'
      ? { RollingUpdatePolicy: { MaximumBatchSize: size, WaitIntervalInSeconds, ...limit } }
      : {
          BlueGreenUpdatePolicy: {
            TrafficRoutingConfiguration: {
              Type: TRAFFIC[strategy],
              WaitIntervalInSeconds,
              ...(strategy === 'Canary' && { CanarySize: size }),
              ...(strategy === 'Linear' && { LinearStepSize: size }),
            },
            ...(update.terminationWait && { TerminationWaitInSeconds: update.terminationWait.toSeconds() }),
            ...limit,
          },
        };
  return {
    ...policy,
    ...(alarmNames.length > 0 && {
      AutoRollbackConfiguration: { Alarms: alarmNames.map((AlarmName) => ({ AlarmName })) },
    }),
  };
}

/** A name of the API as CDK writes it: VolumeSizeInGB is volumeSizeInGb. */
function camelCase(name: string): string {
  return name
    .replace(/([A-Z])([A-Z]+)(?=$|[A-Z][a-z])/g, (_all, first: string, rest: string) => first + rest.toLowerCase())
    .replace(/^[A-Z]/, (first) => first.toLowerCase());
}

/** A request as the properties of the resource of the same shape: those of CDK have the API's names in camel case. */
export function toCfn(value: unknown, parent = ''): unknown {
  if (Array.isArray(value)) return value.map((entry) => toCfn(entry));
  if (typeof value !== 'object' || value === null) return value;
  // its keys are whoever's wrote them
  if (parent === 'Environment') return value;
  return Object.fromEntries(Object.entries(value).map(([name, entry]) => [camelCase(name), toCfn(entry, name)]));
}
