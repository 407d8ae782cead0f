// Notifications: which events are told, in what words, through which topic; and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { Notification, type NotificationProps, type SageMakerPipeline } from '../../../../lib';
import { idOf, refusedProps, smallPipeline } from '../../small-pipeline';

type Props = (pipeline: SageMakerPipeline, stack: Stack) => NotificationProps;

function synth(props: Props) {
  const { stack, pipeline } = smallPipeline();
  new Notification(stack, 'Tell', props(pipeline, stack));
  return { stack, template: Template.fromStack(stack) };
}

test('the ends of executions are told, of this pipeline alone, by both spellings of its ARN', () => {
  const { template } = synth((pipeline) => ({ pipelines: [pipeline] }));
  template.resourceCountIs('AWS::Events::Rule', 1);
  const pipeline = (name: string) => ({ 'Fn::Join': ['', Match.arrayWith([`:pipeline/${name}`])] });
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      source: ['aws.sagemaker'],
      'detail-type': ['SageMaker Model Building Pipeline Execution Status Change'],
      detail: {
        currentPipelineExecutionStatus: ['Failed', 'Stopped', 'Succeeded'],
        pipelineArn: [pipeline('Planes'), pipeline('planes')],
      },
    },
    Targets: [Match.objectLike({ Arn: { Ref: idOf(template, 'AWS::SNS::Topic') } })],
  });
});

test('the message is in words, and says how to see the steps', () => {
  const { template } = synth((pipeline) => ({ pipelines: [pipeline], statuses: ['Failed'] }));
  const [rule] = Object.values(template.findResources('AWS::Events::Rule'));
  assert.ok(rule);
  const { InputPathsMap, InputTemplate } = rule.Properties.Targets[0].InputTransformer;
  assert.equal(InputPathsMap['detail-currentPipelineExecutionStatus'], '$.detail.currentPipelineExecutionStatus');
  const message = JSON.parse(InputTemplate);
  assert.match(message, /^An execution of a pipeline is <detail-currentPipelineExecutionStatus>\.\n/);
  assert.match(message, /npx scanline watch <detail-pipelineExecutionArn>$/);
  assert.deepEqual(rule.Properties.EventPattern.detail.currentPipelineExecutionStatus, ['Failed']);
});

test('versions that wait for approval are told, with the command that approves', () => {
  const { template } = synth(() => ({ modelPackageGroups: ['planes'] }));
  template.hasResourceProperties('AWS::Events::Rule', {
    EventPattern: {
      'detail-type': ['SageMaker Model Package State Change'],
      detail: { ModelPackageGroupName: ['planes'], ModelApprovalStatus: ['PendingManualApproval'] },
    },
    Targets: [
      Match.objectLike({
        InputTransformer: {
          InputTemplate: Match.stringLikeRegexp(
            '--model-package-arn <detail-ModelPackageArn> --model-approval-status Approved',
          ),
        },
      }),
    ],
  });
});

test("the topic is encrypted with a key that is rotated, takes TLS alone, and messages of this account's services", () => {
  const { template } = synth(() => ({ emails: ['mri@example.org'] }));
  template.hasResourceProperties('AWS::SNS::Topic', {
    KmsMasterKeyId: { 'Fn::GetAtt': [idOf(template, 'AWS::KMS::Key'), 'Arn'] },
  });
  template.hasResourceProperties('AWS::SNS::Subscription', { Protocol: 'email', Endpoint: 'mri@example.org' });
  const Service = ['budgets.amazonaws.com', 'cloudwatch.amazonaws.com', 'events.amazonaws.com'];
  const Condition = { StringEquals: { 'aws:SourceAccount': { Ref: 'AWS::AccountId' } } };
  template.hasResourceProperties('AWS::SNS::TopicPolicy', {
    PolicyDocument: {
      Statement: Match.arrayWith([
        Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        Match.objectLike({ Effect: 'Allow', Action: 'sns:Publish', Principal: { Service }, Condition }),
      ]),
    },
  });
  template.hasResourceProperties('AWS::KMS::Key', {
    EnableKeyRotation: true,
    KeyPolicy: {
      Statement: Match.arrayWith([
        Match.objectLike({ Action: ['kms:Decrypt', 'kms:GenerateDataKey*'], Principal: { Service }, Condition }),
      ]),
    },
  });
});

test('an existing topic is used, and stays as it is', () => {
  const { template } = synth((pipeline, stack) => ({
    pipelines: [pipeline],
    topic: Topic.fromTopicArn(stack, 'Theirs', 'arn:aws:sns:us-east-1:111122223333:theirs'),
  }));
  template.resourceCountIs('AWS::SNS::Topic', 0);
  template.resourceCountIs('AWS::KMS::Key', 0);
});

test('an imported key, whose policy cannot be changed, is warned of', () => {
  const arn = 'arn:aws:kms:us-east-1:111122223333:key/theirs';
  const { stack } = synth((_, scope) => ({ key: Key.fromKeyArn(scope, 'Theirs', arn) }));
  Annotations.fromStack(stack).hasWarning('/Test/Tell', Match.stringLikeRegexp('must allow events.amazonaws.com'));
});

const refused: Record<string, [Props, string[]]> = {
  'an address that is none': [() => ({ emails: ['mri'] }), ['emails']],
  'an address twice': [() => ({ emails: ['a@b.org', 'a@b.org'] }), ['emails']],
  'no status': [(pipeline) => ({ pipelines: [pipeline], statuses: [] }), ['statuses']],
  'statuses without a pipeline': [() => ({ statuses: ['Failed'] }), ['statuses']],
  'a group without a name': [() => ({ modelPackageGroups: [''] }), ['modelPackageGroups']],
  'a key for a topic that exists': [
    (_, stack) => ({ topic: new Topic(stack, 'Mine'), key: new Key(stack, 'Key') }),
    ['key'],
  ],
  'all of it, at once': [
    () => ({ emails: ['x'], statuses: [], modelPackageGroups: [''] }),
    ['emails', 'statuses', 'statuses', 'modelPackageGroups'],
  ],
};

for (const [what, [props, findings]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.deepEqual(
      refusedProps(() => synth(props)),
      findings,
    );
  });
}
