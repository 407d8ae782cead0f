// The training stack as a template: the pipeline that it deploys, its defaults, and what of one's own it takes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { allSteps, dependenciesOf, PipelineError, type StepDefinition } from '../../../lib/pipeline';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';

interface Definition {
  readonly Parameters: readonly { readonly Name: string; readonly DefaultValue: unknown }[];
  readonly Steps: readonly StepDefinition[];
}

function synth(props: TrainingStackProps = {}) {
  const app = new App({ outdir: temporaryFolder() });
  const template = Template.fromStack(new TrainingStack(app, 'Test', props));
  const [pipeline] = Object.values(template.findResources('AWS::SageMaker::Pipeline'));
  const body = pipeline?.Properties.PipelineDefinition.PipelineDefinitionBody;
  const definition: Definition = JSON.parse(resolveTemplate(body, template.toJSON()) as string);
  const step = (name: string) => allSteps(definition.Steps).find(({ Name }) => Name === name) as StepDefinition;
  return { template, definition, step };
}

// synthesising takes a second, and nothing here changes it
const bare = synth();

function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce((inner, key) => (inner as Record<string | number, unknown> | undefined)?.[key], value);
}

test('there is one pipeline', () => {
  bare.template.resourceCountIs('AWS::SageMaker::Pipeline', 1);
});

test('it splits, trains, evaluates, and gates', () => {
  assert.deepEqual(
    bare.definition.Steps.map(({ Name, Type }) => [Name, Type]),
    [
      ['Split', 'Processing'],
      ['Train', 'Training'],
      ['Evaluate', 'Processing'],
      ['Gate', 'Condition'],
    ],
  );
});

test('each step waits for what it takes its data from', () => {
  assert.deepEqual(dependenciesOf(bare.step('Split')), []);
  assert.deepEqual(dependenciesOf(bare.step('Train')), ['Split']);
  assert.deepEqual(dependenciesOf(bare.step('Evaluate')).sort(), ['Split', 'Train']);
  assert.deepEqual(dependenciesOf(bare.step('Gate')), ['Evaluate']);
});

test('it trains on train, validates on validation, and evaluates on test, which training never sees', () => {
  const output = (name: string) => ({
    Get: `Steps.Split.ProcessingOutputConfig.Outputs['${name}'].S3Output.S3Uri`,
  });
  const channels = bare.step('Train').Arguments?.InputDataConfig as object[];
  assert.deepEqual(
    channels.map((channel) => [at(channel, 'ChannelName'), at(channel, 'DataSource', 'S3DataSource', 'S3Uri')]),
    [
      ['train', output('train')],
      ['validation', output('validation')],
    ],
  );
  const inputs = bare.step('Evaluate').Arguments?.ProcessingInputs as object[];
  assert.deepEqual(
    inputs.map((input) => [at(input, 'InputName'), at(input, 'S3Input', 'S3Uri')]),
    [
      ['model', { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifacts' }],
      ['test', output('test')],
    ],
  );
});

test('the evaluation leaves a property file', () => {
  assert.deepEqual(bare.step('Evaluate').PropertyFiles, [
    { PropertyFileName: 'Evaluation', OutputName: 'evaluation', FilePath: 'evaluation.json' },
  ]);
});

test('the gate compares the accuracy in it with what is asked for', () => {
  assert.deepEqual(bare.step('Gate').Arguments?.Conditions, [
    {
      Type: 'GreaterThanOrEqualTo',
      LeftValue: {
        'Std:JsonGet': {
          PropertyFile: { Get: 'Steps.Evaluate.PropertyFiles.Evaluation' },
          Path: 'multiclass_classification_metrics.accuracy.value',
        },
      },
      RightValue: { Get: 'Parameters.LeastAccuracy' },
    },
  ]);
});

test('a model that passes is registered and made', () => {
  const branch = bare.step('Gate').Arguments?.IfSteps as StepDefinition[];
  assert.deepEqual(
    branch.map(({ Name, Type }) => [Name, Type]),
    [
      ['Register', 'RegisterModel'],
      ['CreateModel', 'Model'],
    ],
  );
});

test('a model that does not pass ends the execution, with a message that has both numbers', () => {
  const branch = bare.step('Gate').Arguments?.ElseSteps as StepDefinition[];
  assert.deepEqual(
    branch.map(({ Name, Type }) => [Name, Type]),
    [['GateFailed', 'Fail']],
  );
  const values = at(branch, 0, 'Arguments', 'ErrorMessage', 'Std:Join', 'Values') as unknown[];
  assert.deepEqual(
    values.map((value) => (typeof value === 'string' ? value : Object.keys(value as object)[0])),
    ["the model's accuracy is ", 'Std:JsonGet', ', and at least ', 'Get', ' is asked for'],
  );
});

test('the registered version says where its evaluation is', () => {
  const uri = at(bare.step('Register').Arguments, 'ModelMetrics', 'ModelQuality', 'Statistics', 'S3Uri');
  assert.deepEqual(uri, {
    'Std:Join': {
      On: '/',
      Values: [
        { Get: "Steps.Evaluate.ProcessingOutputConfig.Outputs['evaluation'].S3Output.S3Uri" },
        'evaluation.json',
      ],
    },
  });
});

test('the split runs on ml.m5.xlarge', () => {
  const type = at(bare.step('Split').Arguments, 'ProcessingResources', 'ClusterConfig', 'InstanceType');
  assert.equal(type, 'ml.m5.xlarge');
});

test('the training runs on one ml.g5.xlarge, unless another type is chosen at the start', () => {
  const { InstanceType, InstanceCount } = at(bare.step('Train').Arguments, 'ResourceConfig') as Record<string, unknown>;
  assert.deepEqual([InstanceType, InstanceCount], [{ Get: 'Parameters.TrainingInstanceType' }, 1]);
  const parameter = bare.definition.Parameters.find(({ Name }) => Name === 'TrainingInstanceType');
  assert.equal(parameter?.DefaultValue, 'ml.g5.xlarge');
});

test('the least accuracy is 0.9, unless it is given', () => {
  const least = ({ definition }: ReturnType<typeof synth>) =>
    definition.Parameters.find(({ Name }) => Name === 'LeastAccuracy')?.DefaultValue;
  assert.equal(least(bare), 0.9);
  assert.equal(least(synth({ leastAccuracy: 0 })), 0);
});

test('versions wait for approval, and only the three statuses of SageMaker may be chosen', () => {
  assert.deepEqual(
    bare.definition.Parameters.find(({ Name }) => Name === 'ApprovalStatus'),
    {
      Name: 'ApprovalStatus',
      Type: 'String',
      DefaultValue: 'PendingManualApproval',
      EnumValues: ['Approved', 'PendingManualApproval', 'Rejected'],
    },
  );
});

test('it makes a bucket that is encrypted, versioned, closed to the public, and kept', () => {
  bare.template.hasResource('AWS::S3::Bucket', {
    DeletionPolicy: 'Retain',
    Properties: {
      VersioningConfiguration: { Status: 'Enabled' },
      PublicAccessBlockConfiguration: {
        BlockPublicAcls: true,
        BlockPublicPolicy: true,
        IgnorePublicAcls: true,
        RestrictPublicBuckets: true,
      },
      BucketEncryption: {
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'aws:kms' } }],
      },
    },
  });
});

/** Where a step says which key it uses, by the name of the step. */
const KEYS: Readonly<Record<string, readonly (readonly string[])[]>> = {
  Split: [
    ['ProcessingResources', 'ClusterConfig', 'VolumeKmsKeyId'],
    ['ProcessingOutputConfig', 'KmsKeyId'],
  ],
  Train: [['OutputDataConfig', 'KmsKeyId']],
  Evaluate: [
    ['ProcessingResources', 'ClusterConfig', 'VolumeKmsKeyId'],
    ['ProcessingOutputConfig', 'KmsKeyId'],
  ],
  Register: [['SecurityConfig', 'KmsKeyId']],
};

function keysOf({ step }: ReturnType<typeof synth>): unknown[] {
  return Object.entries(KEYS).flatMap(([name, paths]) => paths.map((path) => at(step(name).Arguments, ...path)));
}

test('one key encrypts the bucket, and the volumes and outputs of all jobs, and what is registered', () => {
  bare.template.resourceCountIs('AWS::KMS::Key', 1);
  const [key] = Object.keys(bare.template.findResources('AWS::KMS::Key'));
  const arn = resolveTemplate({ 'Fn::GetAtt': [key, 'Arn'] }, bare.template.toJSON());
  assert.deepEqual([...new Set(keysOf(bare))], [arn]);
  bare.template.hasResourceProperties('AWS::S3::Bucket', {
    BucketEncryption: {
      ServerSideEncryptionConfiguration: [
        { ServerSideEncryptionByDefault: { KMSMasterKeyID: { 'Fn::GetAtt': [key, 'Arn'] } } },
      ],
    },
  });
});

test('an existing key is used instead', () => {
  const arn = 'arn:aws:kms:us-east-1:111122223333:key/mine';
  const made = synth({ key: Key.fromKeyArn(new Stack(new App(), 'Imports'), 'Key', arn) });
  made.template.resourceCountIs('AWS::KMS::Key', 0);
  assert.deepEqual([...new Set(keysOf(made))], [arn]);
});

test('the volume of the training gets the key unless the instance type has local disks, for which SageMaker takes none', () => {
  const volumeKey = (type?: string) =>
    at(
      synth({ ...(type && { trainingInstanceType: type }) }).step('Train').Arguments,
      'ResourceConfig',
      'VolumeKmsKeyId',
    );
  assert.equal(volumeKey(), undefined);
  assert.match(String(volumeKey('ml.p3.2xlarge')), /^arn:aws:kms:/);
});

test('no job and no model has a network', () => {
  for (const name of ['Split', 'Evaluate']) {
    assert.equal(at(bare.step(name).Arguments, 'NetworkConfig', 'EnableNetworkIsolation'), true, name);
  }
  for (const name of ['Train', 'CreateModel']) {
    assert.equal(at(bare.step(name).Arguments, 'EnableNetworkIsolation'), true, name);
  }
});

test('it makes a role for the pipeline and another for the jobs, both for SageMaker, neither with a policy of AWS', () => {
  const roles = Object.entries(bare.template.findResources('AWS::IAM::Role'));
  assert.equal(roles.length, 2);
  for (const [id, { Properties }] of roles) {
    const [statement] = Properties.AssumeRolePolicyDocument.Statement;
    assert.deepEqual(statement.Principal, { Service: 'sagemaker.amazonaws.com' }, id);
    assert.equal(Properties.ManagedPolicyArns, undefined, id);
  }
  const idOf = (prefix: string) => roles.find(([id]) => id.startsWith(prefix))?.[0];
  const localArn = (id: string | undefined) => `arn:aws:iam::000000000000:role/${id?.toLowerCase()}`;
  bare.template.hasResourceProperties('AWS::SageMaker::Pipeline', {
    RoleArn: { 'Fn::GetAtt': [idOf('PipelineRole'), 'Arn'] },
  });
  for (const name of ['Split', 'Train', 'Evaluate'])
    assert.equal(bare.step(name).Arguments?.RoleArn, localArn(idOf('JobRole')), name);
  assert.equal(bare.step('CreateModel').Arguments?.ExecutionRoleArn, localArn(idOf('JobRole')));
});

test('the pipeline may start the jobs of each of its steps', () => {
  const policies = JSON.stringify(bare.template.findResources('AWS::IAM::ManagedPolicy'));
  for (const [call, name] of [
    ['CreateProcessingJob', 'processing-job/pipelines-*-Split*'],
    ['CreateTrainingJob', 'training-job/pipelines-*-Train*'],
    ['CreateModel"', 'model/pipelines-*-CreateModel*'],
    ['CreateModelPackage', 'model-package/scanline-training/*'],
  ] as const) {
    assert.ok(policies.includes(`sagemaker:${call}`), call);
    assert.ok(policies.includes(`:${name}"`), name);
  }
});

test('an existing role for the pipeline leaves the jobs with theirs', () => {
  const arn = 'arn:aws:iam::111122223333:role/mine';
  const { template, step } = synth({ pipelineRole: Role.fromRoleArn(new Stack(new App(), 'Imports'), 'Role', arn) });
  template.resourceCountIs('AWS::IAM::Role', 1);
  template.hasResourceProperties('AWS::SageMaker::Pipeline', { RoleArn: arn });
  assert.match(String(step('Train').Arguments?.RoleArn), /jobrole/);
});

test('an existing role is not changed: what is made lets it in', () => {
  const arn = 'arn:aws:iam::111122223333:role/mine';
  const { template } = synth({ role: Role.fromRoleArn(new Stack(new App(), 'Imports'), 'Role', arn) });
  for (const type of ['Role', 'Policy', 'ManagedPolicy']) template.resourceCountIs(`AWS::IAM::${type}`, 0);
  const letsIn = (type: string) =>
    JSON.stringify(template.findResources(type)).includes(`"Principal":{"AWS":"${arn}"}`);
  assert.deepEqual(['AWS::KMS::Key', 'AWS::S3::BucketPolicy'].map(letsIn), [true, true]);
});

test('an existing role and an existing bucket are used, and none is made', () => {
  const arn = 'arn:aws:iam::111122223333:role/mine';
  const imports = new Stack(new App(), 'Imports');
  const { template, definition, step } = synth({
    role: Role.fromRoleArn(imports, 'Role', arn),
    bucket: Bucket.fromBucketName(imports, 'Bucket', 'mine'),
  });
  template.resourceCountIs('AWS::IAM::Role', 0);
  template.resourceCountIs('AWS::S3::Bucket', 0);
  template.hasResourceProperties('AWS::SageMaker::Pipeline', { RoleArn: arn });
  assert.equal(step('Train').Arguments?.RoleArn, arn);
  assert.equal(definition.Parameters.find(({ Name }) => Name === 'InputData')?.DefaultValue, 's3://mine/raw');
});

test('hyperparameters, shares and groups come to their steps', () => {
  const { step } = synth({
    hyperparameters: { num_epochs: 7, img_size: [48, 32] },
    fractions: [0.5, 0.25, 0.25],
    groupBy: 'folder',
  });
  assert.deepEqual(step('Train').Arguments?.HyperParameters, { num_epochs: '7', img_size: '48,32' });
  const args = (at(step('Split').Arguments, 'AppSpecification', 'ContainerArguments') as string[]).join(' ');
  assert.match(args, /--fractions 0\.5,0\.25,0\.25/);
  assert.match(args, /--group-by folder/);
});

test('all that is wrong with the props is told at once, before any stage tells its own', () => {
  const props = {
    ...{ pipelineName: 'lungs_v1', imageUri: 'scanline:latest', trainingInstanceType: 'g5.xlarge' },
    ...{ leastAccuracy: 90, groupBy: 'patient', hyperparameters: { num_epochs: 0 } },
  };
  assert.throws(
    () => new TrainingStack(new App({ outdir: temporaryFolder() }), 'Test', props),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.findings.length, Object.keys(props).length, error.message);
      assert.match(error.message, /leastAccuracy is 90; allowed is a number from 0 to 1\.\n +Fix: give e\.g\. 0\.9\./);
      return true;
    },
  );
});

test('an error that nobody catches prints its findings once', () => {
  const { stderr } = spawnSync(
    process.execPath,
    [
      '-e',
      "const { App } = require('aws-cdk-lib'); new (require('scanline-sagemaker').TrainingStack)(new App(), 'T', { leastAccuracy: 90 })",
    ],
    { cwd: packageRoot, encoding: 'utf8' },
  );
  assert.equal(stderr.match(/leastAccuracy is 90/g)?.length, 1, stderr);
});
