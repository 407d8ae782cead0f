// New data: which events, queues, functions and permissions the trigger becomes, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { NewData, type NewDataProps } from '../../../lib';
import { actionsOf, idOf, refusedProps, smallPipeline, statementsOf } from '../small-pipeline';

function synth(props: (stack: Stack) => Partial<NewDataProps> = () => ({})) {
  const { stack, pipeline } = smallPipeline();
  const bucket = new Bucket(stack, 'Images');
  const trigger = new NewData(stack, 'Arrivals', { pipeline, bucket, prefix: 'raw/', ...props(stack) });
  return { stack, trigger, template: Template.fromStack(stack) };
}

function keyPattern(template: Template): unknown {
  const [rule] = Object.values(template.findResources('AWS::Events::Rule'));
  return rule?.Properties.EventPattern.detail.object.key;
}

function environment(template: Template): Record<string, unknown> {
  const [made] = Object.values(template.findResources('AWS::Lambda::Function'));
  return made?.Properties.Environment.Variables;
}

test('the bucket tells EventBridge of its objects, by a property of its own', () => {
  const { template } = synth();
  template.hasResourceProperties('AWS::S3::Bucket', {
    NotificationConfiguration: { EventBridgeConfiguration: { EventBridgeEnabled: true } },
  });
  template.resourceCountIs('Custom::S3BucketNotifications', 0);
});

test('an imported bucket is taken, and nothing is made for it', () => {
  const { template } = synth((stack) => ({ bucket: Bucket.fromBucketName(stack, 'Theirs', 'theirs') }));
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: { source: ['aws.s3'], 'detail-type': ['Object Created'], detail: { bucket: { name: ['theirs'] } } },
  });
});

test('objects below the prefix are looked at, or those of them with the endings', () => {
  assert.deepEqual(keyPattern(synth().template), [{ prefix: 'raw/' }]);
  assert.deepEqual(keyPattern(synth(() => ({ suffixes: ['.png', '.nii.gz'] })).template), [
    { wildcard: 'raw/*.png' },
    { wildcard: 'raw/*.nii.gz' },
  ]);
});

test('the start has the URI of the prefix as InputData, unless another is chosen', () => {
  const list = (props: Partial<NewDataProps>) => {
    const target = JSON.stringify(environment(synth(() => props).template).SCHEDULE_TARGET);
    return [...target.matchAll(/Name\W+(\w+)\W+Value\W+?(s3:|\w+)/g)].map(([, name, value]) => `${name}=${value}`);
  };
  assert.deepEqual(list({}), ['InputData=s3:']);
  assert.deepEqual(list({ parameters: { Epochs: 3 } }), ['Epochs=3', 'InputData=s3:']);
  assert.deepEqual(list({ parameters: { InputData: 'mine' } }), ['InputData=mine']);
  assert.deepEqual(list({ dataParameter: 'Size', parameters: { InputData: 'mine' } }).length, 2);
});

test('arrivals are handled in batches by at most two at once, and what fails five times is kept', () => {
  const { template } = synth(() => ({ quietPeriod: Duration.minutes(30) }));
  template.hasResourceProperties('AWS::Lambda::EventSourceMapping', {
    BatchSize: 1000,
    MaximumBatchingWindowInSeconds: 20,
    ScalingConfig: { MaximumConcurrency: 2 },
  });
  template.hasResourceProperties('AWS::SQS::Queue', {
    RedrivePolicy: {
      maxReceiveCount: 5,
      deadLetterTargetArn: { 'Fn::GetAtt': [idOf(template, 'AWS::SQS::Queue', 'ArrivalsDeadLetters'), 'Arn'] },
    },
  });
  assert.equal(environment(template).QUIET_SECONDS, '1800');
});

test('only this rule may fill the queue, and only for this account EventBridge may use its key', () => {
  const { template } = synth((stack) => ({ key: new Key(stack, 'Key') }));
  const events = { Effect: 'Allow', Principal: { Service: 'events.amazonaws.com' } };
  template.hasResourceProperties('AWS::SQS::QueuePolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          ...events,
          Action: 'sqs:SendMessage',
          Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': [idOf(template, 'AWS::Events::Rule'), 'Arn'] } } },
        }),
      ]),
    },
  });
  const [key] = Object.values(template.findResources('AWS::KMS::Key'));
  const statements = (key?.Properties.KeyPolicy.Statement ?? []) as {
    Principal: { Service?: string };
    Condition?: object;
  }[];
  const conditions = statements.filter(({ Principal }) => Principal.Service === 'events.amazonaws.com');
  assert.deepEqual(
    conditions.map(({ Condition }) => Condition),
    [{ StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } }],
  );
});

test('the function may move the one schedule, pass on the one role, take from the queue and log; and nothing else', () => {
  const { template, trigger } = synth();
  const role = trigger.node.findChild('FunctionRole') as Role;
  assert.deepEqual(actionsOf(template, role), [
    'iam:PassRole',
    'logs:CreateLogStream',
    'logs:PutLogEvents',
    'scheduler:CreateSchedule',
    'scheduler:UpdateSchedule',
    'sqs:ChangeMessageVisibility',
    'sqs:DeleteMessage',
    'sqs:GetQueueAttributes',
    'sqs:GetQueueUrl',
    'sqs:ReceiveMessage',
  ]);
  const statements = statementsOf(template, role);
  const about = (action: string) => statements.find(({ Action }) => JSON.stringify(Action).includes(action));
  assert.match(JSON.stringify(about('CreateSchedule')?.Resource), /:schedule\/.*\/start"/);
  const toScheduler = { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } };
  assert.deepEqual(about('PassRole')?.Condition, toScheduler);
  for (const { Resource } of statements) assert.notEqual(Resource, '*');
});

test('the schedule starts the pipeline with a role that may start it and nothing else, for schedules of its group alone', () => {
  const { template, trigger } = synth();
  assert.deepEqual(actionsOf(template, trigger.node.findChild('Role') as Role), [
    'sagemaker:StartPipelineExecution',
    'sqs:GetQueueAttributes',
    'sqs:GetQueueUrl',
    'sqs:SendMessage',
  ]);
  template.hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: [
        Match.objectLike({
          Condition: {
            StringEquals: Match.objectLike({
              'aws:SourceArn': { 'Fn::GetAtt': [idOf(template, 'AWS::Scheduler::ScheduleGroup'), 'Arn'] },
            }),
          },
        }),
      ],
    },
  });
});

const refused: Record<string, [Partial<NewDataProps>, string[]]> = {
  'a prefix of nothing, which what the pipeline writes would begin with': [{ prefix: '' }, ['prefix']],
  'a wildcard in the prefix': [{ prefix: 'raw/*' }, ['prefix']],
  'a slash before the prefix': [{ prefix: '/raw' }, ['prefix']],
  'a wildcard in an ending': [{ suffixes: ['*.png'] }, ['suffixes']],
  'a list of no endings': [{ suffixes: [] }, ['suffixes']],
  'a quiet period of seconds': [{ quietPeriod: Duration.seconds(5) }, ['quietPeriod']],
  'a parameter that is given twice': [
    { dataParameter: 'InputData', parameters: { InputData: 'a' } },
    ['dataParameter'],
  ],
  'a parameter for the data that the pipeline does not have': [{ dataParameter: 'Images' }, ['parameters.Images']],
  'all of it, at once': [
    { prefix: '', suffixes: [''], quietPeriod: Duration.days(8), retryAttempts: 999 },
    ['prefix', 'suffixes', 'quietPeriod', 'retryAttempts'],
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
