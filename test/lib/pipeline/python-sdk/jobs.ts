// Pipelines of jobs, as test/oracle/lib/sagemaker_sdk builds them with AWS's Python SDK: processing, training, tuning.
import {
  ExecutionVariables,
  join,
  ModelStep,
  ParameterBoolean,
  ParameterFloat,
  ParameterInteger,
  ParameterString,
  Pipeline,
  type ProcessingArguments,
  ProcessingStep,
  type TrainingArguments,
  TrainingStep,
  type TuningArguments,
  TuningStep,
} from '../../../../lib/pipeline';
import { IMAGE, ROLE } from '../whole-steps';

export const KEY = 'arn:aws:kms:eu-central-1:111122223333:key/images';

const STUDY = [{ Key: 'study', Value: 'planes' }];

type Input = NonNullable<ProcessingArguments['ProcessingInputs']>[number];
type Uri = NonNullable<NonNullable<Input['S3Input']>['S3Uri']>;

const input = (name: string, uri: Uri, distribution?: 'ShardedByS3Key'): Input => ({
  InputName: name,
  S3Input: {
    S3Uri: uri,
    LocalPath: `/opt/ml/processing/input/${name}`,
    S3DataType: 'S3Prefix',
    S3InputMode: 'File',
    ...(distribution && { S3DataDistributionType: distribution }),
  },
});

const output = (name: string, uri: Uri) => ({
  OutputName: name,
  S3Output: { S3Uri: uri, LocalPath: `/opt/ml/processing/output/${name}`, S3UploadMode: 'EndOfJob' as const },
});

const machine = { InstanceType: 'ml.m5.xlarge', InstanceCount: 1, VolumeSizeInGB: 30 } as const;

/** Writes its report to s3://bucket/report. */
export const EVALUATION: ProcessingArguments = {
  ProcessingResources: { ClusterConfig: machine },
  AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['evaluate'] },
  RoleArn: ROLE,
  ProcessingOutputConfig: { Outputs: [output('report', 's3://bucket/report')] },
};

export const REPORT = { name: 'Report', outputName: 'report', path: 'evaluation.json' };

export function processing(): Pipeline {
  const data = new ParameterString('InputData', { defaultValue: 's3://bucket/raw' });
  const instance = new ParameterString('Instance', {
    defaultValue: 'ml.m5.xlarge',
    enumValues: ['ml.m5.xlarge', 'ml.m5.4xlarge'],
  });
  const count = new ParameterInteger('Count', { defaultValue: 1 });
  const share = new ParameterFloat('Share', { defaultValue: 0.7 });
  const isolated = new ParameterBoolean('Isolated', { defaultValue: true });
  const site = new ParameterString('Site');
  const split = new ProcessingStep('Split', {
    displayName: 'Split the images',
    description: 'By patient',
    cache: { expireAfter: 'P30D' },
    retry: [
      {
        exceptions: ['Step.SERVICE_FAULT', 'Step.THROTTLING'],
        intervalSeconds: 10,
        backoffRate: 1.5,
        maxAttempts: 5,
      },
      { exceptions: ['SageMaker.CAPACITY_ERROR'], expireAfterMinutes: 120 },
    ],
    arguments: {
      ProcessingResources: {
        ClusterConfig: { ...machine, InstanceType: instance as never, InstanceCount: count, VolumeKmsKeyId: KEY },
      },
      AppSpecification: {
        ImageUri: IMAGE,
        ContainerEntrypoint: ['split'],
        ContainerArguments: ['--fractions', join('', share)],
      },
      RoleArn: ROLE,
      ProcessingInputs: [input('data', data), input('labels', 's3://bucket/labels', 'ShardedByS3Key')],
      ProcessingOutputConfig: {
        Outputs: [output('train', join('/', 's3://bucket', ExecutionVariables.pipelineExecutionId, 'train'))],
        KmsKeyId: KEY,
      },
      Environment: { SITE: site },
      NetworkConfig: {
        EnableNetworkIsolation: isolated,
        EnableInterContainerTrafficEncryption: true,
        VpcConfig: { SecurityGroupIds: ['sg-1'], Subnets: ['subnet-1'] },
      },
      StoppingCondition: { MaxRuntimeInSeconds: 1800 },
      Tags: STUDY,
    },
  });
  const evaluate = new ProcessingStep('Evaluate', {
    propertyFiles: [REPORT],
    dependsOn: [split],
    arguments: { ...EVALUATION, ProcessingInputs: [input('train', split.output('train'))] },
  });
  return new Pipeline('p', {
    parameters: [data, instance, count, share, isolated, site],
    experiment: {
      experimentName: ExecutionVariables.pipelineName,
      trialName: join('-', 'trial', ExecutionVariables.pipelineExecutionId),
    },
    steps: [split, evaluate],
  });
}

type Training = { -readonly [Key in keyof TrainingArguments]: TrainingArguments[Key] };

const s3 = (name: string, uri: Uri) => ({
  ChannelName: name,
  DataSource: {
    S3DataSource: {
      S3DataType: 'S3Prefix' as const,
      S3Uri: uri,
      S3DataDistributionType: 'FullyReplicated' as const,
    },
  },
});

const ALGORITHM = {
  TrainingInputMode: 'File',
  TrainingImage: IMAGE,
  MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
} as const;

export const TRAINING = {
  AlgorithmSpecification: ALGORITHM,
  OutputDataConfig: { S3OutputPath: 's3://bucket/models' },
  StoppingCondition: { MaxRuntimeInSeconds: 3600 },
  ResourceConfig: { VolumeSizeInGB: 50, InstanceCount: 1, InstanceType: 'ml.g5.xlarge' },
  RoleArn: ROLE,
  InputDataConfig: [s3('train', 's3://bucket/train')],
  HyperParameters: { epochs: '3' },
  ProfilerConfig: { DisableProfiler: true },
} satisfies Training;

export function training(): Pipeline {
  const learningRate = new ParameterFloat('LearningRate', { defaultValue: 0.001 });
  const { S3DataSource } = s3('train', 's3://bucket/train').DataSource;
  const train = new TrainingStep('Train', {
    cache: { expireAfter: 'PT4H' },
    arguments: {
      ...TRAINING,
      AlgorithmSpecification: { ...ALGORITHM, TrainingInputMode: 'FastFile' },
      OutputDataConfig: { S3OutputPath: 's3://bucket/models', KmsKeyId: KEY },
      StoppingCondition: { MaxRuntimeInSeconds: 3600, MaxWaitTimeInSeconds: 7200 },
      ResourceConfig: { ...TRAINING.ResourceConfig, InstanceType: 'ml.m5.xlarge', VolumeKmsKeyId: KEY },
      InputDataConfig: [
        {
          ChannelName: 'train',
          DataSource: { S3DataSource: { ...S3DataSource, S3DataDistributionType: 'ShardedByS3Key' } },
          ContentType: 'image/png',
          InputMode: 'File',
        },
        {
          ChannelName: 'validation',
          DataSource: {
            S3DataSource: { ...S3DataSource, S3DataType: 'ManifestFile', S3Uri: 's3://bucket/validation.manifest' },
          },
        },
        {
          ChannelName: 'atlas',
          DataSource: {
            FileSystemDataSource: {
              FileSystemId: 'fs-0123456789abcdef0',
              FileSystemType: 'FSxLustre',
              DirectoryPath: '/fsx/atlas',
              FileSystemAccessMode: 'ro',
            },
          },
        },
      ],
      HyperParameters: { epochs: '3', learning_rate: join('', learningRate), model: 'densenet121' },
      Environment: { SITE: 'ward' },
      Tags: STUDY,
      VpcConfig: { Subnets: ['subnet-1'], SecurityGroupIds: ['sg-1'] },
      EnableNetworkIsolation: true,
      EnableInterContainerTrafficEncryption: true,
      EnableManagedSpotTraining: true,
      CheckpointConfig: { S3Uri: 's3://bucket/checkpoints', LocalPath: '/opt/ml/checkpoints' },
      RetryStrategy: { MaximumRetryAttempts: 2 },
    },
  });
  const again = new TrainingStep('Again', {
    dependsOn: [train],
    arguments: {
      ...TRAINING,
      ResourceConfig: { ...TRAINING.ResourceConfig, KeepAlivePeriodInSeconds: 1800 },
      InputDataConfig: [s3('train', train.properties.ModelArtifacts.S3ModelArtifacts)],
      DebugHookConfig: { S3OutputPath: 's3://bucket/tensors' },
      TensorBoardOutputConfig: { S3OutputPath: 's3://bucket/tensorboard' },
      ProfilerConfig: {
        S3OutputPath: 's3://bucket/profiles',
        DisableProfiler: false,
        ProfilingIntervalInMilliseconds: 1000,
      },
    },
  });
  return new Pipeline('p', { parameters: [learningRate], steps: [train, again] });
}

type TuningConfig = NonNullable<TuningArguments['HyperParameterTuningJobConfig']>;

function tuningStep(name: string, config: Partial<TuningConfig>, more: Partial<TuningArguments> = {}): TuningStep {
  const { HyperParameters, ResourceConfig, ProfilerConfig, ...job } = TRAINING;
  return new TuningStep(name, {
    arguments: {
      HyperParameterTuningJobConfig: {
        Strategy: name as 'Bayesian',
        ResourceLimits: { MaxNumberOfTrainingJobs: 8, MaxParallelTrainingJobs: 2 },
        HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'loss' },
        ParameterRanges: {
          ContinuousParameterRanges: [
            { Name: 'learning_rate', MinValue: '0.0001', MaxValue: '0.01', ScalingType: 'Logarithmic' },
          ],
          CategoricalParameterRanges: [{ Name: 'model', Values: ['densenet121', 'vit'] }],
          IntegerParameterRanges: [{ Name: 'batch_size', MinValue: '8', MaxValue: '32' }],
        },
        ...config,
      },
      TrainingJobDefinition: {
        ...job,
        StaticHyperParameters: HyperParameters,
        HyperParameterTuningResourceConfig: ResourceConfig,
      },
      ...more,
    },
  });
}

export function tuning(): Pipeline {
  const bayesian = tuningStep(
    'Bayesian',
    { TrainingJobEarlyStoppingType: 'Auto' },
    {
      WarmStartConfig: {
        WarmStartType: 'TransferLearning',
        ParentHyperParameterTuningJobs: [{ HyperParameterTuningJobName: 'earlier' }],
      },
    },
  );
  const grid = tuningStep('Grid', {
    ResourceLimits: { MaxParallelTrainingJobs: 2 },
    ParameterRanges: { CategoricalParameterRanges: [{ Name: 'model', Values: ['densenet121', 'vit'] }] },
  });
  const hyperband = tuningStep('Hyperband', {
    StrategyConfig: { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } },
  });
  const best = new ModelStep('Best-CreateModel', {
    arguments: {
      ExecutionRoleArn: ROLE,
      PrimaryContainer: { Image: IMAGE, ModelDataUrl: bayesian.topModel(1, 'bucket', 'models') },
    },
  });
  return new Pipeline('p', { steps: [bayesian, tuningStep('Random', { RandomSeed: 7 }), grid, hyperband, best] });
}
