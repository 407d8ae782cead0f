// Executions over HTTP: steps in the order of their dependencies, branches both ways, and each way in which one can end.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import {
  CreateModelPackageGroupCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  DescribePipelineExecutionCommand,
  DescribeProcessingJobCommand,
  ListPipelineExecutionStepsCommand,
  ListPipelineParametersForExecutionCommand,
  StartPipelineExecutionCommand,
  StopPipelineExecutionCommand,
} from '@aws-sdk/client-sagemaker';
import { startExecution } from '../../../../lib/operations/execution';
import {
  ConditionStep,
  FailStep,
  greaterThanOrEqualTo,
  join,
  jsonGet,
  ModelStep,
  type ProcessingStep,
  RegisterModelStep,
  type Step,
  TrainingStep,
} from '../../../../lib/pipeline';
import { controlPlane, endOf, eventually, IMAGE, ROLE, TRAINING } from '../control-plane';
import { least, message, push, REPORT, run, SCRIPTS, stepsOf, work } from './pipelines';

function gate(evaluation: ProcessingStep): Step[] {
  const score = jsonGet(evaluation, REPORT, 'metrics[0].score');
  const condition = new ConditionStep('Gate', {
    conditions: [greaterThanOrEqualTo(score, least)],
    ifSteps: [work('Passed', 'say')],
    elseSteps: [new FailStep('Refused', { errorMessage: join(' ', 'only', score, 'of', least) })],
  });
  return [evaluation, condition];
}

test('an execution whose steps all succeed has succeeded', async (t) => {
  const { execution, steps } = await run(t, [work('A', 'say'), work('B', 'say')]);
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  assert.deepEqual(steps.map(({ StepName, StepStatus }) => `${StepName} ${StepStatus}`).sort(), [
    'A Succeeded',
    'B Succeeded',
  ]);
});

test("an underscore in a step's name is a hyphen in its job's", async (t) => {
  const { step } = await run(t, [work('Say_it_', 'say')]);
  assert.equal(step('Say_it_').StepStatus, 'Succeeded', step('Say_it_').FailureReason);
  assert.match(step('Say_it_').Metadata?.ProcessingJob?.Arn as string, /\/pipelines-[0-9a-f]{12}-Say-it--[0-9a-f]{8}$/);
});

test('a step begins when what it depends on has ended', async (t) => {
  const first = work('First', 'score');
  const { step } = await run(t, [work('Second', 'say', { dependsOn: [first] }), first]);
  const ended = step('First').EndTime as Date;
  assert.ok(ended <= (step('Second').StartTime as Date), `${ended} is after ${step('Second').StartTime}`);
});

test('steps that do not depend on each other run at the same time', async (t) => {
  const waitForOther = (own: string, other: string) =>
    `touch ../../../../${own}; for i in $(seq 200); do [ -e ../../../../${other} ] && exit 0; sleep 0.05; done; exit 1`;
  const plane = await push(t, [work('A', 'a'), work('B', 'b')], {
    a: waitForOther('a', 'b'),
    b: waitForOther('b', 'a'),
  });
  const execution = await endOf(plane.client, await startExecution(plane.client, 'p', {}));
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
});

test('parameters that are chosen win over their defaults', async (t) => {
  const { plane, step } = await run(t, [work('Say', 'say', { arguments: [message] })], { Message: 'good morning' });
  const name = step('Say').Metadata?.ProcessingJob?.Arn?.split('/')[1];
  const job = await plane.client.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }));
  assert.deepEqual(job.AppSpecification?.ContainerArguments, ['good morning']);
});

test('a condition that holds takes the first branch', async (t) => {
  const { execution, steps, step } = await run(t, gate(work('Evaluate', 'score')), { Least: '0.75' });
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  assert.equal(step('Gate').Metadata?.Condition?.Outcome, 'True');
  assert.deepEqual(steps.map(({ StepName }) => StepName).sort(), ['Evaluate', 'Gate', 'Passed']);
});

test('a condition that does not hold takes the other, whose Fail step ends the execution with its message', async (t) => {
  const { execution, step } = await run(t, gate(work('Evaluate', 'score')), { Least: '0.76' });
  assert.equal(step('Gate').Metadata?.Condition?.Outcome, 'False');
  assert.equal(step('Refused').StepStatus, 'Failed');
  assert.equal(step('Refused').Metadata?.Fail?.ErrorMessage, 'only 0.75 of 0.76');
  assert.equal(step('Passed'), undefined);
  assert.equal(execution.PipelineExecutionStatus, 'Failed');
  assert.match(execution.FailureReason as string, /only 0\.75 of 0\.76/);
});

test('a property file of a step inside a branch is found', async (t) => {
  const [evaluation, inner] = gate(work('Evaluate', 'score')) as [Step, Step];
  const outer = new ConditionStep('Outer', {
    conditions: [greaterThanOrEqualTo(least, 0)],
    ifSteps: [evaluation, inner],
  });
  const { execution, step } = await run(t, [outer]);
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  assert.equal(step('Gate').Metadata?.Condition?.Outcome, 'True');
});

test('a property file that was not written fails the condition, which names it', async (t) => {
  const { execution, step } = await run(t, gate(work('Evaluate', 'say')));
  assert.equal(execution.PipelineExecutionStatus, 'Failed');
  assert.match(step('Gate').FailureReason as string, /report\.json/);
});

test('a job that fails ends the execution with its reason, and what depends on it does not run', async (t) => {
  const broken = work('Broken', 'fail');
  const { execution, steps } = await run(t, [broken, work('After', 'say', { dependsOn: [broken] })]);
  assert.equal(execution.PipelineExecutionStatus, 'Failed');
  assert.match(execution.FailureReason as string, /step Broken failed: AlgorithmError: the scanner is off/);
  assert.deepEqual(
    steps.map(({ StepName, StepStatus }) => [StepName, StepStatus]),
    [['Broken', 'Failed']],
  );
});

test('after a failure what runs comes to its end, and nothing more begins', async (t) => {
  const slow = work('Slow', 'slow');
  const broken = work('Broken', 'fail');
  // ends only when the failure has been written down
  const waitForFailure =
    'for i in $(seq 200); do grep -q "scanner is off" ../../../../pipeline-executions/*.json && exit 0; sleep 0.05; done; exit 1';
  const plane = await push(t, [slow, broken, work('AfterSlow', 'say', { dependsOn: [slow] })], {
    ...SCRIPTS,
    slow: waitForFailure,
  });
  const executionArn = await startExecution(plane.client, 'p', {});
  assert.equal((await endOf(plane.client, executionArn)).PipelineExecutionStatus, 'Failed');
  assert.deepEqual(
    (await stepsOf(plane, executionArn)).map(({ StepName, StepStatus }) => `${StepName} ${StepStatus}`).sort(),
    ['Broken Failed', 'Slow Succeeded'],
  );
});

test('what a job produced goes on to the steps that refer to it: a model, and a version of it', async (t) => {
  const train = new TrainingStep('Train', {
    arguments: TRAINING,
  });
  const container = { Image: IMAGE, ModelDataUrl: train.properties.ModelArtifacts.S3ModelArtifacts };
  const model = new ModelStep('Model', { arguments: { PrimaryContainer: container, ExecutionRoleArn: ROLE } });
  const version = new RegisterModelStep('Register', {
    arguments: {
      ModelPackageGroupName: 'group',
      InferenceSpecification: { Containers: [container] },
      CustomerMetadataProperties: {
        loss: join('', train.properties.FinalMetricDataList.loss?.Value as typeof least),
      },
    },
  });
  const plane = await push(t, [model, version, train]);
  const { client } = plane;
  await client.send(new CreateModelPackageGroupCommand({ ModelPackageGroupName: 'group' }));
  const executionArn = await startExecution(client, 'p', {});
  const execution = await endOf(client, executionArn);
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  const metadata = (await stepsOf(plane, executionArn)).map((step) => step.Metadata);
  const modelArn = metadata.find((entry) => entry?.Model)?.Model?.Arn as string;
  const { PrimaryContainer } = await client.send(new DescribeModelCommand({ ModelName: modelArn.split('/')[1] }));
  assert.ok(existsSync(plane.s3.path(PrimaryContainer?.ModelDataUrl as string)), PrimaryContainer?.ModelDataUrl);
  const ModelPackageName = metadata.find((entry) => entry?.RegisterModel)?.RegisterModel?.Arn;
  const registered = await client.send(new DescribeModelPackageCommand({ ModelPackageName }));
  assert.equal(registered.ModelPackageVersion, 1);
  assert.equal(registered.CustomerMetadataProperties?.loss, '0.5');
});

test('an execution that is stopped ends its jobs, and is Stopped', async (t) => {
  const plane = await push(t, [work('Wait', 'wait')]);
  const executionArn = await startExecution(plane.client, 'p', {});
  await eventually(async () => (await stepsOf(plane, executionArn))[0]?.Metadata?.ProcessingJob);
  const stopped = await plane.client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn: executionArn }));
  assert.equal(stopped.PipelineExecutionArn, executionArn);
  assert.equal((await endOf(plane.client, executionArn)).PipelineExecutionStatus, 'Stopped');
  assert.equal((await stepsOf(plane, executionArn))[0]?.StepStatus, 'Stopped');
});

test('an execution that is over cannot be stopped, and stays as it is', async (t) => {
  const { plane, execution } = await run(t, [work('Say', 'say')]);
  const { PipelineExecutionArn } = execution;
  await assert.rejects(plane.client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn })), {
    name: 'ConflictException',
  });
  const after = await plane.client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
  assert.equal(after.PipelineExecutionStatus, 'Succeeded');
});

test('an execution that is not there is ResourceNotFound', async (t) => {
  const { client } = await controlPlane(t);
  const PipelineExecutionArn = 'arn:aws:sagemaker:us-east-1:000000000000:pipeline/p/execution/gone';
  const gone = { name: 'ResourceNotFound' };
  await assert.rejects(client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn })), gone);
  await assert.rejects(client.send(new ListPipelineExecutionStepsCommand({ PipelineExecutionArn })), gone);
  await assert.rejects(client.send(new StopPipelineExecutionCommand({ PipelineExecutionArn })), gone);
});

test('an execution tells all its parameters, those that nobody chose too', async (t) => {
  const { client } = await push(t, [work('Say', 'say')]);
  const arn = await startExecution(client, 'p', { Message: 'hi' });
  const { PipelineParameters } = await client.send(
    new ListPipelineParametersForExecutionCommand({ PipelineExecutionArn: arn }),
  );
  assert.deepEqual(PipelineParameters, [
    { Name: 'Message', Value: 'hi' },
    { Name: 'Least', Value: '0.5' },
  ]);
});

test('the same request again, by its token, begins no other execution', async (t) => {
  const { client } = await push(t, [work('Say', 'say')]);
  const start = (token: string) =>
    client.send(
      new StartPipelineExecutionCommand({
        PipelineName: 'p',
        ClientRequestToken: token.repeat(32),
        PipelineExecutionDescription: 'nightly',
      }),
    );
  const [first, again, other] = [await start('a'), await start('a'), await start('b')];
  assert.equal(again.PipelineExecutionArn, first.PipelineExecutionArn);
  assert.notEqual(other.PipelineExecutionArn, first.PipelineExecutionArn);
  const { PipelineExecutionDescription } = await client.send(
    new DescribePipelineExecutionCommand({ PipelineExecutionArn: first.PipelineExecutionArn }),
  );
  assert.equal(PipelineExecutionDescription, 'nightly');
});
