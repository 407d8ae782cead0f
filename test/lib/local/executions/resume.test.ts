// State survives: an execution that its control plane left unfinished, killed or closed, goes on with the next one of the folder.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CreateTrainingJobCommand,
  DescribeTrainingJobCommand,
  ListPipelineExecutionStepsCommand,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { startLocalSageMaker } from '../../../../lib/local';
import { pushPipeline, startExecution } from '../../../../lib/operations/execution';
import {
  ConditionStep,
  greaterThan,
  join as joinTexts,
  jsonGet,
  Pipeline,
  ProcessingStep,
  type Step,
} from '../../../../lib/pipeline';
import { temporaryFolder } from '../../../training/temporary-folder';
import { clientsOf, endOf, eventually, IMAGE, imageFolder, ROLE, TRAINING } from '../control-plane';

/** Each command writes its name down when it begins; the second waits at its first run until somebody ends it. */
function scripts(folder: string): Record<string, string> {
  const begun = `echo "$(basename "$0")" >> ${join(folder, 'begun')}`;
  return {
    first: `${begun}; echo '{"score": 1}' > processing/out/report.json`,
    second: `${begun}; [ $(grep -c second ${join(folder, 'begun')}) = 1 ] && exec sleep 60; exit 0`,
    // heeds SIGTERM as the trainer does: it stops early, and well
    patient: `${begun}; [ $(grep -c patient ${join(folder, 'begun')}) = 1 ] || exit 0
              trap 'exit 0' TERM; while :; do sleep 0.05; done`,
    broken: `${begun}; exit 1`,
    third: begun,
  };
}

function work(name: string, dependsOn: readonly Step[] = []): ProcessingStep {
  return new ProcessingStep(name, {
    arguments: {
      ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } },
      AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: [name] },
      RoleArn: ROLE,
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: 'out',
            S3Output: {
              S3Uri: joinTexts('/', 's3://bucket', name),
              LocalPath: '/opt/ml/processing/out',
              S3UploadMode: 'EndOfJob',
            },
          },
        ],
      },
    },
    propertyFiles: [{ name: 'Report', outputName: 'out', path: 'report.json' }],
    dependsOn,
  });
}

/** First, a condition on what it wrote, and in its branch the interrupted step and a last one. */
function definition(interrupted: string): string {
  const first = work('first');
  const second = work(interrupted);
  const score = jsonGet(first, { name: 'Report', outputName: 'out', path: 'report.json' }, 'score');
  const gate = new ConditionStep('gate', {
    conditions: [greaterThan(score, 0)],
    ifSteps: [second, work('third', [second])],
  });
  return JSON.stringify(new Pipeline('p', { steps: [first, gate] }).definition());
}

async function start(client: SageMakerClient, interrupted: string): Promise<string> {
  await pushPipeline(client, { name: 'p', definition: definition(interrupted), roleArn: ROLE });
  return startExecution(client, 'p', {});
}

const begun = (folder: string) =>
  existsSync(join(folder, 'begun')) ? readFileSync(join(folder, 'begun'), 'utf8').trim().split('\n') : [];

async function heldPlane(folder: string, image: string): Promise<{ child: ChildProcess; client: SageMakerClient }> {
  const child = spawn(process.execPath, [join(__dirname, '..', 'held-plane.js'), folder, image]);
  const [url] = await once(child.stdout, 'data');
  return { child, client: clientsOf(String(url).trim()).client };
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit');
  process.kill(child.pid as number, 'SIGKILL');
  await exited;
}

test('after a kill -9, finished steps are not run again, the interrupted one is, and the execution succeeds', async (t) => {
  const folder = temporaryFolder();
  const image = imageFolder(scripts(folder));
  const { child, client } = await heldPlane(folder, image);
  const executionArn = await start(client, 'second');
  await eventually(() => begun(folder).includes('second'));
  await kill(child);

  const plane = await startLocalSageMaker({ folder, images: new Map([[IMAGE, image]]) });
  t.after(() => plane.close());
  const after = clientsOf(plane.url).client;
  const execution = await endOf(after, executionArn);
  assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
  assert.deepEqual(begun(folder), ['first', 'second', 'second', 'third']);
  const list = new ListPipelineExecutionStepsCommand({ PipelineExecutionArn: executionArn });
  const { PipelineExecutionSteps = [] } = await after.send(list);
  assert.deepEqual(PipelineExecutionSteps.map(({ StepName, StepStatus }) => `${StepName} ${StepStatus}`).sort(), [
    'first Succeeded',
    'gate Succeeded',
    'second Succeeded',
    'third Succeeded',
  ]);
});

for (const interrupted of ['second', 'patient']) {
  test(`closed in the middle of a step that ${interrupted === 'patient' ? 'ends well' : 'dies'} of it, an execution goes on`, async (t) => {
    const folder = temporaryFolder();
    const images = new Map([[IMAGE, imageFolder(scripts(folder))]]);
    const first = await startLocalSageMaker({ folder, images });
    const executionArn = await start(clientsOf(first.url).client, interrupted);
    await eventually(() => begun(folder).includes(interrupted));
    await first.close();
    assert.deepEqual(begun(folder), ['first', interrupted]);

    const second = await startLocalSageMaker({ folder, images });
    t.after(() => second.close());
    const execution = await endOf(clientsOf(second.url).client, executionArn);
    assert.equal(execution.PipelineExecutionStatus, 'Succeeded', execution.FailureReason);
    assert.deepEqual(begun(folder), ['first', interrupted, interrupted, 'third']);
  });
}

test('an execution that has failed is not run again', async (t) => {
  const folder = temporaryFolder();
  const images = new Map([[IMAGE, imageFolder(scripts(folder))]]);
  const first = await startLocalSageMaker({ folder, images });
  const executionArn = await start(clientsOf(first.url).client, 'broken');
  assert.equal((await endOf(clientsOf(first.url).client, executionArn)).PipelineExecutionStatus, 'Failed');
  await first.close();
  const second = await startLocalSageMaker({ folder, images });
  t.after(() => second.close());
  assert.equal((await endOf(clientsOf(second.url).client, executionArn)).PipelineExecutionStatus, 'Failed');
  assert.deepEqual(begun(folder), ['first', 'broken']);
});

test('a job by itself that a kill -9 interrupted is Failed, not in progress for ever, and keeps its metrics', async (t) => {
  const folder = temporaryFolder();
  const image = imageFolder({ train: 'echo "loss=0.5;"; exec sleep 60' });
  const { child, client } = await heldPlane(folder, image);
  await client.send(new CreateTrainingJobCommand({ TrainingJobName: 'job', ...TRAINING }));
  const describe = new DescribeTrainingJobCommand({ TrainingJobName: 'job' });
  await eventually(async () => (await client.send(describe)).FinalMetricDataList?.length);
  await kill(child);
  const plane = await startLocalSageMaker({ folder, images: new Map([[IMAGE, image]]) });
  t.after(() => plane.close());
  const job = await clientsOf(plane.url).client.send(describe);
  assert.equal(job.TrainingJobStatus, 'Failed');
  assert.match(job.FailureReason as string, /the control plane ended before the job did/);
  assert.equal(job.FinalMetricDataList?.[0]?.Value, 0.5);
});
