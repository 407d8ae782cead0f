// The training stack as a template: the pipeline that it deploys, its defaults, and what of one's own it takes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { TrainingStack, type TrainingStackProps } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { allSteps, dependenciesOf, type StepDefinition } from '../../../lib/pipeline';
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
      ['RegisterModel', 'Model'],
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
        ServerSideEncryptionConfiguration: [{ ServerSideEncryptionByDefault: { SSEAlgorithm: 'AES256' } }],
      },
    },
  });
});

test('it makes a role that SageMaker takes on', () => {
  bare.template.hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: [{ Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'sagemaker.amazonaws.com' } }],
    },
  });
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
