// Inputs and outputs of processing jobs, as all stages that run one write them.
import type { ProcessingInput, ProcessingOutput, ProcessingResources } from '@aws-sdk/client-sagemaker';
import { join, type Resolvable, type Text } from '../pipeline';

/** What a job that does not share its work runs on. */
export function oneInstance(props: { instanceType?: Text; volumeSize?: number }): Resolvable<ProcessingResources> {
  const { instanceType = 'ml.m5.xlarge', volumeSize = 30 } = props;
  return {
    ClusterConfig: { InstanceType: instanceType as 'ml.m5.xlarge', InstanceCount: 1, VolumeSizeInGB: volumeSize },
  };
}

/** An input that is copied from S3 before the container starts. */
export function s3Input(name: string, uri: Text, folder: string): Resolvable<ProcessingInput> {
  return { InputName: name, S3Input: { S3Uri: uri, LocalPath: folder, S3DataType: 'S3Prefix', S3InputMode: 'File' } };
}

/** An output that is copied to S3, below `uri` under its name, when the container has ended. */
export function processingOutput(name: string, uri: Text, folder: string): Resolvable<ProcessingOutput> {
  return { OutputName: name, S3Output: { S3Uri: join('/', uri, name), LocalPath: folder, S3UploadMode: 'EndOfJob' } };
}
