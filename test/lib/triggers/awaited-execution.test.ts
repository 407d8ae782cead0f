// The state machine that starts and waits, run by moto's Step Functions against the local SageMaker; and the action of CodePipeline.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Duration } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import { Artifact, Pipeline } from 'aws-cdk-lib/aws-codepipeline';
import { S3SourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import type { Role } from 'aws-cdk-lib/aws-iam';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { AwaitedExecution, type AwaitedExecutionProps } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { pushPipeline } from '../../../lib/operations/execution';
import { skipMoto, startMoto } from '../../moto';
import { controlPlane, eventually, ROLE } from '../local/control-plane';
import { actionsOf, refusedProps, smallPipeline, statementsOf } from '../small-pipeline';

function synth(props: Partial<AwaitedExecutionProps> = {}) {
  const { stack, pipeline } = smallPipeline();
  const trigger = new AwaitedExecution(stack, 'Run', { pipeline, ...props });
  return { stack, trigger, template: () => Template.fromStack(stack) };
}

/** The state machine as Step Functions gets it. */
function definition(props: Partial<AwaitedExecutionProps>): string {
  const template = synth(props).template();
  const [machine] = Object.values(template.findResources('AWS::StepFunctions::StateMachine'));
  return resolveTemplate(machine?.Properties.DefinitionString, template.toJSON() as never) as string;
}

/** Runs the state machine on a pipeline of those steps, to its end. */
async function run(context: TestContext, steps: readonly object[], props: Partial<AwaitedExecutionProps> = {}) {
  const { client, url } = await controlPlane(context);
  const Parameters = [{ Name: 'Size', Type: 'String', DefaultValue: 'small' }];
  const body = JSON.stringify({ Version: '2020-12-01', Parameters, Steps: steps });
  await pushPipeline(client, { name: 'Planes', definition: body, roleArn: ROLE });
  // its interpreter speaks to the SageMaker at that port
  const moto = await startMoto(context, { MOTO_PORT: new URL(url).port });
  const post = async (path: string, target: string | undefined, request: object) => {
    const headers = {
      'Content-Type': 'application/x-amz-json-1.0',
      ...(target && { 'X-Amz-Target': `AWSStepFunctions.${target}` }),
    };
    const response = await fetch(`${moto}${path}`, {
      method: 'POST',
      headers: { ...headers, Authorization: 'AWS4-HMAC-SHA256 Credential=test/20300101/us-east-1/states/aws4_request' },
      body: JSON.stringify(request),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return JSON.parse(text) as Record<string, string>;
  };
  await post('/moto-api/config', undefined, { stepfunctions: { execute_state_machine: true } });
  const machine = {
    name: 'run',
    definition: definition({ pollInterval: Duration.seconds(1), ...props }),
    roleArn: ROLE,
  };
  const { stateMachineArn } = await post('/', 'CreateStateMachine', machine);
  const { executionArn } = await post('/', 'StartExecution', { stateMachineArn, input: '{"size":"large"}' });
  return eventually(async () => {
    const execution = await post('/', 'DescribeExecution', { executionArn });
    return execution.status === 'RUNNING' ? undefined : execution;
  }, 60);
}

const FAIL = {
  Name: 'Gate',
  Type: 'Fail',
  Arguments: { ErrorMessage: { 'Std:Join': { On: '', Values: ['too bad: ', { Get: 'Parameters.Size' }] } } },
};
const PASS = {
  Name: 'Check',
  Type: 'Condition',
  Arguments: { Conditions: [{ Type: 'Equals', LeftValue: 1, RightValue: 1 }], IfSteps: [], ElseSteps: [] },
};

test('it succeeds where the execution does', { skip: skipMoto }, async (context) => {
  const { status } = await run(context, [PASS]);
  assert.equal(status, 'SUCCEEDED');
});

test('it fails where the execution does, and its cause has the reason', { skip: skipMoto }, async (context) => {
  const { status, error, cause } = await run(context, [FAIL], { parameters: { Size: 'large' } });
  assert.equal(status, 'FAILED');
  assert.equal(error, 'PipelineExecutionFailed');
  assert.match(cause ?? '', /step Gate failed: too bad: large/);
});

test('each wait is a second longer, and the start has a token that makes it safe to repeat', () => {
  const { States } = JSON.parse(definition({ pollInterval: Duration.seconds(30) }));
  assert.equal(States.Start.ResultSelector.wait, 30);
  assert.equal(States.Wait.SecondsPath, '$.wait');
  assert.equal(States.Later.Parameters['wait.$'], 'States.MathAdd($.wait, 1)');
  assert.equal(States.Start.Parameters['ClientRequestToken.$'], "States.Hash($$.Execution.Id, 'SHA-256')");
});

test('its role may start this pipeline and look at its executions, log and trace', () => {
  const { trigger, ...made } = synth();
  const template = made.template();
  const role = trigger.node.findChild('Role') as Role;
  assert.deepEqual(
    actionsOf(template, role).filter((action) => !/^(?:logs|xray):/.test(action)),
    ['sagemaker:DescribePipelineExecution', 'sagemaker:StartPipelineExecution'],
  );
  const sagemaker = statementsOf(template, role).filter(({ Action }) => String(Action).startsWith('sagemaker'));
  for (const { Resource } of sagemaker) assert.match(JSON.stringify(Resource), /:pipeline\/planes/);
});

test('a stage of CodePipeline has it as an action, with what the source gave', () => {
  const { stack, trigger } = synth();
  const source = new Artifact('Source');
  new Pipeline(stack, 'Delivery', {
    stages: [
      {
        stageName: 'Source',
        actions: [
          new S3SourceAction({
            actionName: 'S3',
            bucket: new Bucket(stack, 'Code'),
            bucketKey: 'a.zip',
            output: source,
          }),
        ],
      },
      {
        stageName: 'Train',
        actions: [trigger.codePipelineAction('Train', { input: { commit: '#{a.b}' }, runOrder: 2 })],
      },
    ],
  });
  Template.fromStack(stack).hasResourceProperties('AWS::CodePipeline::Pipeline', {
    Stages: Match.arrayWith([
      Match.objectLike({
        Name: 'Train',
        Actions: [
          Match.objectLike({
            ActionTypeId: { Category: 'Invoke', Owner: 'AWS', Provider: 'StepFunctions', Version: '1' },
            Configuration: Match.objectLike({ Input: '{"commit":"#{a.b}"}' }),
            RunOrder: 2,
          }),
        ],
      }),
    ]),
  });
});

test('what is wrong is refused, all of it at once', () => {
  const props = { parameters: { Nope: 1 }, pollInterval: Duration.hours(2), timeout: Duration.seconds(1) };
  assert.deepEqual(
    refusedProps(() => synth(props)),
    ['parameters.Nope', 'pollInterval', 'timeout'],
  );
});
