// The schedule: what it becomes in the template, what its role may do, and what is refused, all at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack, TimeZone } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { ParameterString, PipelineSchedule, type PipelineScheduleProps, SageMakerPipeline } from '../../../lib';
import { actionsOf, findingsOf, idOf, refusedProps, smallPipeline } from '../small-pipeline';

const NIGHTLY = ScheduleExpression.cron({ hour: '2', minute: '30', timeZone: TimeZone.EUROPE_BERLIN });

function synth(props: (stack: Stack) => Partial<PipelineScheduleProps> = () => ({})) {
  const { stack, pipeline } = smallPipeline();
  const trigger = new PipelineSchedule(stack, 'Nightly', { pipeline, schedule: NIGHTLY, ...props(stack) });
  return { stack, trigger, template: Template.fromStack(stack) };
}

const build = (props: Partial<PipelineScheduleProps>) => () => synth(() => props);

test('it starts the pipeline by the clock of a time zone, with parameters, attempts and a queue for what failed', () => {
  const { template } = synth(() => ({
    parameters: { Epochs: 20, Size: 'large' },
    retryAttempts: 3,
    maxEventAge: Duration.hours(2),
    flexibleWindow: Duration.minutes(15),
    description: 'nightly',
  }));
  template.hasResourceProperties('AWS::Scheduler::Schedule', {
    ScheduleExpression: 'cron(30 2 * * ? *)',
    ScheduleExpressionTimezone: 'Europe/Berlin',
    FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 15 },
    Description: 'nightly',
    Target: {
      DeadLetterConfig: { Arn: { 'Fn::GetAtt': [idOf(template, 'AWS::SQS::Queue'), 'Arn'] } },
      RetryPolicy: { MaximumRetryAttempts: 3, MaximumEventAgeInSeconds: 7200 },
      SageMakerPipelineParameters: {
        PipelineParameterList: [
          { Name: 'Epochs', Value: '20' },
          { Name: 'Size', Value: 'large' },
        ],
      },
    },
  });
});

test('its target is the pipeline by the ARN that SageMaker gives it', () => {
  const { template } = synth();
  const [schedule] = Object.values(template.findResources('AWS::Scheduler::Schedule'));
  assert.match(JSON.stringify(schedule?.Properties.Target.Arn), /:pipeline\/planes"/);
  assert.equal(schedule?.DependsOn.includes(idOf(template, 'AWS::SageMaker::Pipeline')), true);
});

test('its role may start this pipeline and fill this queue, for schedules of this account and group alone', () => {
  const { template, trigger } = synth();
  const role = trigger.node.findChild('Role') as Role;
  assert.deepEqual(actionsOf(template, role), [
    'sagemaker:StartPipelineExecution',
    'sqs:GetQueueAttributes',
    'sqs:GetQueueUrl',
    'sqs:SendMessage',
  ]);
  template.hasResourceProperties('AWS::IAM::Role', {
    AssumeRolePolicyDocument: {
      Statement: [
        Match.objectLike({
          Principal: { Service: 'scheduler.amazonaws.com' },
          Condition: {
            StringEquals: {
              'aws:SourceAccount': { Ref: 'AWS::AccountId' },
              'aws:SourceArn': { 'Fn::Join': ['', Match.arrayWith([':schedule-group/default'])] },
            },
          },
        }),
      ],
    },
  });
});

test('the queue is encrypted, spoken to by TLS alone, and keeps for 14 days what failed', () => {
  const { template } = synth();
  template.hasResourceProperties('AWS::SQS::Queue', { SqsManagedSseEnabled: true, MessageRetentionPeriod: 1_209_600 });
  template.hasResourceProperties('AWS::SQS::QueuePolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
      ]),
    },
  });
});

test('a key encrypts the schedule and the queue, and a queue that is given is used', () => {
  const withKey = synth((stack) => ({ key: new Key(stack, 'Key') })).template;
  const key = { 'Fn::GetAtt': [idOf(withKey, 'AWS::KMS::Key'), 'Arn'] };
  withKey.hasResourceProperties('AWS::Scheduler::Schedule', { KmsKeyArn: key });
  withKey.hasResourceProperties('AWS::SQS::Queue', { KmsMasterKeyId: key });
  const given = synth((stack) => ({ deadLetterQueue: new Queue(stack, 'Mine') })).template;
  assert.match(idOf(given, 'AWS::SQS::Queue'), /^Mine/);
});

test('it begins and ends when it is told, and may be switched off', () => {
  const { template } = synth(() => ({
    start: new Date('2030-01-01T00:00:00Z'),
    end: new Date('2031-01-01T00:00:00Z'),
    enabled: false,
    scheduleName: 'nightly',
  }));
  template.hasResourceProperties('AWS::Scheduler::Schedule', {
    StartDate: '2030-01-01T00:00:00.000Z',
    EndDate: '2031-01-01T00:00:00.000Z',
    State: 'DISABLED',
    Name: 'nightly',
  });
});

const refused: Record<string, [Partial<PipelineScheduleProps>, RegExp]> = {
  'a parameter that the pipeline does not have': [{ parameters: { Epoch: 5 } }, /InputData, Epochs, Size/],
  'a value that is not of the enumeration': [
    { parameters: { Size: 'huge' } },
    /'huge'; allowed is one of small, large/,
  ],
  'a value of the wrong type': [{ parameters: { Epochs: 'many' } }, /a whole number/],
  'a value that is too long': [{ parameters: { InputData: 'x'.repeat(1025) } }, /1025 characters; allowed is 1024/],
  'an expression of no kind': [{ schedule: ScheduleExpression.expression('every day') }, /cron\(\.\.\.\), rate/],
  'a cron expression of five fields': [{ schedule: ScheduleExpression.expression('cron(0 2 * * *)') }, /six fields/],
  'a cron expression with two stars for days': [
    { schedule: ScheduleExpression.expression('cron(0 2 * * * *)') },
    /a \? for exactly one/,
  ],
  'a rate of nothing': [{ schedule: ScheduleExpression.expression('rate(0 days)') }, /whole minutes, hours or days/],
  'a moment that is none': [{ schedule: ScheduleExpression.expression('at(tomorrow)') }, /a moment/],
  'a window of two days': [{ flexibleWindow: Duration.days(2) }, /from 1 minute to 1 day/],
  'an end before the start': [{ start: new Date('2031-01-01'), end: new Date('2030-01-01') }, /after start/],
  'too many attempts': [{ retryAttempts: 186 }, /from 0 to 185/],
  'an age of seconds': [{ maxEventAge: Duration.seconds(30) }, /from 1 minute to 1 day/],
};

for (const [what, [props, says]] of Object.entries(refused)) {
  test(`${what} is refused, with what is allowed`, () => {
    const findings = findingsOf(build(props));
    assert.equal(findings.length, 1, JSON.stringify(findings));
    assert.match(findings[0]?.problem ?? '', says);
    assert.equal(findings[0]?.where, 'Test/Nightly');
  });
}

test('all that is wrong is told at once', () => {
  const props = { parameters: { Epoch: 1, Size: 'huge' }, retryAttempts: -1, flexibleWindow: Duration.seconds(1) };
  assert.deepEqual(refusedProps(build(props)), [
    'flexibleWindow',
    'parameters.Epoch',
    'parameters.Size',
    'retryAttempts',
  ]);
});

test('a parameter without a default must be given', () => {
  const { stack, training } = smallPipeline();
  const parameters = [new ParameterString('InputData', { defaultValue: 's3://a/b' }), new ParameterString('Site')];
  const role = training.node.scope?.node.findChild('Role') as Role;
  const pipeline = new SageMakerPipeline(stack, 'Other', {
    pipelineName: 'o',
    role,
    steps: [training.step],
    parameters,
  });
  const trigger = (id: string, given: Record<string, string>) => () =>
    new PipelineSchedule(stack, id, { pipeline, schedule: NIGHTLY, parameters: given });
  assert.deepEqual(refusedProps(trigger('A', {})), ['parameters.Site']);
  assert.deepEqual(refusedProps(trigger('B', { Site: 'a' })), []);
});
