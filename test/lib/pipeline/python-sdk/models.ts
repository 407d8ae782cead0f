// Pipelines of models and endpoints, as test/oracle/lib/sagemaker_sdk builds them with AWS's Python SDK.
import {
  EndpointConfigStep,
  EndpointStep,
  InferenceComponentStep,
  ModelStep,
  ParameterString,
  Pipeline,
  RegisterModelStep,
  TrainingStep,
  TransformStep,
} from '../../../../lib/pipeline';
import { IMAGE, ROLE } from '../whole-steps';
import { KEY, TRAINING } from './jobs';

const json = (name: string) => ({ ContentType: 'application/json', S3Uri: `s3://bucket/${name}.json` });

const SERVED = {
  SupportedContentTypes: ['image/png'],
  SupportedResponseMIMETypes: ['application/json'],
  SupportedRealtimeInferenceInstanceTypes: ['ml.g5.xlarge'],
  SupportedTransformInstanceTypes: ['ml.m5.xlarge'],
} as const;

export function models(): Pipeline {
  const approval = new ParameterString('Approval', { defaultValue: 'PendingManualApproval' });
  const train = new TrainingStep('Train', { arguments: TRAINING });
  const container = { Image: IMAGE, ModelDataUrl: train.properties.ModelArtifacts.S3ModelArtifacts };
  // the SDK calls the steps of a ModelStep by what they do
  const make = new ModelStep('Make-CreateModel', {
    arguments: {
      ExecutionRoleArn: ROLE,
      PrimaryContainer: { ...container, Environment: { LEVEL: 'info' } },
      VpcConfig: { Subnets: ['subnet-1'], SecurityGroupIds: ['sg-1'] },
      EnableNetworkIsolation: true,
    },
  });
  const predict = new TransformStep('Predict', {
    arguments: {
      ModelName: make.properties.ModelName,
      TransformInput: {
        DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/images' } },
        ContentType: 'application/json',
        SplitType: 'Line',
      },
      TransformOutput: {
        S3OutputPath: 's3://bucket/predictions',
        KmsKeyId: KEY,
        AssembleWith: 'Line',
        Accept: 'application/jsonlines',
      },
      TransformResources: { InstanceCount: 2, InstanceType: 'ml.m5.xlarge', VolumeKmsKeyId: KEY },
      BatchStrategy: 'MultiRecord',
      MaxConcurrentTransforms: 4,
      MaxPayloadInMB: 6,
      Environment: { LEVEL: 'info' },
      Tags: [{ Key: 'study', Value: 'planes' }],
      DataProcessing: { InputFilter: '$.image', JoinSource: 'Input' },
    },
  });
  const register = new RegisterModelStep('Register-RegisterModel', {
    arguments: {
      ModelPackageGroupName: 'group',
      ModelPackageDescription: 'planes',
      ModelApprovalStatus: approval as never,
      ModelMetrics: {
        ModelQuality: { Statistics: json('statistics'), Constraints: json('constraints') },
        Bias: { Report: json('bias') },
      },
      DriftCheckBaselines: {
        ModelQuality: { Statistics: json('drift') },
        Bias: { ConfigFile: { S3Uri: 's3://bucket/bias-config.json' } },
      },
      CustomerMetadataProperties: { accuracy: '0.97' },
      Domain: 'COMPUTER_VISION',
      Task: 'IMAGE_CLASSIFICATION',
      SamplePayloadUrl: 's3://bucket/payload.tar.gz',
      InferenceSpecification: { Containers: [container], ...SERVED },
    },
  });
  const chain = new RegisterModelStep('Chain-RegisterModel', {
    arguments: {
      ModelPackageGroupName: 'group',
      ModelApprovalStatus: 'PendingManualApproval',
      InferenceSpecification: {
        Containers: [container, { Image: `${IMAGE}0`, ModelDataUrl: 's3://bucket/second.tar.gz' }],
        ...SERVED,
      },
    },
  });
  return new Pipeline('p', { parameters: [approval], steps: [train, make, predict, register, chain] });
}

export function endpoints(): Pipeline {
  const config = new EndpointConfigStep('Configure', {
    cache: { expireAfter: 'P1D' },
    retry: [{ exceptions: ['Step.THROTTLING'], maxAttempts: 3 }],
    arguments: {
      EndpointConfigName: 'planes',
      ProductionVariants: [
        {
          VariantName: 'AllTraffic',
          ModelName: 'planes',
          InitialVariantWeight: 1,
          InitialInstanceCount: 1,
          InstanceType: 'ml.g5.xlarge',
        },
      ],
      KmsKeyId: KEY,
    },
  });
  const endpoint = new EndpointStep('Deploy', {
    dependsOn: [config],
    arguments: { EndpointName: 'planes', EndpointConfigName: 'planes' },
  });
  const component = new InferenceComponentStep('Component', {
    dependsOn: [endpoint],
    arguments: {
      InferenceComponentName: 'planes',
      EndpointName: 'planes',
      VariantName: 'AllTraffic',
      Specification: {
        ModelName: 'planes',
        ComputeResourceRequirements: { MinMemoryRequiredInMb: 1024, NumberOfAcceleratorDevicesRequired: 1 },
      },
      RuntimeConfig: { CopyCount: 1 },
    },
  });
  return new Pipeline('p', { steps: [config, endpoint, component] });
}
