// Tracking: the server that is made, what a training job then has in its environment and its permissions, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import {
  ByocImage,
  ByocTraining,
  type ByocTrainingProps,
  Dataset,
  JobRole,
  Tracking,
  type TrackingProps,
} from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';
import { actionsOf, idOf, refusedProps, statementsOf } from '../small-pipeline';

const SERVER = 'arn:aws:sagemaker:us-east-1:111122223333:mlflow-tracking-server/clinic';

function synth(props: (stack: Stack) => TrackingProps, settings: Partial<ByocTrainingProps> = {}) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const tracking = new Tracking(stack, 'Tracking', props(stack));
  const { bucket, key } = new Dataset(stack, 'Data');
  const image = ByocImage.fromUri(stack, 'Image', 'registry.test/other:1');
  const role = new JobRole(stack, 'JobRole', { bucket, key, images: [image] });
  const training = new ByocTraining(stack, 'Train', {
    channels: {},
    output: 's3://b/out',
    image,
    role,
    tracking,
    ...settings,
  });
  const job = stack.resolve(JSON.parse(JSON.stringify(training.step.toDefinition()))).Arguments;
  return { stack, tracking, role, job, template: Template.fromStack(stack) };
}

function made(props: Partial<TrackingProps> = {}) {
  return synth((stack) => {
    const key = new Key(stack, 'Key');
    return { serverName: 'clinic', bucket: new Bucket(stack, 'Artifacts', { encryptionKey: key }), ...props };
  });
}

test('a server is made, small, with its artifacts in the bucket', () => {
  const { template } = made();
  template.hasResourceProperties('AWS::SageMaker::MlflowTrackingServer', {
    TrackingServerName: 'clinic',
    TrackingServerSize: 'Small',
    ArtifactStoreUri: {
      'Fn::Join': ['', ['s3://', { Ref: idOf(template, 'AWS::S3::Bucket', 'Artifacts') }, '/mlflow']],
    },
    AutomaticModelRegistration: false,
  });
});

test('its size, version, prefix and time of maintenance are taken', () => {
  const { template } = made({
    serverSize: 'Large',
    mlflowVersion: '3.0',
    maintenanceStart: 'Sun:03:00',
    artifactPrefix: 'runs',
  });
  template.hasResourceProperties('AWS::SageMaker::MlflowTrackingServer', {
    TrackingServerSize: 'Large',
    MlflowVersion: '3.0',
    WeeklyMaintenanceWindowStart: 'Sun:03:00',
    ArtifactStoreUri: { 'Fn::Join': ['', Match.arrayWith(['/runs'])] },
  });
});

test("the server's role may use its artifacts and the key, and the registry only where it registers", () => {
  const { template, tracking } = made();
  const role = tracking.node.findChild('Role') as Role;
  const actions = actionsOf(template, role);
  assert.deepEqual(
    actions.filter((action) => !action.startsWith('kms:')),
    ['s3:AbortMultipartUpload', 's3:GetObject', 's3:ListBucket', 's3:PutObject'],
  );
  const registering = made({ automaticModelRegistration: true });
  const registers = actionsOf(registering.template, registering.tracking.node.findChild('Role') as Role);
  assert.ok(registers.includes('sagemaker:CreateModelPackage'));
});

test('a job has the ARN of the server and the experiment in its environment, and may log to that server alone', () => {
  const { template, job, role } = made();
  const server = { 'Fn::GetAtt': [idOf(template, 'AWS::SageMaker::MlflowTrackingServer'), 'TrackingServerArn'] };
  assert.deepEqual(job.Environment, {
    MLFLOW_TRACKING_URI: server,
    MLFLOW_EXPERIMENT_NAME: { Get: 'Execution.PipelineName' },
  });
  const [mlflow, ...others] = statementsOf(template, role).filter(({ Action }) =>
    JSON.stringify(Action).includes('mlflow'),
  );
  assert.deepEqual(others, []);
  assert.deepEqual(mlflow?.Resource, server);
  assert.match(JSON.stringify(mlflow?.Action), /sagemaker-mlflow:LogBatch/);
  assert.doesNotMatch(JSON.stringify(mlflow?.Action), /\*|Delete/);
});

test('an existing server is used by its ARN, and an app may be called', () => {
  const { template, job, role } = synth(() => ({ serverArn: SERVER, experimentName: 'planes' }));
  template.resourceCountIs('AWS::SageMaker::MlflowTrackingServer', 0);
  assert.deepEqual(job.Environment, { MLFLOW_TRACKING_URI: SERVER, MLFLOW_EXPERIMENT_NAME: 'planes' });
  assert.equal(actionsOf(template, role).includes('sagemaker:CallMlflowAppApi'), false);
  const app = synth(() => ({ serverArn: SERVER.replace('mlflow-tracking-server', 'mlflow-app') }));
  assert.equal(actionsOf(app.template, app.role).includes('sagemaker:CallMlflowAppApi'), true);
});

test("TensorBoard's files go to a folder of the execution, also of a job without network", () => {
  const { job } = synth(() => ({ tensorBoardUri: 's3://b/tensorboard' }), { networkIsolation: true });
  assert.deepEqual(job.TensorBoardOutputConfig, {
    S3OutputPath: { 'Std:Join': { On: '/', Values: ['s3://b/tensorboard', { Get: 'Execution.PipelineExecutionId' }] } },
    LocalPath: '/opt/ml/output/tensorboard',
  });
  assert.deepEqual(job.Environment, { TENSORBOARD_LOG_DIR: '/opt/ml/output/tensorboard' });
});

test('a job gets the ARN of the secret with the key of W&B, and may read it; the key is nowhere', () => {
  const { template, job, role } = synth((stack) => ({
    wandbSecret: new Secret(stack, 'Wandb'),
    wandbProject: 'planes',
  }));
  const secret = { Ref: idOf(template, 'AWS::SecretsManager::Secret') };
  assert.deepEqual(job.Environment, { WANDB_API_KEY_SECRET_ARN: secret, WANDB_PROJECT: 'planes' });
  const reads = statementsOf(template, role).filter(({ Action }) => JSON.stringify(Action).includes('secretsmanager'));
  assert.deepEqual(
    reads.map(({ Resource }) => Resource),
    [secret],
  );
  assert.doesNotMatch(JSON.stringify(template.toJSON()), /resolve:secretsmanager/);
});

test("the job's own environment wins", () => {
  const { job } = synth(() => ({ serverArn: SERVER }), { environment: { MLFLOW_EXPERIMENT_NAME: 'mine' } });
  assert.equal(job.Environment.MLFLOW_EXPERIMENT_NAME, 'mine');
});

const refused: Record<string, [TrackingProps, string[]]> = {
  nothing: [{}, ['serverName']],
  'a server without a bucket': [{ serverName: 'clinic' }, ['bucket']],
  'a server that is made and one that exists': [{ serverName: 'a', serverArn: SERVER }, ['serverArn', 'bucket']],
  'an ARN of something else': [{ serverArn: 'arn:aws:s3:::bucket' }, ['serverArn']],
  'a name with a space': [{ serverName: 'a b' }, ['serverName', 'bucket']],
  'settings of a server that is not made here': [
    { serverArn: SERVER, serverSize: 'Small', mlflowVersion: '3.0' },
    ['serverSize', 'mlflowVersion'],
  ],
  'a size that there is not': [{ serverName: 'a', serverSize: 'Huge' as 'Large' }, ['bucket', 'serverSize']],
  'a version and a time that are none': [
    { serverName: 'a', mlflowVersion: 'new', maintenanceStart: 'sunday' },
    ['bucket', 'mlflowVersion', 'maintenanceStart'],
  ],
  'a prefix with a slash': [{ serverArn: SERVER, artifactPrefix: '/a' }, ['artifactPrefix']],
  'an experiment without a server': [{ tensorBoardUri: 's3://b/t', experimentName: 'e' }, ['experimentName']],
  'a folder that is not in S3': [{ tensorBoardUri: '/tmp/t' }, ['tensorBoardUri']],
  'a path of TensorBoard and a project of W&B alone': [
    { tensorBoardPath: '/t', wandbProject: 'p' },
    ['serverName', 'tensorBoardPath', 'wandbProject'],
  ],
};

for (const [what, [props, findings]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.deepEqual(
      refusedProps(() => synth(() => props)),
      findings,
    );
  });
}

test('what needs the network is refused for a job that is cut off from it', () => {
  const isolated = (props: (stack: Stack) => TrackingProps) => () => synth(props, { networkIsolation: true });
  assert.deepEqual(refusedProps(isolated(() => ({ serverArn: SERVER }))), ['tracking']);
  assert.deepEqual(refusedProps(isolated((stack) => ({ wandbSecret: new Secret(stack, 'Wandb') }))), ['tracking']);
});

test('two places for the files of TensorBoard are refused', () => {
  const tensorBoardOutput = { S3OutputPath: 's3://b/other' };
  assert.deepEqual(
    refusedProps(() => synth(() => ({ tensorBoardUri: 's3://b/t' }), { tensorBoardOutput })),
    ['tensorBoardOutput'],
  );
});
