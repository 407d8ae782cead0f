// An endpoint as resources: what each setting becomes in the template, its defaults, its role and its scaling.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Alarm, Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { Vpc } from 'aws-cdk-lib/aws-ec2';
import { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { ByocImage, Endpoint, type EndpointProps } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { temporaryFolder } from '../../../training/temporary-folder';

type Made = Partial<EndpointProps>;

/** Whatever a template holds. */
type Json = ReturnType<Stack['resolve']>;

const URI = '123456789012.dkr.ecr.us-east-1.amazonaws.com/planes:1';

function synth(props: (stack: Stack) => Made = () => ({})) {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const image = ByocImage.fromUri(stack, 'Image', URI);
  const endpoint = new Endpoint(stack, 'Endpoint', {
    variants: [{ model: { image, modelData: 's3://models/1/model.tar.gz' } }],
    ...props(stack),
  });
  const template = Template.fromStack(stack);
  const all = (type: string) =>
    Object.values(template.findResources(type)).map(
      ({ Properties }) => resolveTemplate(Properties, template.toJSON()) as Json,
    );
  const one = (type: string) => all(`AWS::SageMaker::${type}`)[0];
  const statements: Json[] = all('AWS::IAM::ManagedPolicy').flatMap(({ PolicyDocument }) => PolicyDocument.Statement);
  const may = (action: string) => statements.filter(({ Action }) => [Action].flat().includes(action));
  return { stack, endpoint, template, all, one, may, config: one('EndpointConfig') };
}

const pkg = (version = 3) => ({
  modelPackageArn: `arn:aws:sagemaker:us-east-1:111122223333:model-package/planes/${version}`,
});
const role = (stack: Stack) => Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/mine');
const bucket = (stack: Stack) => new Bucket(stack, 'Bucket', { bucketName: 'data' });

test('without settings: one ml.g5.xlarge, no network, a role of its own, and alarms that take an update back', () => {
  const { config, one } = synth();
  assert.deepEqual(config.ProductionVariants, [
    {
      VariantName: 'AllTraffic',
      ModelName: 'endpointalltrafficmodel28414e3f.ModelName',
      InitialVariantWeight: 1,
      InstanceType: 'ml.g5.xlarge',
      InitialInstanceCount: 1,
    },
  ]);
  assert.deepEqual(Object.keys(config), ['ProductionVariants']);
  const model = one('Model');
  assert.equal(model.EnableNetworkIsolation, true);
  assert.deepEqual(model.PrimaryContainer, { Image: URI, ModelDataUrl: 's3://models/1/model.tar.gz' });
  const { BlueGreenUpdatePolicy, AutoRollbackConfiguration } = one('Endpoint').DeploymentConfig;
  assert.deepEqual(BlueGreenUpdatePolicy, {
    TrafficRoutingConfiguration: { Type: 'ALL_AT_ONCE', WaitIntervalInSeconds: 300 },
  });
  assert.equal(AutoRollbackConfiguration.Alarms.length, 2);
});

test('the endpoint has a name that its alarms and grants can be made of', () => {
  const { endpoint, one } = synth();
  assert.match(endpoint.endpointName, /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/);
  assert.equal(one('Endpoint').EndpointName, endpoint.endpointName);
  assert.equal(synth(() => ({ endpointName: 'Planes' })).one('Endpoint').EndpointName, 'Planes');
});

test('the alarms watch the share of 5xx answers and the p99 of the latency, of the endpoint itself', () => {
  const { all } = synth(() => ({ endpointName: 'planes' }));
  const alarms = all('AWS::CloudWatch::Alarm').map((alarm) => [
    alarm.MetricName,
    alarm.Statistic ?? alarm.ExtendedStatistic,
    alarm.Threshold,
    alarm.TreatMissingData,
    alarm.Dimensions.map(({ Value }: Json) => Value).join('/'),
  ]);
  assert.deepEqual(alarms, [
    ['Invocation5XXErrors', 'Average', 0.01, 'notBreaching', 'planes/AllTraffic'],
    ['ModelLatency', 'p99', 10_000_000, 'notBreaching', 'planes/AllTraffic'],
  ]);
});

test('a model package, a model of one, and one that is there already are served side by side, by their weights', () => {
  const { config, all } = synth((stack) => ({
    role: role(stack),
    variants: [
      { variantName: 'a', model: pkg(), weight: 8 },
      { variantName: 'b', model: { modelName: 'theirs' }, instanceType: 'ml.m5.xlarge', initialInstanceCount: 2 },
    ],
  }));
  const variants = config.ProductionVariants;
  assert.deepEqual(
    variants.map((one: Json) => [
      one.VariantName,
      one.InitialVariantWeight,
      one.InitialInstanceCount,
      one.InstanceType,
    ]),
    [
      ['a', 8, 1, 'ml.g5.xlarge'],
      ['b', 1, 2, 'ml.m5.xlarge'],
    ],
  );
  assert.equal(variants[1]?.ModelName, 'theirs');
  const models = all('AWS::SageMaker::Model');
  assert.equal(models.length, 1);
  assert.deepEqual(models[0]?.PrimaryContainer, { ModelPackageName: pkg().modelPackageArn });
});

test('a shadow gets copies of the requests', () => {
  const { config } = synth((stack) => ({
    role: role(stack),
    variants: [{ model: pkg() }],
    shadow: { model: pkg(4), variantName: 'Shadow', weight: 0.2 },
  }));
  const [shadow] = config.ShadowProductionVariants;
  assert.deepEqual([shadow?.VariantName, shadow?.InitialVariantWeight], ['Shadow', 0.2]);
});

test('times, volume, accelerator and AMI come to the variant', () => {
  const { config } = synth((stack) => ({
    role: role(stack),
    variants: [
      {
        model: pkg(),
        instanceType: 'ml.m5.xlarge',
        volumeSize: 100,
        containerStartupTimeout: Duration.minutes(10),
        modelDownloadTimeout: Duration.hours(1),
        acceleratorType: 'ml.eia2.medium',
        inferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-2',
      },
    ],
  }));
  const [variant] = config.ProductionVariants;
  assert.deepEqual(variant, {
    VariantName: 'AllTraffic',
    ModelName: 'endpointalltrafficmodel28414e3f.ModelName',
    InitialVariantWeight: 1,
    InstanceType: 'ml.m5.xlarge',
    InitialInstanceCount: 1,
    VolumeSizeInGB: 100,
    ContainerStartupHealthCheckTimeoutInSeconds: 600,
    ModelDataDownloadTimeoutInSeconds: 3600,
    AcceleratorType: 'ml.eia2.medium',
    InferenceAmiVersion: 'al2-ami-sagemaker-inference-gpu-2',
  });
});

test('a serverless variant has memory and concurrency, no isolation, and no guardrails unless they are asked for', () => {
  const serverless = (settings: object) => (stack: Stack) => ({
    role: role(stack),
    variants: [{ model: pkg(), serverless: { memorySize: 6144, maxConcurrency: 5, provisionedConcurrency: 1 } }],
    ...settings,
  });
  const { config, one, all } = synth(serverless({}));
  const [variant] = config.ProductionVariants;
  assert.deepEqual(variant?.ServerlessConfig, { MemorySizeInMB: 6144, MaxConcurrency: 5, ProvisionedConcurrency: 1 });
  assert.equal(variant?.InstanceType, undefined);
  assert.equal(one('Model').EnableNetworkIsolation, undefined);
  assert.equal(one('Endpoint').DeploymentConfig, undefined);
  assert.equal(all('AWS::CloudWatch::Alarm').length, 0);
  assert.ok(synth(serverless({ update: {} })).one('Endpoint').DeploymentConfig);
});

test('what is captured goes below the bucket, encrypted with its key', () => {
  const { config, may } = synth((stack) => ({
    bucket: bucket(stack),
    key: new Key(stack, 'Key'),
    capture: { percentage: 5, modes: ['InputAndOutput'], csvContentTypes: ['text/csv'] },
  }));
  const { KmsKeyId, ...capture } = config.DataCaptureConfig;
  assert.deepEqual(capture, {
    EnableCapture: true,
    InitialSamplingPercentage: 5,
    DestinationS3Uri: 's3://data/capture',
    CaptureOptions: [{ CaptureMode: 'InputAndOutput' }],
    CaptureContentTypeHeader: { CsvContentTypes: ['text/csv'], JsonContentTypes: ['application/json'] },
  });
  assert.match(String(KmsKeyId), /^arn:aws:kms/);
  assert.deepEqual(
    may('s3:PutObject').map(({ Resource }) => Resource),
    ['arn:aws:s3:::data/capture/*'],
  );
});

test('an asynchronous endpoint writes below the bucket, and tells topics', () => {
  const { config, may, all } = synth((stack) => ({
    endpointName: 'planes',
    bucket: bucket(stack),
    async: {
      maxConcurrentInvocations: 2,
      successTopic: new Topic(stack, 'Success', { topicName: 'success' }),
      errorTopic: new Topic(stack, 'Error', { topicName: 'error' }),
    },
  }));
  const { ClientConfig, OutputConfig } = config.AsyncInferenceConfig;
  assert.deepEqual(ClientConfig, { MaxConcurrentInvocationsPerInstance: 2 });
  const { S3OutputPath, S3FailurePath, NotificationConfig } = OutputConfig;
  assert.deepEqual([S3OutputPath, S3FailurePath], ['s3://data/async/planes/output', 's3://data/async/planes/failure']);
  assert.deepEqual(Object.keys(NotificationConfig), ['ErrorTopic', 'SuccessTopic']);
  assert.deepEqual(
    may('s3:PutObject').map(({ Resource }) => Resource),
    [['arn:aws:s3:::data/async/planes/output/*', 'arn:aws:s3:::data/async/planes/failure/*']],
  );
  assert.equal(may('sns:Publish').length, 2);
  assert.deepEqual(
    all('AWS::CloudWatch::Alarm').map(({ MetricName }) => MetricName),
    ['InvocationFailures'],
  );
});

test('the volumes get the key, unless there are local disks, for which SageMaker takes none', () => {
  const keyOf = (instanceType: string) =>
    synth((stack) => ({ role: role(stack), key: new Key(stack, 'Key'), variants: [{ model: pkg(), instanceType }] }));
  assert.match(String(keyOf('ml.m5.xlarge').config.KmsKeyId), /^arn:aws:kms/);
  const { config, stack } = keyOf('ml.g5.xlarge');
  assert.equal(config.KmsKeyId, undefined);
  const told = Annotations.fromStack(stack).findInfo('/Test/Endpoint', Match.stringLikeRegexp('key is left out'));
  assert.equal(told.length, 1);
});

test('the role that is made reads the one model, pulls the one image, and writes nothing', () => {
  const { may } = synth();
  assert.deepEqual(may('s3:GetObject')[0]?.Resource, 'arn:aws:s3:::models/1/model.tar.gz');
  assert.deepEqual(may('ecr:BatchGetImage')[0]?.Resource, 'arn:aws:ecr:us-east-1:123456789012:repository/planes');
  assert.equal(may('s3:PutObject').length, 0);
});

test('of a bucket that holds more than models, the role reads the one model where it is known, and all where it is not', () => {
  const read = (props: (stack: Stack) => Made) => synth(props).may('s3:GetObject')[0]?.Resource;
  assert.equal(
    read((stack) => ({ bucket: bucket(stack) })),
    'arn:aws:s3:::models/1/model.tar.gz',
  );
  assert.equal(
    read((stack) => ({ bucket: bucket(stack), variants: [{ model: pkg() }] })),
    'arn:aws:s3:::data/*',
  );
});

test('a role that is given is used, and none is made', () => {
  const { template, one } = synth((stack) => ({ role: role(stack) }));
  template.resourceCountIs('AWS::IAM::Role', 0);
  assert.equal(one('Model').ExecutionRoleArn, 'arn:aws:iam::111122223333:role/mine');
});

test('in a VPC the model has private subnets and a group of its own, and the role may make interfaces there', () => {
  const { endpoint, one, may } = synth((stack) => ({ vpc: new Vpc(stack, 'Vpc', { maxAzs: 2 }) }));
  const { Subnets, SecurityGroupIds } = one('Model').VpcConfig;
  assert.deepEqual([Subnets?.length, SecurityGroupIds?.length], [2, 1]);
  assert.equal(endpoint.connections.securityGroups.length, 1);
  assert.match(String(may('ec2:CreateNetworkInterface')[0]?.Resource), /network-interface\/\*/);
  assert.throws(() => synth().endpoint.connections, /it has no connections[\s\S]*set vpc/);
});

test('autoscaling follows the requests to each instance, and a deployment does not undo it', () => {
  const { all, one } = synth((stack) => ({
    endpointName: 'planes',
    role: role(stack),
    variants: [
      { model: pkg(), autoscaling: { minCapacity: 2, maxCapacity: 6, scaleInCooldown: Duration.minutes(10) } },
    ],
  }));
  const [target] = all('AWS::ApplicationAutoScaling::ScalableTarget');
  assert.deepEqual(
    [target?.ResourceId, target?.ScalableDimension, target?.ServiceNamespace, target?.MinCapacity, target?.MaxCapacity],
    ['endpoint/planes/variant/AllTraffic', 'sagemaker:variant:DesiredInstanceCount', 'sagemaker', 2, 6],
  );
  const [policy] = all('AWS::ApplicationAutoScaling::ScalingPolicy');
  assert.deepEqual(policy?.TargetTrackingScalingPolicyConfiguration, {
    TargetValue: 60,
    ScaleInCooldown: 600,
    ScaleOutCooldown: 60,
    PredefinedMetricSpecification: { PredefinedMetricType: 'SageMakerVariantInvocationsPerInstance' },
  });
  const endpoint = one('Endpoint');
  assert.equal(endpoint.RetainAllVariantProperties, true);
  assert.deepEqual(endpoint.ExcludeRetainedVariantProperties, [
    { VariantPropertyType: 'DesiredWeight' },
    { VariantPropertyType: 'DataCaptureConfig' },
  ]);
  const [variant] = one('EndpointConfig').ProductionVariants;
  assert.equal(variant?.InitialInstanceCount, 2);
});

test('autoscaling can follow the requests that are under way', () => {
  const autoscaling = { maxCapacity: 2, metric: 'ConcurrentRequestsPerModel', target: 3 } as const;
  const { all } = synth((stack) => ({ role: role(stack), variants: [{ model: pkg(), autoscaling }] }));
  const { TargetTrackingScalingPolicyConfiguration } = all('AWS::ApplicationAutoScaling::ScalingPolicy')[0] ?? {};
  assert.deepEqual(TargetTrackingScalingPolicyConfiguration?.PredefinedMetricSpecification, {
    PredefinedMetricType: 'SageMakerVariantConcurrentRequestsPerModelHighResolution',
  });
});

test('an asynchronous endpoint scales to nothing by its backlog, and from nothing by an alarm', () => {
  const { all } = synth((stack) => ({
    endpointName: 'planes',
    role: role(stack),
    variants: [{ model: pkg(), autoscaling: { maxCapacity: 3 } }],
    async: { output: 's3://b/o' },
  }));
  assert.equal(all('AWS::ApplicationAutoScaling::ScalableTarget')[0]?.MinCapacity, 0);
  const [tracking, wakeUp] = all('AWS::ApplicationAutoScaling::ScalingPolicy');
  assert.match(JSON.stringify(tracking), /ApproximateBacklogSizePerInstance/);
  assert.equal(wakeUp?.PolicyType, 'StepScaling');
  const alarm = all('AWS::CloudWatch::Alarm').find(({ MetricName }) => MetricName === 'HasBacklogWithoutCapacity');
  assert.equal(alarm?.AlarmActions?.length, 1);
});

test('a serverless variant scales its provisioned concurrency', () => {
  const { all } = synth((stack) => ({
    role: role(stack),
    variants: [{ model: pkg(), serverless: { provisionedConcurrency: 1 }, autoscaling: { maxCapacity: 5 } }],
  }));
  const [target] = all('AWS::ApplicationAutoScaling::ScalableTarget');
  assert.equal(target?.ScalableDimension, 'sagemaker:variant:DesiredProvisionedConcurrency');
  assert.match(JSON.stringify(all('AWS::ApplicationAutoScaling::ScalingPolicy')), /ProvisionedConcurrencyUtilization/);
});

for (const [name, update, policy] of [
  [
    'Canary',
    { strategy: 'Canary', stepSize: 20, interval: Duration.minutes(2), terminationWait: Duration.minutes(10) },
    {
      BlueGreenUpdatePolicy: {
        TrafficRoutingConfiguration: {
          Type: 'CANARY',
          WaitIntervalInSeconds: 120,
          CanarySize: { Type: 'CAPACITY_PERCENT', Value: 20 },
        },
        TerminationWaitInSeconds: 600,
      },
    },
  ],
  [
    'Linear',
    { strategy: 'Linear', maxExecutionTime: Duration.hours(1) },
    {
      BlueGreenUpdatePolicy: {
        TrafficRoutingConfiguration: {
          Type: 'LINEAR',
          WaitIntervalInSeconds: 300,
          LinearStepSize: { Type: 'CAPACITY_PERCENT', Value: 10 },
        },
        MaximumExecutionTimeoutInSeconds: 3600,
      },
    },
  ],
  [
    'Rolling',
    { strategy: 'Rolling', stepSize: 25 },
    {
      RollingUpdatePolicy: { MaximumBatchSize: { Type: 'CAPACITY_PERCENT', Value: 25 }, WaitIntervalInSeconds: 300 },
    },
  ],
] as const) {
  test(`an endpoint moves by ${name}`, () => {
    const variants = [{ model: pkg(), initialInstanceCount: 2 }];
    const { one } = synth((stack) => ({ role: role(stack), variants, update: { ...update, rollbackAlarms: false } }));
    assert.deepEqual(one('Endpoint').DeploymentConfig, policy);
  });
}

test("alarms of one's own take an update back instead", () => {
  const { one, all } = synth((stack) => {
    const metric = new Metric({ namespace: 'n', metricName: 'm' });
    const mine = new Alarm(stack, 'Mine', { alarmName: 'mine', metric, threshold: 1, evaluationPeriods: 1 });
    return { update: { rollbackAlarms: [mine] } };
  });
  assert.equal(all('AWS::CloudWatch::Alarm').length, 1);
  assert.match(JSON.stringify(one('Endpoint').DeploymentConfig), /"Alarms":\[\{"AlarmName":"mine"\}\]/);
});

test('tags come to the endpoint and its configuration', () => {
  const { one, config } = synth(() => ({ tags: { project: 'planes' } }));
  for (const resource of [one('Endpoint'), config]) {
    assert.deepEqual(resource.Tags, [{ Key: 'project', Value: 'planes' }]);
  }
});
