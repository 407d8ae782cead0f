// The function that puts a start off, as Lambda runs it: the very folder that is uploaded, in processes of its own, against moto's Scheduler.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { GetScheduleCommand, ListSchedulesCommand, SchedulerClient } from '@aws-sdk/client-scheduler';
import type { App } from 'aws-cdk-lib';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { NewData } from '../../../../lib';
import { packageRoot } from '../../../../training/native/cache';
import { MOTO_CREDENTIALS, skipMoto, startMoto } from '../../../moto';
import { smallPipeline } from '../../small-pipeline';

const GROUP = 'default';
const QUIET = 600;

const TARGET = {
  Arn: 'arn:aws:sagemaker:us-east-1:123456789012:pipeline/planes',
  RoleArn: 'arn:aws:iam::123456789012:role/starter',
  SageMakerPipelineParameters: { PipelineParameterList: [{ Name: 'InputData', Value: 's3://images/raw' }] },
};

/** The folder that is uploaded, as the app's synthesis leaves it. */
function uploaded(): string {
  const { stack, pipeline } = smallPipeline();
  new NewData(stack, 'Arrivals', { pipeline, bucket: new Bucket(stack, 'Images'), prefix: 'raw/' });
  const { directory } = (stack.node.root as App).synth();
  const folders = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const made = folders
    .map(({ name }) => join(directory, name))
    .find((path) => readdirSync(path).includes('handler.js'));
  assert.ok(made, `no handler.js below ${directory}`);
  return made;
}

const folder = uploaded();

/** Handles batches of arrivals, so many at once in one process. */
function handle(url: string, batches: number): Promise<void> {
  const program = `const { handler } = require(${JSON.stringify(join(folder, 'handler.js'))});
    Promise.all(Array.from({ length: ${batches} }, () => handler())).catch((error) => { console.error(error); process.exit(1); })`;
  const child = spawn(process.execPath, ['-e', program], {
    env: {
      ...process.env,
      ...MOTO_CREDENTIALS,
      AWS_ENDPOINT_URL_SCHEDULER: url,
      // where Lambda's own SDK lies
      NODE_PATH: join(packageRoot, 'node_modules'),
      SCHEDULE_GROUP: GROUP,
      SCHEDULE_NAME: 'start',
      QUIET_SECONDS: String(QUIET),
      SCHEDULE_TARGET: JSON.stringify(TARGET),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  return new Promise((done, fail) => child.once('exit', (code) => (code === 0 ? done() : fail(new Error(errors)))));
}

async function scheduler(context: TestContext) {
  const endpoint = await startMoto(context);
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  return { endpoint, client: new SchedulerClient({ endpoint, region: 'us-east-1', credentials }) };
}

/** The moment of the one schedule, in milliseconds. */
async function onlyMoment(client: SchedulerClient): Promise<number> {
  const { Schedules = [] } = await client.send(new ListSchedulesCommand({ GroupName: GROUP }));
  assert.equal(Schedules.length, 1);
  const schedule = await client.send(new GetScheduleCommand({ GroupName: GROUP, Name: 'start' }));
  return Date.parse(`${/^at\((.*)\)$/.exec(schedule.ScheduleExpression ?? '')?.[1]}Z`);
}

test('only the program is uploaded', () => {
  assert.deepEqual(readdirSync(folder), ['handler.js']);
});

test('the first arrival makes a schedule that starts the pipeline once, after the quiet period', {
  skip: skipMoto,
}, async (context) => {
  const { endpoint, client } = await scheduler(context);
  const before = Date.now();
  await handle(endpoint, 1);
  const moment = await onlyMoment(client);
  assert.ok(moment >= before + QUIET * 1000 - 1000 && moment <= Date.now() + QUIET * 1000, String(moment));
  const schedule = await client.send(new GetScheduleCommand({ GroupName: GROUP, Name: 'start' }));
  assert.deepEqual(schedule.FlexibleTimeWindow, { Mode: 'OFF' });
  assert.equal(schedule.ActionAfterCompletion, 'NONE');
  const { Arn, RoleArn, SageMakerPipelineParameters } = schedule.Target ?? {};
  assert.deepEqual({ Arn, RoleArn, SageMakerPipelineParameters }, TARGET);
});

test('a later arrival puts the start off', { skip: skipMoto }, async (context) => {
  const { endpoint, client } = await scheduler(context);
  await handle(endpoint, 1);
  const first = await onlyMoment(client);
  await new Promise((wake) => setTimeout(wake, 1500));
  await handle(endpoint, 1);
  assert.ok((await onlyMoment(client)) - first >= 1000);
});

test('many arrivals at once, of several processes, make one schedule', { skip: skipMoto }, async (context) => {
  const { endpoint, client } = await scheduler(context);
  const before = Date.now();
  await Promise.all([handle(endpoint, 8), handle(endpoint, 8), handle(endpoint, 8)]);
  assert.ok((await onlyMoment(client)) >= before + QUIET * 1000 - 1000);
});

test('what the Scheduler refuses for another reason fails, so that the queue brings the arrivals again', {
  skip: skipMoto,
}, async (context) => {
  const endpoint = await startMoto(context);
  await assert.rejects(handle(`${endpoint}/nowhere`, 1));
});
