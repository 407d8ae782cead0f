// The metrics of an endpoint, by namespace and dimensions, its alarms, and who may ask it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { ArnPrincipal, Role } from 'aws-cdk-lib/aws-iam';
import { Endpoint } from '../../../../lib';
import { temporaryFolder } from '../../../training/temporary-folder';

function endpointOf(endpointName = 'planes') {
  const stack = new Stack(new App({ outdir: temporaryFolder() }), 'Test');
  const endpoint = new Endpoint(stack, 'Endpoint', {
    endpointName,
    role: Role.fromRoleArn(stack, 'Role', 'arn:aws:iam::111122223333:role/mine'),
    variants: [
      { model: { modelName: 'm' }, variantName: 'first' },
      { model: { modelName: 'n' }, variantName: 'second' },
    ],
    update: { rollbackAlarms: false },
  });
  return { stack, endpoint };
}

const { endpoint } = endpointOf();

const REQUESTS = 'AWS/SageMaker';
const INSTANCES = '/aws/sagemaker/Endpoints';

// https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
const VARIANT_METRICS: readonly (readonly [Metric, string, string, string])[] = [
  [endpoint.metricInvocations(), REQUESTS, 'Invocations', 'Sum'],
  [endpoint.metricInvocationsPerInstance(), REQUESTS, 'InvocationsPerInstance', 'Sum'],
  [endpoint.metricInvocation4xxErrors(), REQUESTS, 'Invocation4XXErrors', 'Sum'],
  [endpoint.metricInvocation5xxErrors(), REQUESTS, 'Invocation5XXErrors', 'Sum'],
  [endpoint.metricInvocationModelErrors(), REQUESTS, 'InvocationModelErrors', 'Sum'],
  [endpoint.metricModelLatency(), REQUESTS, 'ModelLatency', 'p99'],
  [endpoint.metricOverheadLatency(), REQUESTS, 'OverheadLatency', 'p99'],
  [endpoint.metricModelSetupTime(), REQUESTS, 'ModelSetupTime', 'Average'],
  [endpoint.metricConcurrentRequests(), REQUESTS, 'ConcurrentRequestsPerModel', 'Maximum'],
  [
    endpoint.metricProvisionedConcurrencyUtilization(),
    REQUESTS,
    'ServerlessProvisionedConcurrencyUtilization',
    'Maximum',
  ],
  [endpoint.metricCpuUtilization(), INSTANCES, 'CPUUtilization', 'Average'],
  [endpoint.metricMemoryUtilization(), INSTANCES, 'MemoryUtilization', 'Average'],
  [endpoint.metricGpuUtilization(), INSTANCES, 'GPUUtilization', 'Average'],
  [endpoint.metricGpuMemoryUtilization(), INSTANCES, 'GPUMemoryUtilization', 'Average'],
  [endpoint.metricDiskUtilization(), INSTANCES, 'DiskUtilization', 'Average'],
];

for (const [metric, namespace, name, statistic] of VARIANT_METRICS) {
  test(`${name} is a metric of a variant, in ${namespace}`, () => {
    assert.deepEqual([metric.namespace, metric.metricName, metric.statistic], [namespace, name, statistic]);
    assert.deepEqual(metric.dimensions, { EndpointName: 'planes', VariantName: 'first' });
  });
}

for (const [metric, name] of [
  [endpoint.metricBacklog(), 'ApproximateBacklogSize'],
  [endpoint.metricBacklogPerInstance(), 'ApproximateBacklogSizePerInstance'],
  [endpoint.metricOldestRequestAge(), 'ApproximateAgeOfOldestRequest'],
  [endpoint.metricBacklogWithoutCapacity(), 'HasBacklogWithoutCapacity'],
  [endpoint.metricInvocationFailures(), 'InvocationFailures'],
] as const) {
  test(`${name} is a metric of the endpoint`, () => {
    assert.deepEqual([metric.namespace, metric.metricName], [REQUESTS, name]);
    assert.deepEqual(metric.dimensions, { EndpointName: 'planes' });
  });
}

test('a metric of another variant, with another statistic and period, is one of options', () => {
  const metric = endpoint.metricModelLatency({ variantName: 'second', statistic: 'p50', period: Duration.minutes(1) });
  assert.deepEqual(metric.dimensions, { EndpointName: 'planes', VariantName: 'second' });
  assert.deepEqual([metric.statistic, metric.period.toSeconds()], ['p50', 60]);
});

test('alarms go off at what they are told, and not without requests', () => {
  const made = endpointOf();
  made.endpoint.alarmErrorRate('Errors', { threshold: 0.2, variantName: 'second' });
  made.endpoint.alarmLatency('Slow');
  made.endpoint.alarmFailures('Failures');
  const alarms = Object.values(Template.fromStack(made.stack).findResources('AWS::CloudWatch::Alarm'));
  assert.deepEqual(
    alarms.map(({ Properties: { MetricName, Threshold, TreatMissingData } }) => [
      MetricName,
      Threshold,
      TreatMissingData,
    ]),
    [
      ['Invocation5XXErrors', 0.2, 'notBreaching'],
      ['ModelLatency', 10_000_000, 'notBreaching'],
      ['InvocationFailures', 0, 'notBreaching'],
    ],
  );
});

test('who is granted it may ask that endpoint, by its name as given and in lower case, and do nothing else', () => {
  const { stack, endpoint: planes } = endpointOf('Planes');
  const asker = new Role(stack, 'Asker', { assumedBy: new ArnPrincipal('arn:aws:iam::111122223333:root') });
  planes.grantInvoke(asker);
  planes.grantInvokeAsync(asker);
  const [policy] = Object.values(Template.fromStack(stack).findResources('AWS::IAM::Policy'));
  const statements = policy?.Properties.PolicyDocument.Statement as { Action: unknown; Resource: unknown }[];
  assert.deepEqual(
    statements.map(({ Action }) => Action),
    [['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointWithResponseStream'], 'sagemaker:InvokeEndpointAsync'],
  );
  for (const { Resource } of statements) {
    assert.deepEqual(JSON.stringify(Resource).match(/endpoint\/\w+/g), ['endpoint/Planes', 'endpoint/planes']);
  }
});
