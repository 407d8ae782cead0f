// A step of every type in which nothing is wrong, to plant defects in.
import {
  AutoMLStep,
  CallbackStep,
  ClarifyCheckStep,
  ConditionStep,
  EmrStep,
  EndpointConfigStep,
  EndpointStep,
  equals,
  FailStep,
  InferenceComponentStep,
  LambdaStep,
  ModelStep,
  NotebookJobStep,
  ParameterString,
  type ProcessingArguments,
  ProcessingStep,
  QualityCheckStep,
  RegisterModelStep,
  type Step,
  type TrainingArguments,
  TrainingStep,
  TransformStep,
  type TuningArguments,
  TuningStep,
} from '../../../lib/pipeline';

export const IMAGE = '111122223333.dkr.ecr.eu-central-1.amazonaws.com/scanline:1';
export const ROLE = 'arn:aws:iam::111122223333:role/scanline';
/** A parameter that every pipeline of the tests has. */
export const MODE = new ParameterString('Mode', { defaultValue: 'go' });

export const PROCESSING: ProcessingArguments = {
  ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 30 } },
  AppSpecification: { ImageUri: IMAGE },
  RoleArn: ROLE,
  ProcessingOutputConfig: {
    Outputs: [
      {
        OutputName: 'out',
        S3Output: { S3Uri: 's3://bucket/out', LocalPath: '/opt/ml/processing/out', S3UploadMode: 'EndOfJob' },
      },
    ],
  },
};

export const TRAINING: TrainingArguments = {
  AlgorithmSpecification: {
    TrainingImage: IMAGE,
    TrainingInputMode: 'File',
    MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
  },
  RoleArn: ROLE,
  HyperParameters: { epochs: '3' },
  InputDataConfig: [
    {
      ChannelName: 'train',
      DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/train' } },
    },
  ],
  OutputDataConfig: { S3OutputPath: 's3://bucket/models' },
  ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.g5.xlarge', VolumeSizeInGB: 50 },
  StoppingCondition: { MaxRuntimeInSeconds: 3600 },
};

const { HyperParameters, ...TUNED } = TRAINING;

export const TUNING: TuningArguments = {
  HyperParameterTuningJobConfig: {
    Strategy: 'Bayesian',
    ResourceLimits: { MaxNumberOfTrainingJobs: 4, MaxParallelTrainingJobs: 2 },
    HyperParameterTuningJobObjective: { Type: 'Minimize', MetricName: 'loss' },
    ParameterRanges: { ContinuousParameterRanges: [{ Name: 'learning_rate', MinValue: '0.0001', MaxValue: '0.01' }] },
  },
  TrainingJobDefinition: { ...TUNED, StaticHyperParameters: { epochs: '3' } } as NonNullable<
    TuningArguments['TrainingJobDefinition']
  >,
};

export const training = new TrainingStep('Train', { arguments: TRAINING });
export const tuning = new TuningStep('Tune', {
  arguments: {
    ...TUNING,
    WarmStartConfig: {
      WarmStartType: 'IdenticalDataAndAlgorithm',
      ParentHyperParameterTuningJobs: [{ HyperParameterTuningJobName: 'earlier' }],
    },
  },
});
const container = { Image: IMAGE, ModelDataUrl: training.properties.ModelArtifacts.S3ModelArtifacts };
export const model = new ModelStep('MakeModel', { arguments: { PrimaryContainer: container, ExecutionRoleArn: ROLE } });
export const lambda = new LambdaStep('Ask', {
  functionArn: 'arn:aws:lambda:eu-central-1:111122223333:function:ask',
  inputs: { mode: MODE },
  outputs: { verdict: 'String', score: 'Float' },
});
export const callback = new CallbackStep('Wait', {
  queueUrl: 'https://sqs.eu-central-1.amazonaws.com/111122223333/review',
  inputs: { score: lambda.output('score') },
  outputs: { approved: 'Boolean' },
});

/** One of every type; each refers only to those before it. */
export const ALL: readonly Step[] = [
  new ProcessingStep('Split', { arguments: PROCESSING }),
  training,
  tuning,
  model,
  new RegisterModelStep('Register', {
    arguments: {
      ModelPackageGroupName: 'group',
      InferenceSpecification: {
        Containers: [{ Image: IMAGE, ModelDataUrl: tuning.topModel(0, 'bucket', 'models') }],
        SupportedContentTypes: ['image/png'],
        SupportedResponseMIMETypes: ['application/json'],
      },
    },
  }),
  new TransformStep('Predict', {
    arguments: {
      ModelName: model.properties.ModelName,
      TransformInput: { DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/in' } } },
      TransformOutput: { S3OutputPath: 's3://bucket/predictions' },
      TransformResources: { InstanceType: 'ml.m5.xlarge', InstanceCount: 1 },
    },
  }),
  new AutoMLStep('Table', {
    arguments: {
      InputDataConfig: [
        {
          DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/csv' } },
          TargetAttributeName: 'y',
        },
      ],
      OutputDataConfig: { S3OutputPath: 's3://bucket/automl' },
      AutoMLJobConfig: { Mode: 'ENSEMBLING' },
      RoleArn: ROLE,
    },
  }),
  lambda,
  callback,
  new QualityCheckStep('Quality', { arguments: PROCESSING, checkType: 'DATA_QUALITY', modelPackageGroupName: 'group' }),
  new ClarifyCheckStep('Bias', { arguments: PROCESSING, checkType: 'DATA_BIAS' }),
  new EmrStep('Spark', { clusterId: 'j-1', jar: { Jar: 'command-runner.jar', Args: ['spark-submit', 'a.py'] } }),
  new NotebookJobStep('Notebook', {
    notebook: 'report.ipynb',
    input: 's3://bucket/notebooks',
    output: 's3://bucket/reports',
    imageUri: IMAGE,
    kernelName: 'python3',
    roleArn: ROLE,
    region: 'eu-central-1',
    parameters: { mode: MODE },
  }),
  new EndpointConfigStep('Configure', {
    arguments: {
      EndpointConfigName: 'planes',
      ProductionVariants: [
        {
          VariantName: 'a',
          ModelName: model.properties.ModelName,
          InstanceType: 'ml.g5.xlarge',
          InitialInstanceCount: 1,
        },
      ],
    },
  }),
  new EndpointStep('Deploy', { arguments: { EndpointName: 'planes', EndpointConfigName: 'planes' } }),
  new InferenceComponentStep('Component', {
    arguments: {
      InferenceComponentName: 'planes',
      EndpointName: 'planes',
      VariantName: 'a',
      Specification: {
        ModelName: model.properties.ModelName,
        ComputeResourceRequirements: { MinMemoryRequiredInMb: 1024, NumberOfAcceleratorDevicesRequired: 1 },
      },
      RuntimeConfig: { CopyCount: 1 },
    },
  }),
  new ConditionStep('Gate', {
    conditions: [equals(callback.output('approved'), true)],
    ifSteps: [],
    elseSteps: [new FailStep('Stop', { errorMessage: 'not approved' })],
  }),
];
