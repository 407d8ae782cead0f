// A notebook as a step: SageMaker runs it as a training job of its scheduler's image. The arguments are those that AWS's SDK writes.
// https://docs.aws.amazon.com/sagemaker/latest/dg/create-notebook-auto-run-sdk.html
import type { TrainingInstanceType } from '@aws-sdk/client-sagemaker';
import { ExecutionVariables, type Expression, join, type Text } from '../expression';
import type { JobRetried, StepOptions } from './step';
import { TrainingStep } from './training-steps';

/** Which notebook runs, on what. */
export interface NotebookJobStepOptions extends StepOptions, JobRetried {
  /** File name of the notebook, e.g. report.ipynb. */
  readonly notebook: string;
  /** S3 URI of the folder that has the notebook, and what it needs. */
  readonly input: Text;
  /** S3 URI below which the notebook with its outputs is written. */
  readonly output: Text;
  /** A SageMaker Distribution image, in the region of the pipeline. */
  readonly imageUri: Text;
  /** e.g. python3. */
  readonly kernelName: string;
  /** What the job runs as. */
  readonly roleArn: Text;
  /** e.g. eu-central-1. */
  readonly region: Text;
  /** Values for the cell tagged `parameters`. @default none */
  readonly parameters?: Readonly<Record<string, Text>>;
  /** @default none */
  readonly environment?: Readonly<Record<string, Text>>;
  /** File name of a shell script in the input, run before the notebook. @default none */
  readonly initializationScript?: string;
  /** @default ml.m5.large */
  readonly instanceType?: Text;
  /** Gigabytes. @default 30 */
  readonly volumeSize?: number | Expression<number>;
  /** Seconds. @default 172800, two days */
  readonly maxRuntime?: number;
  /** @default 1 */
  readonly maxAttempts?: number;
  /** @default none */
  readonly vpc?: { readonly subnets: readonly string[]; readonly securityGroupIds: readonly string[] };
  /** KMS key of the volume. @default none */
  readonly volumeKmsKeyId?: Text;
  /** KMS key of the output. @default none */
  readonly outputKmsKeyId?: Text;
}

const CHANNEL = 'sagemaker_headless_execution_pipelinestep';

function environment(name: string, options: NotebookJobStepOptions): Record<string, Text> {
  return {
    ...options.environment,
    AWS_DEFAULT_REGION: options.region,
    SM_JOB_DEF_VERSION: '1.0',
    SM_ENV_NAME: 'sagemaker-default-env',
    SM_SKIP_EFS_SIMULATION: 'true',
    SM_EXECUTION_INPUT_PATH: `/opt/ml/input/data/${CHANNEL}`,
    SM_KERNEL_NAME: options.kernelName,
    SM_INPUT_NOTEBOOK_NAME: options.notebook,
    SM_OUTPUT_NOTEBOOK_NAME: `${name.replaceAll('_', '-')}.ipynb`,
    ...(options.initializationScript !== undefined && { SM_INIT_SCRIPT: options.initializationScript }),
  };
}

/** Its type is Training, as in what AWS's SDK writes. */
export class NotebookJobStep extends TrainingStep {
  constructor(name: string, options: NotebookJobStepOptions) {
    const { displayName, description, dependsOn, retry, vpc, volumeKmsKeyId, outputKmsKeyId } = options;
    super(name, {
      ...(displayName !== undefined && { displayName }),
      ...(description !== undefined && { description }),
      ...(dependsOn && { dependsOn }),
      ...(retry && { retry }),
      arguments: {
        RoleArn: options.roleArn,
        RetryStrategy: { MaximumRetryAttempts: options.maxAttempts ?? 1 },
        StoppingCondition: { MaxRuntimeInSeconds: options.maxRuntime ?? 172_800 },
        EnableInterContainerTrafficEncryption: true,
        AlgorithmSpecification: {
          TrainingImage: options.imageUri,
          TrainingInputMode: 'File',
          ContainerEntrypoint: ['amazon_sagemaker_scheduler'],
        },
        InputDataConfig: [
          {
            ChannelName: CHANNEL,
            DataSource: {
              S3DataSource: {
                S3DataType: 'S3Prefix',
                S3Uri: options.input,
                S3DataDistributionType: 'FullyReplicated',
              },
            },
          },
        ],
        OutputDataConfig: {
          S3OutputPath: join(
            '/',
            options.output,
            ExecutionVariables.pipelineName,
            ExecutionVariables.pipelineExecutionId,
            name,
          ),
          ...(outputKmsKeyId !== undefined && { KmsKeyId: outputKmsKeyId }),
        },
        ResourceConfig: {
          VolumeSizeInGB: options.volumeSize ?? 30,
          InstanceCount: 1,
          InstanceType: (options.instanceType ?? 'ml.m5.large') as TrainingInstanceType,
          ...(volumeKmsKeyId !== undefined && { VolumeKmsKeyId: volumeKmsKeyId }),
        },
        ...(vpc && { VpcConfig: { Subnets: vpc.subnets, SecurityGroupIds: vpc.securityGroupIds } }),
        Tags: [
          { Key: 'sagemaker:name', Value: name },
          { Key: 'sagemaker:notebook-name', Value: options.notebook },
          { Key: 'sagemaker:notebook-job-origin', Value: 'PIPELINE_STEP' },
          { Key: 'sagemaker:is-studio-archived', Value: 'false' },
        ],
        Environment: environment(name, options),
        ...(options.parameters && { HyperParameters: options.parameters }),
      },
    });
  }
}
