// The settings of every training stage: what each becomes in the step, and what is refused, all at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { SecurityGroup, Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { ByocImage, ByocTraining, type ByocTrainingProps, ParameterString, PipelineError } from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

type Props = Partial<ByocTrainingProps>;

function synth(props: (stack: Stack) => Props = () => ({})) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const training = new ByocTraining(stack, 'Train', {
    channels: { train: 's3://b/train' },
    output: 's3://b/out',
    image: ByocImage.fromUri(stack, 'Image', 'registry.test/other:1'),
    role: new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') }),
    ...props(stack),
  });
  const definition = stack.resolve(JSON.parse(JSON.stringify(training.step.toDefinition())));
  return { stack, training, definition, job: definition.Arguments };
}

function findingsOf(props: (stack: Stack) => Props): string[] {
  try {
    synth(props);
  } catch (error) {
    assert.ok(error instanceof PipelineError, String(error));
    for (const { where, problem, fix } of error.findings) {
      assert.equal(where, 'step Train at Test/Train');
      assert.match(problem, /^\S+ is .+; allowed is .+\.$/);
      assert.match(fix, /.\.$/);
    }
    return error.findings.map(({ problem }) => problem.replace(/;.*/s, ''));
  }
  return [];
}

test('without settings: one ml.g5.xlarge, 50 GB, a day, File, and nothing else', () => {
  const { job } = synth();
  assert.deepEqual(job.ResourceConfig, { InstanceType: 'ml.g5.xlarge', InstanceCount: 1, VolumeSizeInGB: 50 });
  assert.deepEqual(job.StoppingCondition, { MaxRuntimeInSeconds: 86_400 });
  assert.equal(job.AlgorithmSpecification.TrainingInputMode, 'File');
  assert.deepEqual(Object.keys(job).sort(), [
    'AlgorithmSpecification',
    'HyperParameters',
    'InputDataConfig',
    'OutputDataConfig',
    'ResourceConfig',
    'RoleArn',
    'StoppingCondition',
  ]);
});

test('spot waits twice the run time, and keeps checkpoints in a folder of this execution and step', () => {
  const { job } = synth(() => ({ spot: true, maxRuntime: Duration.hours(2) }));
  assert.equal(job.EnableManagedSpotTraining, true);
  assert.deepEqual(job.StoppingCondition, { MaxRuntimeInSeconds: 7200, MaxWaitTimeInSeconds: 14_400 });
  assert.deepEqual(job.CheckpointConfig, {
    S3Uri: {
      'Std:Join': {
        On: '/',
        Values: ['s3://b/out', 'checkpoints', { Get: 'Execution.PipelineExecutionId' }, 'Train'],
      },
    },
  });
});

test('a checkpoint and a wait that are given are taken, and a checkpoint without spot too', () => {
  const { job } = synth(() => ({ spot: true, checkpointUri: 's3://b/c', maxWait: Duration.days(2) }));
  assert.deepEqual(job.CheckpointConfig, { S3Uri: 's3://b/c' });
  assert.equal(job.StoppingCondition.MaxWaitTimeInSeconds, 172_800);
  const without = synth(() => ({ checkpointUri: 's3://b/c', checkpointPath: '/opt/ml/c' })).job;
  assert.deepEqual(without.CheckpointConfig, { S3Uri: 's3://b/c', LocalPath: '/opt/ml/c' });
  assert.equal(without.EnableManagedSpotTraining, undefined);
});

test('a warm pool keeps the instance and what pip and npm fetched; what is given wins', () => {
  const { job } = synth(() => ({
    keepAlive: Duration.minutes(30),
    environment: { PIP_CACHE_DIR: '/tmp/pip', A: '1' },
  }));
  assert.equal(job.ResourceConfig.KeepAlivePeriodInSeconds, 1800);
  assert.deepEqual(job.Environment, {
    PIP_CACHE_DIR: '/tmp/pip',
    npm_config_cache: '/opt/ml/sagemaker/warmpoolcache/npm',
    A: '1',
  });
  const plain = synth(() => ({ keepAlive: Duration.minutes(30) })).job;
  assert.equal(plain.Environment.PIP_CACHE_DIR, '/opt/ml/sagemaker/warmpoolcache/pip');
});

test('channels have an input mode, a distribution and the rest of their own', () => {
  const { job } = synth(() => ({
    inputMode: 'FastFile',
    channels: {
      train: {
        uri: 's3://b/t',
        inputMode: 'Pipe',
        distribution: 'ShardedByS3Key',
        shuffleSeed: 0,
        compression: 'Gzip',
      },
      labels: {
        uri: 's3://b/m',
        dataType: 'AugmentedManifestFile',
        attributeNames: ['ref'],
        recordWrapper: 'RecordIO',
      },
    },
  }));
  assert.equal(job.AlgorithmSpecification.TrainingInputMode, 'FastFile');
  assert.deepEqual(job.InputDataConfig, [
    {
      ChannelName: 'train',
      DataSource: {
        S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://b/t', S3DataDistributionType: 'ShardedByS3Key' },
      },
      InputMode: 'Pipe',
      CompressionType: 'Gzip',
      ShuffleConfig: { Seed: 0 },
    },
    {
      ChannelName: 'labels',
      DataSource: {
        S3DataSource: {
          S3DataType: 'AugmentedManifestFile',
          S3Uri: 's3://b/m',
          S3DataDistributionType: 'FullyReplicated',
          AttributeNames: ['ref'],
        },
      },
      RecordWrapperType: 'RecordIO',
    },
  ]);
});

test('a file system in a VPC is a channel, read-only unless it says otherwise', () => {
  const { job } = synth((stack) => ({
    vpc: new Vpc(stack, 'Vpc'),
    channels: {
      train: { fileSystemId: 'fs-1', fileSystemType: 'EFS', directory: '/images' },
      scratch: { fileSystemId: 'fs-2', fileSystemType: 'FSxLustre', directory: '/fsx/s', access: 'rw' },
    },
  }));
  assert.deepEqual(
    job.InputDataConfig.map((channel: { DataSource: unknown }) => channel.DataSource),
    [
      {
        FileSystemDataSource: {
          FileSystemId: 'fs-1',
          FileSystemType: 'EFS',
          FileSystemAccessMode: 'ro',
          DirectoryPath: '/images',
        },
      },
      {
        FileSystemDataSource: {
          FileSystemId: 'fs-2',
          FileSystemType: 'FSxLustre',
          FileSystemAccessMode: 'rw',
          DirectoryPath: '/fsx/s',
        },
      },
    ],
  );
});

test('a VPC gives private subnets, a security group of its own, connections, and the role what it needs there', () => {
  const { stack, training, job } = synth((scope) => ({ vpc: new Vpc(scope, 'Vpc', { maxAzs: 2 }), instanceCount: 2 }));
  assert.equal(job.VpcConfig.Subnets.length, 2);
  assert.match(JSON.stringify(job.VpcConfig.Subnets), /PrivateSubnet/);
  assert.equal(job.VpcConfig.SecurityGroupIds.length, 1);
  assert.equal(training.connections.securityGroups.length, 1);
  const template = Template.fromStack(stack);
  // the instances speak to each other
  template.hasResourceProperties('AWS::EC2::SecurityGroupIngress', { IpProtocol: '-1' });
  template.hasResourceProperties('AWS::IAM::Policy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({ Action: Match.arrayWith(['ec2:CreateNetworkInterface']), Resource: Match.not('*') }),
      ]),
    },
  });
});

test('security groups and subnets that are given are taken', () => {
  const { training, job } = synth((stack) => {
    const vpc = new Vpc(stack, 'Vpc', { maxAzs: 1 });
    return {
      vpc,
      subnets: { subnetType: 'Public' as never },
      securityGroups: [SecurityGroup.fromSecurityGroupId(stack, 'Given', 'sg-1')],
    };
  });
  assert.deepEqual(job.VpcConfig.SecurityGroupIds, ['sg-1']);
  assert.match(JSON.stringify(job.VpcConfig.Subnets), /PublicSubnet/);
  assert.equal(training.connections.securityGroups[0]?.securityGroupId, 'sg-1');
});

test('outside a VPC there are no connections', () => {
  assert.throws(() => synth().training.connections, /step Train at Test\/Train: it has no connections[\s\S]*set vpc/);
});

test('keys encrypt the volume and the output, and the role may use them', () => {
  const { stack, job } = synth((scope) => {
    const key = new Key(scope, 'Key');
    return { volumeKey: key, outputKey: key, instanceType: 'ml.m5.xlarge' };
  });
  assert.match(JSON.stringify(job.ResourceConfig.VolumeKmsKeyId), /Key/);
  assert.match(JSON.stringify(job.OutputDataConfig.KmsKeyId), /Key/);
  const policies = JSON.stringify(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  assert.match(policies, /kms:CreateGrant/);
  assert.match(policies, /kms:GrantIsForAWSResource/);
  assert.match(policies, /kms:GenerateDataKey\*/);
});

for (const [instanceType, taken] of [
  ['ml.g5.xlarge', false],
  ['ml.g4dn.xlarge', false],
  ['ml.p4d.24xlarge', false],
  ['ml.p4de.24xlarge', false],
  ['ml.c5d.large', false],
  ['ml.m6id.large', false],
  ['ml.m5.xlarge', true],
  ['ml.p3.2xlarge', true],
  ['ml.p2.xlarge', true],
] as const) {
  test(`the volume of ${instanceType} ${taken ? 'takes' : 'has local disks, and takes no'} key`, () => {
    const { stack, job } = synth((scope) => ({ volumeKey: new Key(scope, 'Key'), instanceType }));
    assert.equal('VolumeKmsKeyId' in job.ResourceConfig, taken);
    const told = Annotations.fromStack(stack).findInfo('/Test/Train', Match.stringLikeRegexp('volumeKey is left out'));
    assert.equal(told.length, taken ? 0 : 1);
  });
}

test('an instance type that is a parameter of the pipeline is known by its default', () => {
  const type = new ParameterString('Type', { defaultValue: 'ml.g5.xlarge' });
  const { job } = synth((scope) => ({ volumeKey: new Key(scope, 'Key'), instanceType: type }));
  assert.equal(job.ResourceConfig.VolumeKmsKeyId, undefined);
  assert.deepEqual(
    findingsOf(() => ({ instanceType: new ParameterString('Bad', { defaultValue: 'g5' }) })),
    ["instanceType is 'g5'"],
  );
});

test('isolation, encryption between containers, tags and metrics come to the job', () => {
  const { job } = synth(() => ({
    networkIsolation: true,
    encryptBetweenContainers: true,
    tags: { project: 'planes' },
    metricDefinitions: { dice: 'dice=([0-9.]+)' },
  }));
  assert.equal(job.EnableNetworkIsolation, true);
  assert.equal(job.EnableInterContainerTrafficEncryption, true);
  assert.deepEqual(job.Tags, [{ Key: 'project', Value: 'planes' }]);
  assert.deepEqual(job.AlgorithmSpecification.MetricDefinitions, [{ Name: 'dice', Regex: 'dice=([0-9.]+)' }]);
});

test('what debugger, profiler and TensorBoard are to do comes to the job as it is', () => {
  const { job } = synth(() => ({
    debugHook: { S3OutputPath: 's3://b/d' },
    debugRules: [{ RuleConfigurationName: 'r', RuleEvaluatorImage: 'registry.test/r:1' }],
    profiler: { DisableProfiler: true },
    profilerRules: [{ RuleConfigurationName: 'p', RuleEvaluatorImage: 'registry.test/p:1' }],
    tensorBoardOutput: { S3OutputPath: 's3://b/tb' },
  }));
  assert.deepEqual(
    [job.DebugHookConfig, job.ProfilerConfig, job.TensorBoardOutputConfig],
    [{ S3OutputPath: 's3://b/d' }, { DisableProfiler: true }, { S3OutputPath: 's3://b/tb' }],
  );
  assert.equal(job.DebugRuleConfigurations[0].RuleConfigurationName, 'r');
  assert.equal(job.ProfilerRuleConfigurations[0].RuleConfigurationName, 'p');
});

test('lack of capacity is waited for, for a day, unless other policies are given', () => {
  assert.deepEqual(synth().definition.RetryPolicies, [
    { BackoffRate: 1.5, IntervalSeconds: 300, ExpireAfterMin: 1440, ExceptionType: ['SageMaker.CAPACITY_ERROR'] },
    {
      BackoffRate: 2,
      IntervalSeconds: 60,
      MaxAttempts: 3,
      ExceptionType: ['SageMaker.JOB_INTERNAL_ERROR', 'Step.SERVICE_FAULT', 'Step.THROTTLING'],
    },
  ]);
  assert.equal(synth(() => ({ retry: [] })).definition.RetryPolicies, undefined);
  assert.deepEqual(
    synth(() => ({ retry: [{ exceptions: ['Step.THROTTLING'], maxAttempts: 20 }] })).definition.RetryPolicies,
    [{ BackoffRate: 2, IntervalSeconds: 1, MaxAttempts: 20, ExceptionType: ['Step.THROTTLING'] }],
  );
});

// a defect, and what is said of it; each alone, so that each is seen to be found
const DEFECTS: readonly (readonly [string, Props])[] = [
  ['spot is true without a checkpoint', { spot: true, checkpointUri: false }],
  ["checkpointUri is '/c'", { checkpointUri: '/c' }],
  ["output is 'b/out'", { output: 'b/out' }],
  ['maxWait is 1 hour', { spot: true, maxRuntime: Duration.hours(2), maxWait: Duration.hours(1) }],
  ['maxWait is 3 days', { maxWait: Duration.days(3) }],
  ['maxRuntime is 0 seconds', { maxRuntime: Duration.seconds(0) }],
  ['maxRuntime is 2505600 seconds', { maxRuntime: Duration.days(29) }],
  ['keepAlive is 10 minutes with spot', { spot: true, keepAlive: Duration.minutes(10) }],
  ['keepAlive is 21660 seconds', { keepAlive: Duration.minutes(361) }],
  ['keepAlive is 0 seconds', { keepAlive: Duration.seconds(0) }],
  ["instanceType is 'g5.xlarge'", { instanceType: 'g5.xlarge' }],
  ['instanceCount is 0', { instanceCount: 0 }],
  ['instanceCount is 1.5', { instanceCount: 1.5 }],
  ['volumeSize is 0', { volumeSize: 0 }],
  ['volumeSize is 16385', { volumeSize: 16_385 }],
  ['channels.a/b is that name', { channels: { 'a/b': 's3://b/x' } }],
  ["channels.train is '/data'", { channels: { train: '/data' } }],
  [
    'channels is 21 of them',
    { channels: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`c${i}`, 's3://b'])) },
  ],
  ['channels.train.attributeNames is ref', { channels: { train: { uri: 's3://b', attributeNames: ['ref'] } } }],
  [
    'channels.fs is the file system fs-1 without a VPC',
    { channels: { fs: { fileSystemId: 'fs-1', fileSystemType: 'EFS', directory: '/' } } },
  ],
  ['subnets is a selection without vpc', { subnets: {} }],
  ['securityGroups is 0 without vpc', { securityGroups: [] }],
  ['environment.1A is that name', { environment: { '1A': 'x' } }],
  ['environment.A is 513 characters', { environment: { A: 'x'.repeat(513) } }],
  ['environment.A is an AWS access key id', { environment: { A: `AKIA${'Q'.repeat(16)}` } }],
  [
    'environment is 101 variables',
    { environment: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`V${i}`, ''])) },
  ],
  ["metricDefinitions.dice is 'dice=.*'", { metricDefinitions: { dice: 'dice=.*' } }],
  [
    'metricDefinitions is 41 of them',
    { metricDefinitions: Object.fromEntries(Array.from({ length: 41 }, (_, i) => [`m${i}`, '(.)'])) },
  ],
  ['tags.aws:x is that name', { tags: { 'aws:x': 'y' } }],
  ['tags is 51 of them', { tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, ''])) }],
  ['retry[0].exceptions is empty', { retry: [{ exceptions: [], maxAttempts: 1 }] }],
  ['retry[0].maxAttempts is 21', { retry: [{ exceptions: ['Step.THROTTLING'], maxAttempts: 21 }] }],
  [
    'retry[0].expireAfterMinutes is 14401',
    { retry: [{ exceptions: ['Step.THROTTLING'], expireAfterMinutes: 14_401 }] },
  ],
  [
    'retry[0].intervalSeconds is 0.5',
    { retry: [{ exceptions: ['Step.THROTTLING'], maxAttempts: 1, intervalSeconds: 0.5 }] },
  ],
  ['retry[0].backoffRate is -1', { retry: [{ exceptions: ['Step.THROTTLING'], maxAttempts: 1, backoffRate: -1 }] }],
  [
    'retry[0] is with neither of maxAttempts and expireAfterMinutes',
    { retry: [{ exceptions: ['Step.THROTTLING'] } as never] },
  ],
];

for (const [problem, props] of DEFECTS) {
  test(`refused: ${problem}`, () => {
    assert.deepEqual(
      findingsOf(() => props),
      [problem],
    );
  });
}

test('in a VPC: a file system takes no other input mode, and a full path', () => {
  const found = findingsOf((stack) => ({
    vpc: new Vpc(stack, 'Vpc'),
    inputMode: 'Pipe',
    channels: { fs: { fileSystemId: 'fs-1', fileSystemType: 'EFS', directory: 'images' } },
  }));
  assert.deepEqual(found, ['channels.fs is a file system with inputMode Pipe', "channels.fs.directory is 'images'"]);
});

test('in a VPC: no security groups are refused', () => {
  assert.deepEqual(
    findingsOf((stack) => ({ vpc: new Vpc(stack, 'Vpc'), securityGroups: [] })),
    ['securityGroups is 0 of them'],
  );
});

test('all that is wrong is told at once, with the construct, what is allowed, and the fix', () => {
  assert.throws(
    () => synth(() => ({ spot: true, checkpointUri: false, keepAlive: Duration.minutes(5), volumeSize: 0 })),
    (error: unknown) => {
      assert.ok(error instanceof PipelineError);
      assert.equal(error.findings.length, 3);
      assert.match(
        error.message,
        /Test\/Train: volumeSize is 0; allowed is a whole number from 1 to 16384\.\n +Fix: give/,
      );
      return true;
    },
  );
});
