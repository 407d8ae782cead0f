// The training stack with tracking, by its props or the context: what the job is told, what its role may do, and its network.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack as Imports, type Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { ScanlineChecks } from '../../../lib/nag';
import type { StepDefinition } from '../../../lib/pipeline';
import { temporaryFolder } from '../../training/temporary-folder';
import { importedVpc } from './imported-vpc';

const SERVER = 'arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/lab';
const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:wandb-AbCdEf';

function synth(props: TrainingStackProps, context: Record<string, unknown> = {}) {
  const app = new App({ outdir: temporaryFolder(), context });
  const stack: Stack = new TrainingStack(app, 'Test', props);
  const template = Template.fromStack(stack);
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody;
  const { Steps } = JSON.parse(resolveTemplate(body, template.toJSON()) as string) as { Steps: StepDefinition[] };
  const job = Steps.find(({ Name }) => Name === 'Train')?.Arguments as Record<string, Record<string, unknown>>;
  return { stack, template, job, policies: JSON.stringify(template.findResources('AWS::IAM::ManagedPolicy')) };
}

test('without tracking the job is told of nothing, and is cut off from the network', () => {
  const { job } = synth({});
  assert.equal(job.Environment, undefined);
  assert.equal(job.EnableNetworkIsolation, true);
});

test('TensorBoard alone leaves the job cut off from the network', () => {
  const { job } = synth({ tracking: { tensorBoardUri: 's3://mine/boards' } });
  assert.equal(job.Environment?.TENSORBOARD_LOG_DIR, '/opt/ml/output/tensorboard');
  assert.ok(job.TensorBoardOutputConfig);
  assert.equal(job.EnableNetworkIsolation, true);
});

test('with MLflow and W&B the job knows server and secret, may use both, and has a network', () => {
  const wandbSecret = Secret.fromSecretCompleteArn(new Imports(new App(), 'Imports'), 'Key', SECRET);
  const { job, policies } = synth({ tracking: { serverArn: SERVER, wandbSecret, wandbProject: 'chest' } });
  assert.equal(job.Environment?.MLFLOW_TRACKING_URI, SERVER);
  assert.equal(job.Environment?.WANDB_API_KEY_SECRET_ARN, SECRET);
  assert.equal(job.Environment?.WANDB_PROJECT, 'chest');
  assert.equal(job.EnableNetworkIsolation, undefined);
  assert.match(policies, /sagemaker-mlflow:LogMetric/);
  assert.match(policies, /secretsmanager:GetSecretValue/);
});

test('an MLflow server that is made keeps its artifacts in the bucket of the stack', () => {
  const { template } = synth({ tracking: { serverName: 'lab' } });
  const [bucket] = Object.keys(template.findResources('AWS::S3::Bucket'));
  template.hasResourceProperties('AWS::SageMaker::MlflowTrackingServer', {
    TrackingServerName: 'lab',
    ArtifactStoreUri: { 'Fn::Join': ['', ['s3://', { Ref: bucket }, '/mlflow']] },
  });
});

test('the training may run in a VPC, where our rules find nothing about it', () => {
  const { stack, job } = synth({ tracking: { serverArn: SERVER }, vpc: importedVpc() });
  assert.deepEqual(job.VpcConfig?.Subnets, ['subnet-0123456789abcdef0']);
  assert.deepEqual(new ScanlineChecks().validateScope(stack).violations, []);
});

test('the context says what is tracked, and the props win', () => {
  const context = { mlflowServerArn: SERVER, mlflowExperiment: 'ours', wandbSecretArn: SECRET };
  const { job } = synth({}, context);
  assert.equal(job.Environment?.MLFLOW_TRACKING_URI, SERVER);
  assert.equal(job.Environment?.MLFLOW_EXPERIMENT_NAME, 'ours');
  assert.equal(job.Environment?.WANDB_API_KEY_SECRET_ARN, SECRET);
  const other = synth({ tracking: { serverArn: `${SERVER}-2` } }, context);
  assert.equal(other.job.Environment?.MLFLOW_TRACKING_URI, `${SERVER}-2`);
});

test('a secret in the context that is no ARN of one is refused', () => {
  assert.throws(
    () => synth({}, { wandbSecretArn: 'my-key' }),
    /wandbSecretArn of the context is 'my-key'; allowed is the whole ARN of a secret in Secrets Manager/,
  );
});
