// What the processing stages have in common: how the arguments of a job that our commands run in are written.
import type {
  NetworkConfig,
  ProcessingInput,
  ProcessingOutput,
  ProcessingOutputConfig,
  ProcessingResources,
} from '@aws-sdk/client-sagemaker';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import { join, type Resolvable, type Text } from '../pipeline';
import { checkInstanceType, checkS3Uri, checkWhole, type Refuse } from './checks/checks';
import { hasLocalDisks } from './checks/local-disks';

export interface ProcessingSettings {
  /** @default ml.m5.xlarge */
  readonly instanceType?: Text;
  /** Gigabytes. @default 30 */
  readonly volumeSize?: number;
  /**
   * Encrypts the volume and the outputs; SageMaker takes no key for the volume of an instance type with local disks, as ml.g5,
   * which are encrypted by their hardware. @default SageMaker's own keys
   */
  readonly key?: IKey;
  /** Without network: the job gets its inputs, and its outputs are fetched, by SageMaker. @default true */
  readonly networkIsolation?: boolean;
}

/**
 * What is wrong with the settings.
 *
 * @param uris the S3 URIs that the stage takes, by the names of their props
 */
export function checkProcessing(
  { instanceType, volumeSize }: ProcessingSettings,
  uris: Readonly<Record<string, Text>>,
  refuse: Refuse,
): void {
  checkInstanceType('instanceType', instanceType, refuse);
  checkWhole('volumeSize', volumeSize, [1, 16_384], refuse);
  for (const [prop, uri] of Object.entries(uris)) checkS3Uri(prop, uri, refuse);
}

/** What a job that does not share its work runs on. */
export function oneInstance(props: ProcessingSettings): Resolvable<ProcessingResources> {
  const { instanceType = 'ml.m5.xlarge', volumeSize = 30, key } = props;
  return {
    ClusterConfig: {
      InstanceType: instanceType as 'ml.m5.xlarge',
      InstanceCount: 1,
      VolumeSizeInGB: volumeSize,
      ...(key && !hasLocalDisks(instanceType) && { VolumeKmsKeyId: key.keyArn }),
    },
  };
}

export function network({ networkIsolation = true }: ProcessingSettings): Resolvable<NetworkConfig> {
  return { EnableNetworkIsolation: networkIsolation };
}

/** An input that is copied from S3 before the container starts. */
export function s3Input(name: string, uri: Text, folder: string): Resolvable<ProcessingInput> {
  return { InputName: name, S3Input: { S3Uri: uri, LocalPath: folder, S3DataType: 'S3Prefix', S3InputMode: 'File' } };
}

/** An output that is copied to S3, below `uri` under its name, when the container has ended. */
export function processingOutput(name: string, uri: Text, folder: string): Resolvable<ProcessingOutput> {
  return { OutputName: name, S3Output: { S3Uri: join('/', uri, name), LocalPath: folder, S3UploadMode: 'EndOfJob' } };
}

export function outputs(
  { key }: ProcessingSettings,
  all: readonly Resolvable<ProcessingOutput>[],
): Resolvable<ProcessingOutputConfig> {
  return { Outputs: all, ...(key && { KmsKeyId: key.keyArn }) };
}
