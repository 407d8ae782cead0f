// A planted defect for every rule of our pack, and the same thing done right.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Stack, Validations } from 'aws-cdk-lib';
import { ManagedPolicy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { CfnEndpointConfig, CfnModel, CfnModelPackage, CfnPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { ScanlineChecks } from '../../../lib/nag';
import { temporaryFolder } from '../../training/temporary-folder';

type Json = Readonly<Record<string, unknown>>;

const newStack = () => new Stack(new App({ outdir: temporaryFolder() }), 'Test');

const findings = (stack: Stack) => new ScanlineChecks().validateScope(stack).violations.map(({ ruleName }) => ruleName);

function pipeline(
  stack: Stack,
  steps: readonly unknown[],
  {
    parameters = [],
    roleArn = 'arn:aws:iam::111122223333:role/r',
  }: { parameters?: readonly Json[]; roleArn?: string } = {},
): CfnPipeline {
  const body = stack.toJsonString({ Version: '2020-12-01', Parameters: parameters, Steps: steps });
  return new CfnPipeline(stack, 'Pipeline', {
    pipelineName: 'p',
    roleArn,
    pipelineDefinition: { PipelineDefinitionBody: body },
  });
}

/** What the pack finds in a pipeline of these steps. */
function found(steps: readonly unknown[], parameters: readonly Json[] = []): string[] {
  const stack = newStack();
  pipeline(stack, steps, { parameters });
  return findings(stack);
}

const cluster = { InstanceType: 'ml.m5.xlarge', InstanceCount: 1, VolumeSizeInGB: 30, VolumeKmsKeyId: 'key' };

const processing = (change: Json = {}, type = 'Processing') => ({
  Name: 'Prepare',
  Type: type,
  Arguments: {
    ProcessingResources: { ClusterConfig: cluster },
    ProcessingOutputConfig: { Outputs: [{ OutputName: 'o' }], KmsKeyId: 'key' },
    NetworkConfig: { EnableNetworkIsolation: true },
    ...change,
  },
});

const trainingJob = (change: Json = {}) => ({
  ResourceConfig: cluster,
  OutputDataConfig: { S3OutputPath: 's3://b/o', KmsKeyId: 'key' },
  EnableNetworkIsolation: true,
  ...change,
});

const training = (change: Json = {}) => ({ Name: 'Train', Type: 'Training', Arguments: trainingJob(change) });

const tuning = (change: Json = {}) => ({
  Name: 'Tune',
  Type: 'Tuning',
  Arguments: { TrainingJobDefinition: trainingJob(change) },
});

const transform = (change: Json = {}) => ({
  Name: 'Infer',
  Type: 'Transform',
  Arguments: { TransformResources: cluster, TransformOutput: { S3OutputPath: 's3://b/o', KmsKeyId: 'key' }, ...change },
});

const withoutKey = { ...cluster, VolumeKmsKeyId: undefined };

test('steps that are protected have no findings', () => {
  assert.deepEqual(found([processing(), training(), tuning(), transform()]), []);
});

test('JobVolumeEncrypted: a volume without a key, of every kind of job', () => {
  const steps = [
    processing({ ProcessingResources: { ClusterConfig: withoutKey } }),
    training({ ResourceConfig: withoutKey }),
    tuning({ ResourceConfig: withoutKey }),
    transform({ TransformResources: withoutKey }),
  ];
  assert.deepEqual(
    found(steps),
    ['Prepare', 'Train', 'Tune', 'Infer'].map((step) => `Scanline-JobVolumeEncrypted[${step}]`),
  );
});

test('JobVolumeEncrypted: an instance type with local disks takes no key, also as the default of a parameter', () => {
  const parameters = [{ Name: 'Type', Type: 'String', DefaultValue: 'ml.g5.xlarge' }];
  const at = (InstanceType: unknown) => training({ ResourceConfig: { ...withoutKey, InstanceType } });
  assert.deepEqual(found([at('ml.g5.xlarge')]), []);
  assert.deepEqual(found([at({ Get: 'Parameters.Type' })], parameters), []);
  assert.deepEqual(found([at({ Get: 'Parameters.Type' })]), ['Scanline-JobVolumeEncrypted[Train]']);
});

test('JobOutputEncrypted: an output without a key, of every kind of job', () => {
  const output = { S3OutputPath: 's3://b/o' };
  const steps = [
    processing({ ProcessingOutputConfig: { Outputs: [{ OutputName: 'o' }] } }),
    training({ OutputDataConfig: output }),
    tuning({ OutputDataConfig: { ...output, KmsKeyId: '' } }),
    transform({ TransformOutput: output }),
  ];
  assert.deepEqual(
    found(steps),
    ['Prepare', 'Train', 'Tune', 'Infer'].map((step) => `Scanline-JobOutputEncrypted[${step}]`),
  );
});

test('a processing job without outputs needs no key for them', () => {
  assert.deepEqual(found([processing({ ProcessingOutputConfig: undefined })]), []);
});

test('JobEnclosed: a job with neither isolation nor a VPC, in the branch of a condition too', () => {
  const steps = [training({ EnableNetworkIsolation: false }), processing({ NetworkConfig: undefined })];
  const condition = { Name: 'If', Type: 'Condition', Arguments: { Conditions: [], IfSteps: steps, ElseSteps: [] } };
  assert.deepEqual(found([condition]), ['Scanline-JobEnclosed[Train]', 'Scanline-JobEnclosed[Prepare]']);
});

test('a job in a VPC is enclosed', () => {
  const vpc = { Subnets: ['subnet-1'], SecurityGroupIds: ['sg-1'] };
  assert.deepEqual(found([training({ EnableNetworkIsolation: undefined, VpcConfig: vpc })]), []);
});

test('quality and bias checks are processing jobs too', () => {
  for (const type of ['QualityCheck', 'ClarifyCheck']) {
    assert.deepEqual(found([processing({ NetworkConfig: {} }, type)]), ['Scanline-JobEnclosed[Prepare]']);
  }
});

test('JobTrafficEncrypted: several instances, or a count that is chosen at the start, in the clear', () => {
  const rule = ['Scanline-JobTrafficEncrypted[Train]'];
  const at = (InstanceCount: unknown, more: Json = {}) =>
    training({ ResourceConfig: { ...cluster, InstanceCount }, ...more });
  assert.deepEqual(found([at(2)]), rule);
  assert.deepEqual(
    found([at({ Get: 'Parameters.Count' })], [{ Name: 'Count', Type: 'Integer', DefaultValue: 1 }]),
    rule,
  );
  assert.deepEqual(found([at(2, { EnableInterContainerTrafficEncryption: true })]), []);
  const groups = [1, 1].map((InstanceCount) => ({
    InstanceType: 'ml.m5.xlarge',
    InstanceCount,
    InstanceGroupName: 'g',
  }));
  assert.deepEqual(found([training({ ResourceConfig: { InstanceGroups: groups, VolumeKmsKeyId: 'key' } })]), rule);
});

test('the instance types that a tuning falls back to are alternatives: none speaks to another', () => {
  const tuning = (...counts: number[]) => {
    const InstanceConfigs = counts.map((InstanceCount) => ({ InstanceType: 'ml.g5.xlarge', InstanceCount }));
    const { ResourceConfig: _, ...job } = trainingJob();
    const TrainingJobDefinition = { ...job, HyperParameterTuningResourceConfig: { InstanceConfigs } };
    return { Name: 'Tune', Type: 'Tuning', Arguments: { TrainingJobDefinition } };
  };
  assert.deepEqual(found([tuning(1, 1)]), []);
  assert.deepEqual(found([tuning(1, 2)]), ['Scanline-JobTrafficEncrypted[Tune]']);
});

test('a tuning step of several definitions has findings for each', () => {
  const definitions = [trainingJob(), trainingJob({ DefinitionName: 'second', EnableNetworkIsolation: false })];
  const step = { Name: 'Tune', Type: 'Tuning', Arguments: { TrainingJobDefinitions: definitions } };
  assert.deepEqual(found([step]), ['Scanline-JobEnclosed[Tune.second]']);
});

test('AutoML is found by what it does not protect', () => {
  const SecurityConfig = {
    VolumeKmsKeyId: 'key',
    EnableInterContainerTrafficEncryption: true,
    VpcConfig: { Subnets: ['s'] },
  };
  const step = (Arguments: Json) => ({ Name: 'Auto', Type: 'AutoML', Arguments });
  const rules = ['VolumeEncrypted', 'OutputEncrypted', 'Enclosed', 'TrafficEncrypted'];
  assert.deepEqual(
    found([step({})]),
    rules.map((rule) => `Scanline-Job${rule}[Auto]`),
  );
  assert.deepEqual(found([step({ AutoMLJobConfig: { SecurityConfig }, OutputDataConfig: { KmsKeyId: 'key' } })]), []);
});

test('ModelEnclosed: a model with a way out, in a pipeline and in a template', () => {
  const step = (Arguments: Json) => ({ Name: 'Make', Type: 'Model', Arguments });
  assert.deepEqual(found([step({})]), ['Scanline-ModelEnclosed[Make]']);
  assert.deepEqual(found([step({ EnableNetworkIsolation: true })]), []);
  const stack = newStack();
  new CfnModel(stack, 'Open', {});
  assert.deepEqual(findings(stack), ['Scanline-ModelEnclosed']);
  const closed = newStack();
  new CfnModel(closed, 'Isolated', { enableNetworkIsolation: true });
  new CfnModel(closed, 'InVpc', { vpcConfig: { subnets: ['subnet-1'], securityGroupIds: ['sg-1'] } });
  assert.deepEqual(findings(closed), []);
});

test('ModelPackageEncrypted: a version without a key, in a pipeline and in a template', () => {
  const step = (Arguments: Json) => ({ Name: 'Register', Type: 'RegisterModel', Arguments });
  assert.deepEqual(found([step({})]), ['Scanline-ModelPackageEncrypted[Register]']);
  assert.deepEqual(found([step({ SecurityConfig: { KmsKeyId: 'key' } })]), []);
  const stack = newStack();
  new CfnModelPackage(stack, 'Version', {});
  assert.deepEqual(findings(stack), ['Scanline-ModelPackageEncrypted']);
  const encrypted = newStack();
  new CfnModelPackage(encrypted, 'Version', { securityConfig: { kmsKeyId: new Key(encrypted, 'Key').keyArn } });
  assert.deepEqual(findings(encrypted), []);
});

test('EndpointConfigEncrypted: an endpoint configuration of the pipeline without a key', () => {
  const step = (Arguments: Json) => ({ Name: 'Serve', Type: 'EndpointConfig', Arguments });
  assert.deepEqual(found([step({})]), ['Scanline-EndpointConfigEncrypted[Serve]']);
  assert.deepEqual(found([step({ KmsKeyId: 'key' })]), []);
});

test('EndpointConfigEncrypted: local disks, and no disks at all, need no key, as SageMaker takes none', () => {
  const step = (...ProductionVariants: Json[]) => [
    { Name: 'Serve', Type: 'EndpointConfig', Arguments: { ProductionVariants } },
  ];
  assert.deepEqual(found(step({ InstanceType: 'ml.g5.xlarge' }, { ServerlessConfig: {} })), []);
  const mixed = step({ InstanceType: 'ml.g5.xlarge' }, { InstanceType: 'ml.m5.xlarge' });
  assert.deepEqual(found(mixed), ['Scanline-EndpointConfigEncrypted[Serve]']);
});

test('EndpointDataEncrypted: what an endpoint captures or answers without a key, of a pipeline and of a template', () => {
  const capture = { EnableCapture: true, InitialSamplingPercentage: 1, DestinationS3Uri: 's3://b', CaptureOptions: [] };
  const answers = { S3OutputPath: 's3://b' };
  const step = (Arguments: Json) => [
    { Name: 'Serve', Type: 'EndpointConfig', Arguments: { KmsKeyId: 'k', ...Arguments } },
  ];
  const finding = ['Scanline-EndpointDataEncrypted[Serve]'];
  assert.deepEqual(found(step({ DataCaptureConfig: capture })), finding);
  assert.deepEqual(found(step({ AsyncInferenceConfig: { OutputConfig: answers } })), finding);
  assert.deepEqual(found(step({ DataCaptureConfig: { ...capture, KmsKeyId: 'key' } })), []);
  assert.deepEqual(found(step({ DataCaptureConfig: { ...capture, EnableCapture: false } })), []);

  const inTemplate = (kmsKeyId?: string) => {
    const stack = newStack();
    new CfnEndpointConfig(stack, 'Config', {
      productionVariants: [{ variantName: 'v', modelName: 'm', initialVariantWeight: 1 }],
      asyncInferenceConfig: { outputConfig: { s3OutputPath: 's3://b', ...(kmsKeyId && { kmsKeyId }) } },
    });
    return findings(stack);
  };
  assert.deepEqual(inTemplate(), ['Scanline-EndpointDataEncrypted']);
  assert.deepEqual(inTemplate('key'), []);
});

const assumedBy = new ServicePrincipal('sagemaker.amazonaws.com');

const BROAD: Readonly<Record<string, (role: Role) => void>> = {
  AmazonSageMakerFullAccess: (role) =>
    role.addManagedPolicy(ManagedPolicy.fromAwsManagedPolicyName('AmazonSageMakerFullAccess')),
  AdministratorAccess: (role) => role.addManagedPolicy(ManagedPolicy.fromAwsManagedPolicyName('AdministratorAccess')),
  'Action::sagemaker:*': (role) =>
    role.addToPolicy(new PolicyStatement({ actions: ['sagemaker:*'], resources: ['*'] })),
  'Action::*': (role) => {
    const statements = [new PolicyStatement({ actions: ['*'], resources: ['*'] })];
    new ManagedPolicy(role, 'Broad', { roles: [role], statements });
  },
};

for (const [name, broaden] of Object.entries(BROAD)) {
  test(`PipelineRoleNarrow and JobRoleNarrow: ${name}`, () => {
    const stack = newStack();
    const [narrow, broad] = ['Narrow', 'Broad'].map((id) => new Role(stack, id, { assumedBy }));
    broaden(broad as Role);
    narrow?.addToPolicy(new PolicyStatement({ actions: ['s3:GetObject'], resources: ['arn:aws:s3:::b/*'] }));
    const of = (pipelineRole: Role | undefined, jobRole: Role | undefined) => {
      stack.node.tryRemoveChild('Pipeline');
      pipeline(stack, [training({ RoleArn: jobRole?.roleArn })], { roleArn: pipelineRole?.roleArn as string });
      return findings(stack);
    };
    assert.deepEqual(of(broad, narrow), [`Scanline-PipelineRoleNarrow[${name}]`]);
    assert.deepEqual(of(narrow, broad), [`Scanline-JobRoleNarrow[${name}]`]);
    assert.deepEqual(of(narrow, narrow), []);
  });
}

test('a broad action on one resource is not broad', () => {
  const stack = newStack();
  const role = new Role(stack, 'Role', { assumedBy });
  role.addToPolicy(new PolicyStatement({ actions: ['s3:*'], resources: ['arn:aws:s3:::one/*'] }));
  pipeline(stack, [], { roleArn: role.roleArn });
  assert.deepEqual(findings(stack), []);
});

test('references in a definition count as given', () => {
  const stack = newStack();
  const VolumeKmsKeyId = new Key(stack, 'Key').keyArn;
  pipeline(stack, [training({ ResourceConfig: { ...cluster, VolumeKmsKeyId } })]);
  assert.deepEqual(findings(stack), []);
});

test('a switch that a parameter turns off by default is off', () => {
  const parameters = [{ Name: 'Isolated', Type: 'Boolean', DefaultValue: false }];
  const step = training({ EnableNetworkIsolation: { Get: 'Parameters.Isolated' } });
  assert.deepEqual(found([step], parameters), ['Scanline-JobEnclosed[Train]']);
});

test('a definition in S3 is not looked into', () => {
  const stack = newStack();
  const pipelineDefinition = { PipelineDefinitionS3Location: { Bucket: 'b', Key: 'k' } };
  new CfnPipeline(stack, 'Pipeline', {
    pipelineName: 'p',
    roleArn: 'arn:aws:iam::111122223333:role/r',
    pipelineDefinition,
  });
  assert.deepEqual(findings(stack), []);
});

test('one finding is acknowledged by its step, and the others stay', () => {
  const stack = newStack();
  const open = { EnableNetworkIsolation: false };
  const resource = pipeline(stack, [training(open), tuning(open)]);
  Validations.of(resource).acknowledge({ id: 'Scanline-JobEnclosed[Train]', reason: 'it fetches weights' });
  assert.deepEqual(findings(stack), ['Scanline-JobEnclosed[Tune]']);
});
