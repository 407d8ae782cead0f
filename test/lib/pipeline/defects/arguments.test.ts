// Planted defects of arguments: missing, not known, out of range, no URI.
import { PLANTED, parameter, testDefects } from './planted';

testDefects({
  'a missing argument': {
    step: 'Train',
    change: (args) => {
      delete args.RoleArn;
    },
    problem: /no RoleArn, which CreateTrainingJobRequest must have/,
    fix: /give it RoleArn/,
  },
  'a missing argument inside another': {
    step: 'Train',
    change: (args) => {
      delete args.OutputDataConfig.S3OutputPath;
    },
    problem: /no OutputDataConfig\.S3OutputPath/,
    fix: /give it OutputDataConfig\.S3OutputPath/,
  },
  'a missing argument of which there are two': {
    step: 'MakeModel',
    change: (args) => {
      delete args.PrimaryContainer;
    },
    problem: /no PrimaryContainer and no Containers/,
    fix: /PrimaryContainer or Containers/,
  },
  'a function without its ARN': {
    step: 'Ask',
    change: (_, step) => {
      delete step.FunctionArn;
    },
    problem: /no FunctionArn/,
    fix: /give it FunctionArn/,
  },
  'a cluster that is not named': {
    step: 'Spark',
    change: (args) => {
      delete args.ClusterId;
    },
    problem: /no ClusterId and no ClusterConfig/,
    fix: /ClusterId or ClusterConfig/,
  },
  'a member that there is not': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstancType = 'ml.g5.xlarge';
    },
    problem: /ResourceConfig\.InstancType; ResourceConfig has no such member/,
    fix: /InstanceType/,
  },
  'an instance type that there is not': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceType = 'ml.g5.xlrage';
    },
    problem: /InstanceType is ml\.g5\.xlrage, which is no TrainingInstanceType/,
    fix: /ml\.g5\.xlarge/,
  },
  'a default of a parameter that is no instance type': {
    step: 'Train',
    change: (args, _, { Parameters }) => {
      Parameters.push(parameter('String', 'ml.g5.xlrage'));
      args.ResourceConfig.InstanceType = PLANTED;
    },
    problem: /the default of parameter Planted\) is ml\.g5\.xlrage/,
    fix: /ml\.g5\.xlarge/,
  },
  'an instance type in a list': {
    step: 'Register',
    change: (args) => {
      args.InferenceSpecification.SupportedTransformInstanceTypes = ['ml.nothing'];
    },
    problem: /SupportedTransformInstanceTypes\[0\] is ml\.nothing, which is no TransformInstanceType/,
    fix: /ml\./,
  },
  'a number out of its range': {
    step: 'Split',
    change: (args) => {
      args.ProcessingResources.ClusterConfig.InstanceCount = 101;
    },
    problem: /InstanceCount is 101/,
    fix: /from 1 to 100/,
  },
  'a URI that is none of S3': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = 'bucket/models';
    },
    problem: /S3OutputPath is bucket\/models, which is no S3 URI/,
    fix: /s3:\/\/bucket\/prefix/,
  },
  'a joined URI that is none of S3': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = { 'Std:Join': { On: '/', Values: ['s3:', { Get: 'Parameters.Mode' }] } };
    },
    problem: /is s3:\/…, which is no S3 URI/,
    fix: /s3:\/\/bucket\/prefix/,
  },
  'a bucket with capitals': {
    step: 'Train',
    change: (args) => {
      args.OutputDataConfig.S3OutputPath = 's3://My_Bucket/models';
    },
    problem: /no bucket can be called My_Bucket/,
    fix: /lower-case/,
  },
  'an image without a registry': {
    step: 'Train',
    change: (args) => {
      args.AlgorithmSpecification.TrainingImage = 'python:3';
    },
    problem: /TrainingImage is python:3, which is no URI of an image/,
    fix: /with the registry/,
  },
  'an image with a name of two parts, of which the first is no registry': {
    step: 'Train',
    change: (args) => {
      args.AlgorithmSpecification.TrainingImage = 'scanline/byoc:1';
    },
    problem: /TrainingImage is scanline\/byoc:1, which is no URI of an image/,
    fix: /with the registry/,
  },
  'an image with a scheme': {
    step: 'Split',
    change: (args) => {
      args.AppSpecification.ImageUri = `https://${args.AppSpecification.ImageUri}`;
    },
    problem: /is no URI of an image/,
    fix: /without https/,
  },
  'a role by its name': {
    step: 'Train',
    change: (args) => {
      args.RoleArn = 'SageMakerRole';
    },
    problem: /its RoleArn is SageMakerRole, which is no ARN of a role/,
    fix: /arn:aws:iam::/,
  },
  'a check of a kind that there is not': {
    step: 'Quality',
    change: (_, step) => {
      step.CheckType = 'DATA_BIAS';
    },
    problem: /its CheckType is DATA_BIAS/,
    fix: /DATA_QUALITY, MODEL_QUALITY/,
  },
  'two channels of one name': {
    step: 'Train',
    change: (args) => void args.InputDataConfig.push(args.InputDataConfig[0]),
    problem: /its InputDataConfig has train more than once/,
    fix: /a ChannelName of its own/,
  },
  'two outputs of one name': {
    step: 'Split',
    change: ({ ProcessingOutputConfig: { Outputs } }) => void Outputs.push(Outputs[0]),
    problem: /its ProcessingOutputConfig\.Outputs has \w+ more than once/,
    fix: /an? OutputName of its own/,
  },
  'two answers of a function of one name': {
    step: 'Ask',
    change: (_, { OutputParameters }) => void OutputParameters.push(OutputParameters[0]),
    problem: /its OutputParameters has verdict more than once/,
    fix: /OutputName of its own/,
  },
});
