// An endpoint on approved versions as a template: no endpoint in it, a function with what it may do, and what wakes it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { ApprovedModelEndpoint, type ApprovedModelEndpointProps } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { newApp } from './stacks';

/** Whatever a template holds. */
type Json = ReturnType<Stack['resolve']>;

function synth(props: Partial<ApprovedModelEndpointProps> = {}) {
  const stack = new Stack(newApp(), 'Test');
  new ApprovedModelEndpoint(stack, 'Endpoint', {
    endpointName: 'planes',
    modelPackageGroup: 'group',
    bucket: new Bucket(stack, 'Bucket', { bucketName: 'data' }),
    ...props,
  });
  const template = Template.fromStack(stack);
  const all = (type: string): Json[] =>
    Object.values(template.findResources(type)).map(({ Properties }) => resolveTemplate(Properties, template.toJSON()));
  return { template, all };
}

const { template, all } = synth();

const arn = (resource: string) => `arn:aws:sagemaker:us-east-1:000000000000:${resource}`;

/** The statements of the function's role. */
function statementsOf(policies: Json[]): Json[] {
  return policies.find(({ Description }) => /newest approved/.test(Description)).PolicyDocument.Statement;
}

test('the stack stands before anything is approved: it has no model, no configuration and no endpoint', () => {
  for (const type of ['Model', 'EndpointConfig', 'Endpoint']) template.resourceCountIs(`AWS::SageMaker::${type}`, 0);
  template.resourceCountIs('AWS::CloudFormation::CustomResource', 0);
  template.resourceCountIs('AWS::Lambda::Function', 1);
});

test('an approval or a rejection in the group, a change of the endpoint, and a deployment of the stack wake the function', () => {
  assert.deepEqual(
    all('AWS::Events::Rule').map(({ EventPattern }) => EventPattern),
    [
      {
        source: ['aws.sagemaker'],
        'detail-type': ['SageMaker Model Package State Change'],
        detail: { ModelPackageGroupName: ['group'], ModelApprovalStatus: ['Approved', 'Rejected'] },
      },
      {
        source: ['aws.sagemaker'],
        'detail-type': ['SageMaker Endpoint State Change'],
        detail: { EndpointName: ['planes'] },
      },
      {
        source: ['aws.cloudformation'],
        'detail-type': ['CloudFormation Stack Status Change'],
        detail: {
          'stack-id': ['arn:aws:cloudformation:us-east-1:000000000000:stack/local/0'],
          'status-details': { status: ['CREATE_COMPLETE', 'UPDATE_COMPLETE', 'UPDATE_ROLLBACK_COMPLETE'] },
        },
      },
    ],
  );
});

test('one event is worked on at a time, and what fails three times is kept', () => {
  const [deployer] = all('AWS::Lambda::Function');
  assert.equal(deployer.ReservedConcurrentExecutions, 1);
  assert.match(deployer.DeadLetterConfig.TargetArn, /notdeployed/);
  assert.equal(all('AWS::Lambda::EventInvokeConfig')[0].MaximumRetryAttempts, 2);
});

test('an alarm tells of a version that could not be deployed', () => {
  const stack = new Stack(newApp(), 'Test');
  const endpoint = new ApprovedModelEndpoint(stack, 'Endpoint', {
    modelPackageGroup: 'group',
    bucket: new Bucket(stack, 'Bucket'),
    update: { rollbackAlarms: false },
  });
  endpoint.alarmNotDeployed('NotDeployedAlarm');
  const [alarm] = Object.values(Template.fromStack(stack).findResources('AWS::CloudWatch::Alarm'));
  assert.equal(alarm?.Properties.MetricName, 'ApproximateNumberOfMessagesVisible');
});

test('the function may make, move and delete what belongs to this endpoint, and nothing else', () => {
  const statements = statementsOf(all('AWS::IAM::ManagedPolicy'));
  const resources = (action: string) =>
    [
      ...new Set(
        statements
          .filter(({ Action }) => [Action].flat().includes(action))
          .flatMap(({ Resource }) => [Resource].flat()),
      ),
    ].sort();
  const config = arn('endpoint-config/planes-*');
  assert.deepEqual(resources('sagemaker:DeleteEndpointConfig'), [config]);
  assert.deepEqual(resources('sagemaker:DeleteModel'), [arn('model/planes-*')]);
  assert.deepEqual(resources('sagemaker:UpdateEndpoint'), [config, arn('endpoint/planes')]);
  assert.deepEqual(resources('sagemaker:DescribeModelPackage'), [arn('model-package/group/*')]);
  assert.match(resources('iam:PassRole').join(), /role\/endpointrole/);
  const wild = statements.filter(({ Resource }) => [Resource].flat().includes('*')).flatMap(({ Action }) => Action);
  assert.deepEqual(wild.sort(), [
    'application-autoscaling:DescribeScalableTargets',
    'sagemaker:ListEndpointConfigs',
    'sagemaker:ListModelPackages',
  ]);
});

test("another account's group is read by its ARN, and its events have its name", () => {
  const group = 'arn:aws:sagemaker:us-east-1:444455556666:model-package-group/theirs';
  const made = synth({ modelPackageGroup: group });
  const statements = statementsOf(made.all('AWS::IAM::ManagedPolicy'));
  const read = statements.find(({ Action }) => [Action].flat().includes('sagemaker:DescribeModelPackage'));
  assert.equal(read.Resource, 'arn:aws:sagemaker:us-east-1:444455556666:model-package/theirs/*');
  assert.deepEqual(made.all('AWS::Events::Rule')[0].EventPattern.detail.ModelPackageGroupName, ['theirs']);
});

test('a variant with a model of its own stands beside the approved one', () => {
  const made = synth({
    variants: [{ variantName: 'Approved' }, { variantName: 'Fixed', model: { modelName: 'theirs' }, weight: 3 }],
  });
  const { config } = JSON.parse(made.all('AWS::Lambda::Function')[0].Environment.Variables.DEPLOYMENT);
  assert.deepEqual(
    config.ProductionVariants.map(({ ModelName }: Json) => ModelName),
    ['$approved', 'theirs'],
  );
});
