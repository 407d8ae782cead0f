// Which steps of a pipeline an execution runs, and how many at once; what cannot run here is refused before anything has.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join as joinPath } from 'node:path';
import { test } from 'node:test';
import {
  DescribeProcessingJobCommand,
  StartPipelineExecutionCommand,
  type StartPipelineExecutionRequest,
} from '@aws-sdk/client-sagemaker';
import { startExecution } from '../../../../lib/operations/execution';
import { CallbackStep, type Expression, join } from '../../../../lib/pipeline';
import { endOf, type TestPlane } from '../control-plane';
import { push, SCRIPTS, stepsOf, work } from './pipelines';

/** First, and two that read what it wrote. */
function chain() {
  const first = work('First', 'score');
  const read = (name: string) =>
    work(name, 'say', {
      arguments: [
        join('', first.properties.ProcessingOutputConfig.Outputs.report?.S3Output.S3Uri as Expression<string>),
      ],
    });
  return { first, second: read('Second'), third: read('Third') };
}

async function start({ client }: TestPlane, request: Partial<StartPipelineExecutionRequest>) {
  const { PipelineExecutionArn: arn = '' } = await client.send(
    new StartPipelineExecutionCommand({ PipelineName: 'p', ...request } as StartPipelineExecutionRequest),
  );
  const execution = await endOf(client, arn);
  return { arn, execution };
}

const select = (source: string | undefined, ...names: string[]) => ({
  SelectedSteps: names.map((StepName) => ({ StepName })),
  ...(source && { SourcePipelineExecutionArn: source }),
});

test('selected steps run with what the execution before made for them; the others do not', async (t) => {
  const { first, second, third } = chain();
  const plane = await push(t, [first, second, third]);
  const before = await startExecution(plane.client, 'p', {});
  await endOf(plane.client, before);
  const [step] = (await stepsOf(plane, before)).filter(({ StepName }) => StepName === 'First');
  const { arn, execution } = await start(plane, { SelectiveExecutionConfig: select(before, 'Third') });
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  const steps = await stepsOf(plane, arn);
  assert.deepEqual(
    steps.map(({ StepName }) => StepName),
    ['Third', 'First'],
  );
  const reused = steps[1];
  assert.deepEqual(reused?.Metadata, step?.Metadata, 'the job of the execution before');
  assert.equal(reused?.SelectiveExecutionResult?.SourcePipelineExecutionArn, before);
  const ProcessingJobName = steps[0]?.Metadata?.ProcessingJob?.Arn?.split('/')[1];
  const job = await plane.client.send(new DescribeProcessingJobCommand({ ProcessingJobName }));
  assert.match(
    job.AppSpecification?.ContainerArguments?.[0] as string,
    new RegExp(`${before.split('/').at(-1)}/First$`),
  );
});

test('selected steps that need what the execution before has not made are refused by name', async (t) => {
  const { first, second, third } = chain();
  const plane = await push(t, [first, second, third], { ...SCRIPTS, score: 'exit 1' });
  const { arn } = await start(plane, {});
  await assert.rejects(start(plane, { SelectiveExecutionConfig: select(arn, 'Second') }), {
    name: 'ValidationException',
    message: /need First, which did not succeed in arn:\S+\. Fix: give the execution where they did/,
  });
});

test('selected steps that need others are refused without an execution before', async (t) => {
  const { first, second, third } = chain();
  const plane = await push(t, [first, second, third]);
  await assert.rejects(start(plane, { SelectiveExecutionConfig: select(undefined, 'Second') }), {
    name: 'ValidationException',
    message: /the selected steps Second: they need what First made\. Fix: give the execution/,
  });
});

test('a step to select that the pipeline does not have is refused with those that it has', async (t) => {
  const plane = await push(t, [work('Only', 'say')]);
  await assert.rejects(start(plane, { SelectiveExecutionConfig: select(undefined, 'Ony') }), {
    name: 'ValidationException',
    message: /step Ony: it was selected.* choose among: Only/,
  });
});

test('no more steps run at once than were asked for', async (t) => {
  const alone = 'mkdir ../../../../busy || exit 1; sleep 0.3; rmdir ../../../../busy';
  const plane = await push(t, [work('A', 'alone'), work('B', 'alone'), work('C', 'alone')], { alone });
  const { execution } = await start(plane, { ParallelismConfiguration: { MaxParallelExecutionSteps: 1 } });
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
});

test('a pipeline with a step that cannot run here is refused before a step has run', async (t) => {
  const callback = new CallbackStep('Ask', { queueUrl: 'https://sqs.us-east-1.amazonaws.com/000000000000/q' });
  const plane = await push(t, [work('Work', 'say'), callback], SCRIPTS);
  await assert.rejects(start(plane, {}), {
    name: 'ValidationException',
    message:
      /do not run on this machine: Ask \(Callback\); those that do are of the types Condition, Processing, Training/,
  });
  assert.ok(!existsSync(joinPath(plane.folder, 'processing-job')), 'no job was begun');
});
