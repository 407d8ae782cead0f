// Constructs in an app that has resources of its own: a bucket, a VPC, a function that is asked, and an alarm on executions that fail.
// `cdk deploy --app 'node dist/examples/beside-own-resources/app.js'`
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { GatewayVpcEndpointAwsService, IpAddresses, SubnetType, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Code, Function as Lambda, Runtime } from 'aws-cdk-lib/aws-lambda';
import { BlockPublicAccess, Bucket } from 'aws-cdk-lib/aws-s3';
import {
  ByocImage,
  ByocTraining,
  ConditionStep,
  Dataset,
  Evaluation,
  ExecutionVariables,
  equals,
  FailStep,
  JobRole,
  join,
  LambdaStep,
  PipelineRole,
  SageMakerPipeline,
  Split,
} from 'scanline-sagemaker';

const stack = new Stack(new App(), 'Ward');

// what the app has anyway
const key = new Key(stack, 'Key', { enableKeyRotation: true });
const bucket = new Bucket(stack, 'Archive', {
  encryptionKey: key,
  enforceSSL: true,
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
});
const vpc = new Vpc(stack, 'Vpc', {
  ipAddresses: IpAddresses.cidr('10.0.0.0/16'),
  natGateways: 0,
  subnetConfiguration: [{ name: 'jobs', subnetType: SubnetType.PRIVATE_ISOLATED }],
  gatewayEndpoints: { S3: { service: GatewayVpcEndpointAwsService.S3 } },
});
const review = new Lambda(stack, 'Review', {
  runtime: Runtime.NODEJS_22_X,
  handler: 'index.handler',
  code: Code.fromInline("exports.handler = async ({ report }) => ({ verdict: report ? 'release' : 'keep' });"),
  timeout: Duration.minutes(1),
});

// what Scanline adds
const dataset = new Dataset(stack, 'Dataset', { bucket, prefix: 'mri' });
const image = ByocImage.scanline(stack, 'Image');
const role = new JobRole(stack, 'JobRole', { bucket, key, images: [image] });
const output = join('/', dataset.uriOf('pipelines'), ExecutionVariables.pipelineExecutionId);
const split = new Split(stack, 'Split', { data: dataset.uri, output, image, role, key, groupBy: 'folder' });
const training = new ByocTraining(stack, 'Train', {
  channels: { train: split.train, validation: split.validation },
  hyperparameters: { model_name: 'vit', num_epochs: 30 },
  output,
  image,
  role,
  vpc,
  subnets: { subnetType: SubnetType.PRIVATE_ISOLATED },
  volumeKey: key,
  outputKey: key,
});
const evaluation = new Evaluation(stack, 'Evaluate', { training, test: split.test, output, role, key });
const ask = new LambdaStep('Ask', {
  functionArn: review.functionArn,
  inputs: { report: evaluation.report },
  outputs: { verdict: 'String' },
});
const gate = new ConditionStep('Gate', {
  conditions: [equals(ask.output('verdict'), 'release')],
  ifSteps: [],
  elseSteps: [new FailStep('Kept', { errorMessage: 'the review keeps the model' })],
});
const steps = [split.step, training.step, evaluation.step, ask, gate];
const pipelineName = 'ward';
new SageMakerPipeline(stack, 'Pipeline', {
  pipelineName,
  role: new PipelineRole(stack, 'PipelineRole', { pipelineName, steps, bucket, key, images: [image] }),
  steps,
  images: [image],
});

new Alarm(stack, 'Failed', {
  metric: new Metric({
    namespace: 'AWS/Sagemaker/ModelBuildingPipeline',
    metricName: 'ExecutionFailed',
    dimensionsMap: { PipelineName: pipelineName },
    statistic: 'Sum',
    period: Duration.minutes(5),
  }),
  threshold: 1,
  evaluationPeriods: 1,
});
