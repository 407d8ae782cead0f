// The trigger by approval: the events that it takes, what it starts, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Duration, type Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { ModelApproval, type ModelApprovalProps } from '../../../lib';
import { idOf, refusedProps, smallPipeline, statementsOf } from '../small-pipeline';

function synth(props: (stack: Stack) => Partial<ModelApprovalProps> = () => ({}), withPipeline = true) {
  const { stack, pipeline } = smallPipeline();
  const trigger = new ModelApproval(stack, 'Approved', {
    groupName: 'planes',
    ...(withPipeline && { pipeline }),
    ...props(stack),
  });
  return { trigger, template: Template.fromStack(stack) };
}

test('a version that is approved starts the pipeline with its ARN, which the event brings', () => {
  const { template } = synth(() => ({ parameters: { InputData: ModelApproval.modelPackageArn, Epochs: 1 } }));
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.sagemaker'],
      'detail-type': ['SageMaker Model Package State Change'],
      detail: { ModelPackageGroupName: ['planes'], ModelApprovalStatus: ['Approved'] },
    },
    Targets: [
      Match.objectLike({
        Arn: { 'Fn::Join': ['', Match.arrayWith([':pipeline/planes'])] },
        DeadLetterConfig: { Arn: { 'Fn::GetAtt': [idOf(template, 'AWS::SQS::Queue'), 'Arn'] } },
        SageMakerPipelineParameters: {
          PipelineParameterList: [
            { Name: 'InputData', Value: '$.detail.ModelPackageArn' },
            { Name: 'Epochs', Value: '1' },
          ],
        },
      }),
    ],
  });
});

test('its role may start the pipeline and nothing else, and only its rule may fill its queue', () => {
  const { template, trigger } = synth();
  const role = trigger.node.findChild('Role') as Role;
  assert.deepEqual(
    statementsOf(template, role).map(({ Action }) => Action),
    ['sagemaker:StartPipelineExecution'],
  );
  template.hasResourceProperties('AWS::SQS::QueuePolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({
          Action: 'sqs:SendMessage',
          Principal: { Service: 'events.amazonaws.com' },
          Condition: { ArnEquals: { 'aws:SourceArn': { 'Fn::GetAtt': [idOf(template, 'AWS::Events::Rule'), 'Arn'] } } },
        }),
      ]),
    },
  });
});

test('other statuses, attempts and an age that are given are taken', () => {
  const { template } = synth(() => ({ statuses: ['Rejected'], retryAttempts: 2, maxEventAge: Duration.hours(1) }));
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: { detail: { ModelApprovalStatus: ['Rejected'] } },
    Targets: [Match.objectLike({ RetryPolicy: { MaximumRetryAttempts: 2, MaximumEventAgeInSeconds: 3600 } })],
  });
});

test('another target is started instead of a pipeline, and nothing is made for one', () => {
  const { template, trigger } = synth((stack) => ({ target: new SqsQueue(new Queue(stack, 'Mine')) }), false);
  template.resourceCountIs('AWS::SQS::Queue', 1);
  assert.equal(trigger.deadLetterQueue, undefined);
});

const refused: Record<string, [(stack: Stack) => Partial<ModelApprovalProps>, boolean, string[]]> = {
  'neither a pipeline nor a target': [() => ({}), false, ['pipeline']],
  'both a pipeline and a target': [(stack) => ({ target: new SqsQueue(new Queue(stack, 'Q')) }), true, ['pipeline']],
  "what a target brings itself, with the target's own": [
    (stack) => ({ target: new SqsQueue(new Queue(stack, 'Q')), retryAttempts: 1, parameters: {} }),
    false,
    ['parameters', 'retryAttempts'],
  ],
  'no name, no status and a wrong parameter': [
    () => ({ groupName: '', statuses: [], parameters: { Nope: '1' } }),
    true,
    ['groupName', 'statuses', 'parameters.Nope'],
  ],
};

for (const [what, [props, withPipeline, findings]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.deepEqual(
      refusedProps(() => synth(props, withPipeline)),
      findings,
    );
  });
}
