// Jobs over HTTP, run for real: input put in place, the image's command run, output taken away, and how each end is told.
import assert from 'node:assert/strict';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CreateProcessingJobCommand,
  type CreateProcessingJobCommandInput,
  CreateTrainingJobCommand,
  type CreateTrainingJobCommandInput,
  DescribeProcessingJobCommand,
  DescribeTrainingJobCommand,
  type SageMakerClient,
  StopProcessingJobCommand,
  StopTrainingJobCommand,
} from '@aws-sdk/client-sagemaker';
import { extract } from 'tar';
import type { JobKind } from '../../../../lib/local/jobs/runner';
import { temporaryFolder } from '../../../training/temporary-folder';
import { controlPlane, eventually, IMAGE, ROLE, type TestPlane } from '../control-plane';

function processingJob(name: string, parts: Partial<CreateProcessingJobCommandInput> = {}) {
  return new CreateProcessingJobCommand({
    ProcessingJobName: name,
    ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } },
    AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['work'] },
    RoleArn: ROLE,
    ...parts,
  });
}

function trainingJob(name: string, parts: Partial<CreateTrainingJobCommandInput> = {}) {
  return new CreateTrainingJobCommand({
    TrainingJobName: name,
    AlgorithmSpecification: { TrainingImage: IMAGE, TrainingInputMode: 'File' },
    RoleArn: ROLE,
    OutputDataConfig: { S3OutputPath: 's3://bucket/models/' },
    ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 },
    StoppingCondition: { MaxRuntimeInSeconds: 60 },
    ...parts,
  });
}

function endOfProcessing(client: SageMakerClient, name: string) {
  return eventually(async () => {
    const job = await client.send(new DescribeProcessingJobCommand({ ProcessingJobName: name }));
    return /InProgress|Stopping/.test(job.ProcessingJobStatus as string) ? undefined : job;
  });
}

function endOfTraining(client: SageMakerClient, name: string) {
  return eventually(async () => {
    const job = await client.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));
    return /InProgress|Stopping/.test(job.TrainingJobStatus as string) ? undefined : job;
  });
}

async function train(context: TestContext, script: string, parts: Partial<CreateTrainingJobCommandInput> = {}) {
  const plane = await controlPlane(context, { train: script });
  plane.put('s3://bucket/data/a/1.txt', 'one');
  await plane.client.send(trainingJob('job', parts));
  return { plane, job: await endOfTraining(plane.client, 'job') };
}

async function runWork(context: TestContext, script: string, parts: Partial<CreateProcessingJobCommandInput> = {}) {
  const plane = await controlPlane(context, { work: script });
  plane.put('s3://bucket/in/a/1.txt', 'one');
  plane.put('s3://bucket/in/2.txt', 'two');
  await plane.client.send(processingJob('job', parts));
  return { plane, job: await endOfProcessing(plane.client, 'job') };
}

/** What a job printed. */
const printed = (plane: TestPlane, kind: JobKind = 'training-job') => readFileSync(plane.jobLog(kind, 'job'), 'utf8');

const input = {
  InputName: 'data',
  S3Input: {
    S3Uri: 's3://bucket/in',
    LocalPath: '/opt/ml/processing/input/data',
    S3DataType: 'S3Prefix',
    S3InputMode: 'File',
  } as const,
};

const output = {
  OutputName: 'result',
  S3Output: { S3Uri: 's3://bucket/out', LocalPath: '/opt/ml/processing/output', S3UploadMode: 'EndOfJob' } as const,
};

test("a processing job's input is in place before, and its output taken away after", async (t) => {
  const { plane, job } = await runWork(
    t,
    'cat processing/input/data/a/1.txt processing/input/data/2.txt > processing/output/sum.txt',
    { ProcessingInputs: [input], ProcessingOutputConfig: { Outputs: [output] } },
  );
  assert.equal(job.ProcessingJobStatus, 'Completed', job.FailureReason);
  assert.equal(readFileSync(plane.s3.path('s3://bucket/out/sum.txt'), 'utf8'), 'onetwo');
});

test('a processing job gets its arguments and environment', async (t) => {
  const { plane } = await runWork(t, 'echo "$1 $2 $COLOUR"', {
    AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['work', '--size'], ContainerArguments: ['a b'] },
    Environment: { COLOUR: 'blue' },
  });
  assert.equal(printed(plane, 'processing-job'), '--size a b blue\n');
});

test('a processing job whose input is not there fails, and says where it looked', async (t) => {
  const { job } = await runWork(t, 'true', {
    ProcessingInputs: [{ ...input, S3Input: { ...input.S3Input, S3Uri: 's3://bucket/nothing' } }],
  });
  assert.equal(job.ProcessingJobStatus, 'Failed');
  assert.match(job.FailureReason as string, /there is nothing at s3:\/\/bucket\/nothing/);
});

test('a processing job that fails leaves nothing in S3', async (t) => {
  const { plane, job } = await runWork(t, 'echo half > processing/output/half.txt; exit 4', {
    ProcessingOutputConfig: { Outputs: [output] },
  });
  assert.equal(job.ProcessingJobStatus, 'Failed');
  assert.equal(existsSync(plane.s3.path('s3://bucket/out')), false);
});

test('a training job finds its channels, hyperparameters and resources where SageMaker puts them', async (t) => {
  const { plane, job } = await train(
    t,
    `cat input/data/train/a/1.txt input/config/hyperparameters.json input/config/resourceconfig.json
     cat input/config/inputdataconfig.json; echo " $TRAINING_JOB_NAME $AWS_REGION"`,
    {
      HyperParameters: { epochs: '3' },
      InputDataConfig: [
        { ChannelName: 'train', DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/data' } } },
      ],
    },
  );
  assert.equal(job.TrainingJobStatus, 'Completed', job.FailureReason);
  const text = printed(plane).replace(/\s+/g, ' ');
  assert.match(text, /^one\{ "epochs": "3" \}/);
  assert.match(text, /"current_host": "algo-1", "hosts": \[ "algo-1" \]/);
  assert.match(text, /"train": \{ "ChannelName": "train"/);
  assert.match(text, /job us-east-1 $/);
});

test("a training job's model and output are archives below its output path", async (t) => {
  const { plane, job } = await train(t, 'echo weights > model/weights; echo note > output/data/note');
  assert.equal(job.ModelArtifacts?.S3ModelArtifacts, 's3://bucket/models/job/output/model.tar.gz');
  const folder = temporaryFolder();
  mkdirSync(folder, { recursive: true });
  for (const archive of ['model', 'output'])
    await extract({ file: plane.s3.path(`s3://bucket/models/job/output/${archive}.tar.gz`), cwd: folder });
  assert.equal(readFileSync(join(folder, 'weights'), 'utf8'), 'weights\n');
  assert.equal(readFileSync(join(folder, 'note'), 'utf8'), 'note\n');
});

test('a training job that leaves neither model nor output is Completed all the same', async (t) => {
  const { job } = await train(t, 'true');
  assert.equal(job.TrainingJobStatus, 'Completed', job.FailureReason);
});

test('what a job wrote to its failure file is the reason of its failure, 1,024 characters of it', async (t) => {
  const { job } = await train(
    t,
    'printf "the disk is full " > output/failure; head -c 2000 /dev/zero | tr "\\0" x >> output/failure; exit 3',
  );
  assert.equal(job.TrainingJobStatus, 'Failed');
  assert.equal(job.SecondaryStatus, 'Failed');
  const start = 'the disk is full ';
  assert.equal(job.FailureReason, `AlgorithmError: ${start}${'x'.repeat(1024 - start.length)}, exit code: 3`);
});

test('without a failure file, the exit status and where to read on are the reason', async (t) => {
  const { plane, job } = await train(t, 'echo oh no; exit 9');
  assert.equal(job.FailureReason, `AlgorithmError: see ${plane.jobLog('training-job', 'job')}, exit code: 9`);
  assert.equal(printed(plane), 'oh no\n');
});

test('a job that a signal ends has 128 and its number as its exit status', async (t) => {
  const { job } = await train(t, 'kill -SEGV $$');
  assert.match(job.FailureReason as string, /exit code: 139/);
});

test('the last value of each metric is read from what the job prints', async (t) => {
  const { job } = await train(t, 'echo "loss=0.9; acc=0.1;"; echo "loss=2.5e-1;"', {
    AlgorithmSpecification: {
      TrainingImage: IMAGE,
      TrainingInputMode: 'File',
      MetricDefinitions: [
        { Name: 'loss', Regex: 'loss=([0-9.eE+-]+);' },
        { Name: 'acc', Regex: 'acc=([0-9.]+);' },
        { Name: 'never', Regex: 'never=([0-9.]+);' },
      ],
    },
  });
  assert.deepEqual(
    job.FinalMetricDataList?.map(({ MetricName, Value }) => [MetricName, Value]),
    [
      ['loss', 0.25],
      ['acc', 0.1],
    ],
  );
});

const LOSS = {
  AlgorithmSpecification: {
    TrainingImage: IMAGE,
    TrainingInputMode: 'File' as const,
    MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+);' }],
  },
};

async function lossOf({ client }: TestPlane) {
  const job = await client.send(new DescribeTrainingJobCommand({ TrainingJobName: 'job' }));
  return job.FinalMetricDataList?.[0];
}

test('while a job runs, a metric has the time at which its line was first seen', async (t) => {
  const plane = await controlPlane(t, { train: 'echo "loss=0.5;"; exec sleep 60' });
  await plane.client.send(trainingJob('job', LOSS));
  const first = await eventually(() => lossOf(plane));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await lossOf(plane), first);
});

test('once a job has ended, its metrics stay as they were at its end', async (t) => {
  const { plane, job } = await train(t, 'echo "loss=0.5;"', LOSS);
  const metric = job.FinalMetricDataList?.[0];
  assert.equal(metric?.Value, 0.5);
  assert.ok((metric?.Timestamp as Date) <= (job.TrainingEndTime as Date), `${metric?.Timestamp} is after its end`);
  appendFileSync(plane.jobLog('training-job', 'job'), 'loss=0.1;\n');
  assert.deepEqual(await lossOf(plane), metric);
});

test('a job whose output cannot be stored keeps its metrics', async (t) => {
  const { job } = await train(t, 'printf "loss=0.5;"', {
    ...LOSS,
    OutputDataConfig: { S3OutputPath: 's3://bucket/../x' },
  });
  assert.match(job.FailureReason as string, /has \. or \.\. in its key/);
  assert.equal(job.FinalMetricDataList?.[0]?.Value, 0.5);
});

test('a job that is stopped may tidy up, is Stopped, and what it leaves is kept', async (t) => {
  const plane = await controlPlane(t, {
    train: "trap 'echo last > model/weights; exit 0' TERM; echo ready; while :; do sleep 0.05; done",
  });
  await plane.client.send(trainingJob('job'));
  await eventually(() => existsSync(plane.jobLog('training-job', 'job')) && printed(plane).includes('ready'));
  await plane.client.send(new StopTrainingJobCommand({ TrainingJobName: 'job' }));
  const job = await endOfTraining(plane.client, 'job');
  assert.equal(job.TrainingJobStatus, 'Stopped', job.FailureReason);
  assert.ok(existsSync(plane.s3.path(job.ModelArtifacts?.S3ModelArtifacts as string)));
});

test('a processing job that is stopped is Stopped', async (t) => {
  const { client } = await controlPlane(t, { work: 'sleep 60' });
  await client.send(processingJob('job'));
  await client.send(new StopProcessingJobCommand({ ProcessingJobName: 'job' }));
  assert.equal((await endOfProcessing(client, 'job')).ProcessingJobStatus, 'Stopped');
});

test('a training and a processing job of one name keep apart', async (t) => {
  const { client, ...plane } = await controlPlane(t, {
    train: 'echo trains; cat model/*',
    work: 'echo works > model/note',
  });
  await client.send(processingJob('job', { AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['work'] } }));
  await client.send(trainingJob('job'));
  assert.equal((await endOfProcessing(client, 'job')).ProcessingJobStatus, 'Failed');
  await endOfTraining(client, 'job');
  assert.match(readFileSync(plane.jobLog('training-job', 'job'), 'utf8'), /^trains\n/);
  assert.doesNotMatch(readFileSync(plane.jobLog('processing-job', 'job'), 'utf8'), /trains/);
});

test('a training job that runs longer than it may is stopped, and says so', async (t) => {
  const { plane, job } = await train(t, "trap 'echo half > model/weights; exit 0' TERM; while :; do sleep 0.05; done", {
    StoppingCondition: { MaxRuntimeInSeconds: 1 },
  });
  assert.equal(job.TrainingJobStatus, 'Stopped');
  assert.equal(job.SecondaryStatus, 'MaxRuntimeExceeded');
  assert.match(job.FailureReason as string, /longer than its MaxRuntimeInSeconds, 1/);
  assert.ok(existsSync(plane.s3.path(job.ModelArtifacts?.S3ModelArtifacts as string)));
});

test('a processing job that runs longer than it may is stopped, and says so', async (t) => {
  const { job } = await runWork(t, 'exec sleep 60', { StoppingCondition: { MaxRuntimeInSeconds: 1 } });
  assert.equal(job.ProcessingJobStatus, 'Stopped');
  assert.match(job.FailureReason as string, /longer than its MaxRuntimeInSeconds, 1/);
});

test('checkpoints of one job are there for the next one, also after a failure', async (t) => {
  const plane = await controlPlane(t, {
    train: 'if [ -f checkpoints/1 ]; then cp checkpoints/1 model/; else echo first > checkpoints/1; exit 1; fi',
  });
  const CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
  await plane.client.send(trainingJob('one', { CheckpointConfig }));
  assert.equal((await endOfTraining(plane.client, 'one')).TrainingJobStatus, 'Failed');
  assert.equal(readFileSync(plane.s3.path('s3://bucket/checkpoints/1'), 'utf8'), 'first\n');
  await plane.client.send(trainingJob('two', { CheckpointConfig }));
  assert.equal((await endOfTraining(plane.client, 'two')).TrainingJobStatus, 'Completed');
});

test('a channel on a file system and one that is piped are refused, as they cannot be here', async (t) => {
  const { client } = await controlPlane(t, { train: 'true' });
  const FileSystemDataSource = {
    FileSystemId: 'fs-1',
    FileSystemAccessMode: 'ro',
    FileSystemType: 'EFS',
    DirectoryPath: '/data',
  } as const;
  await assert.rejects(
    client.send(
      trainingJob('job', { InputDataConfig: [{ ChannelName: 'train', DataSource: { FileSystemDataSource } }] }),
    ),
    { name: 'ValidationException', message: /channel train is on a file system/ },
  );
  const S3DataSource = { S3DataType: 'S3Prefix', S3Uri: 's3://bucket/data' } as const;
  const piped = { ChannelName: 'train', DataSource: { S3DataSource }, InputMode: 'Pipe' } as const;
  await assert.rejects(client.send(trainingJob('job', { InputDataConfig: [piped] })), {
    name: 'ValidationException',
    message: /channel train has the input mode Pipe/,
  });
});

test('more than one instance is refused', async (t) => {
  const { client } = await controlPlane(t, { train: 'true', work: 'true' });
  const cluster = { InstanceCount: 2, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } as const;
  const refusal = { name: 'ValidationException', message: /one instance, not on 2/ };
  await assert.rejects(client.send(trainingJob('job', { ResourceConfig: cluster })), refusal);
  const resources = { ProcessingResources: { ClusterConfig: cluster } };
  await assert.rejects(client.send(processingJob('job', resources)), refusal);
});

test('a metric whose regular expression is none is refused', async (t) => {
  const { client } = await controlPlane(t, { train: 'true' });
  const specification = { TrainingImage: IMAGE, TrainingInputMode: 'File' } as const;
  const MetricDefinitions = [{ Name: 'loss', Regex: 'loss=(' }];
  await assert.rejects(
    client.send(trainingJob('job', { AlgorithmSpecification: { ...specification, MetricDefinitions } })),
    { name: 'ValidationException', message: /metric definition/ },
  );
});

test('a name that is taken is ResourceInUse', async (t) => {
  const { client } = await controlPlane(t, { train: 'true', work: 'true' });
  await client.send(trainingJob('job'));
  await assert.rejects(client.send(trainingJob('job')), { name: 'ResourceInUse' });
  await client.send(processingJob('job'));
  await assert.rejects(client.send(processingJob('job')), { name: 'ResourceInUse' });
});

test('a job that is not there is ResourceNotFound', async (t) => {
  const { client } = await controlPlane(t);
  const gone = { name: 'ResourceNotFound', message: /job gone/ };
  await assert.rejects(client.send(new DescribeTrainingJobCommand({ TrainingJobName: 'gone' })), gone);
  await assert.rejects(client.send(new DescribeProcessingJobCommand({ ProcessingJobName: 'gone' })), gone);
  await assert.rejects(client.send(new StopTrainingJobCommand({ TrainingJobName: 'gone' })), gone);
});

test('an image without local commands fails the job, and says which images have some', async (t) => {
  const { job } = await train(t, 'true', {
    AlgorithmSpecification: { TrainingImage: 'registry.test/other:1', TrainingInputMode: 'File' },
  });
  assert.match(job.FailureReason as string, /registry\.test\/other:1 cannot run as a process; known are: .*fake:1/);
});

test('a command that the image lacks fails the job, and is named', async (t) => {
  const { job } = await runWork(t, 'true', {
    AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['python3'] },
  });
  assert.match(job.FailureReason as string, /has no command python3/);
});
