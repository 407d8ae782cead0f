// scanline start, watch and stop as any CI calls them: processes of their own, against the local SageMaker over HTTP.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { DescribePipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { pushPipeline, startExecution } from '../../lib/operations/execution';
import { controlPlane, endOf, eventually, ROLE, TRAINING } from '../lib/local/control-plane';
import { start } from '../training/command-line';

const ARN = /arn:aws:sagemaker:\S+:pipeline\/planes\/execution\/\w+/;

const TRAIN = {
  Name: 'Train',
  Type: 'Training',
  Arguments: TRAINING,
};

/** Goes one way or the other by a parameter. */
const GATE = {
  Name: 'Gate',
  Type: 'Condition',
  DependsOn: ['Train'],
  Arguments: {
    Conditions: [{ Type: 'Equals', LeftValue: { Get: 'Parameters.Verdict' }, RightValue: 'good' }],
    IfSteps: [],
    ElseSteps: [{ Name: 'TooBad', Type: 'Fail', Arguments: { ErrorMessage: 'the model is too bad' } }],
  },
};

/** A pipeline whose training runs that script, and the command line for it. */
async function deployed(context: TestContext, script = 'echo "loss=0.5;"; echo weights > model/weights') {
  const plane = await controlPlane(context, { train: script });
  const Parameters = [{ Name: 'Verdict', Type: 'String', DefaultValue: 'good' }];
  const definition = JSON.stringify({ Version: '2020-12-01', Parameters, Steps: [TRAIN, GATE] });
  await pushPipeline(plane.client, { name: 'planes', definition, roleArn: ROLE });
  const environment = {
    AWS_ENDPOINT_URL_SAGEMAKER: plane.url,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  return { ...plane, scanline: (...args: string[]) => start('bin/scanline.js', args, environment) };
}

test('start prints the ARN of the execution, and does not wait', async (context) => {
  const { client, scanline } = await deployed(context);
  const { status, stdout, stderr } = await scanline('start', 'planes').ended;
  assert.equal(status, 0, stderr);
  assert.match(stdout.trim(), new RegExp(`^${ARN.source}$`));
  assert.equal((await endOf(client, stdout.trim())).PipelineExecutionStatus, 'Succeeded');
});

test('start --wait shows each step, and ends well where the execution does', async (context) => {
  const { scanline } = await deployed(context);
  const { status, stdout, stderr } = await scanline('start', 'planes', '--wait', '--every', '1').ended;
  assert.equal(status, 0, stderr);
  assert.match(stdout, /✓ Train \(\d+\.\d s\)/);
  assert.match(stdout, /✓ Gate: True/);
  assert.match(stdout, new RegExp(`✓ ${ARN.source} has succeeded`));
  assert.doesNotMatch(stdout, /✓ TooBad/);
});

test('start --wait with a parameter ends with 1 and the reason where the execution fails', async (context) => {
  const { scanline } = await deployed(context);
  const args = ['start', 'planes', '--wait', '--every', '1', '--parameter', 'Verdict=bad'];
  const { status, stdout, stderr } = await scanline(...args).ended;
  assert.equal(status, 1);
  assert.match(stdout, /✗ TooBad: the model is too bad/);
  assert.match(stderr, /✗ the execution is Failed: step TooBad failed: the model is too bad/);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('start --step runs that step alone, on what the latest execution made', async (context) => {
  const { client, scanline } = await deployed(context);
  await endOf(client, await startExecution(client, 'planes', {}));
  const args = ['start', 'planes', '--wait', '--every', '1', '--step', 'Gate', '--parameter', 'Verdict=bad'];
  const { status, stdout, stderr } = await scanline(...args).ended;
  assert.equal(status, 0, stderr);
  assert.match(stdout, /✓ Gate: False/);
  assert.match(stdout, /✓ Train \(of the execution before\)/);
  assert.doesNotMatch(stdout, /TooBad/);
});

test('start --from without a step says what it lacks', async (context) => {
  const { scanline } = await deployed(context);
  const { status, stderr } = await scanline('start', 'planes', '--from', 'arn:aws:sagemaker:x').ended;
  assert.equal(status, 1);
  assert.match(stderr, /--from is of use with --step only/);
});

test('the failure of a job says where its log is', async (context) => {
  const { scanline } = await deployed(context, 'echo broken; exit 3');
  const { status, stderr } = await scanline('start', 'planes', '--wait', '--every', '1').ended;
  assert.equal(status, 1);
  assert.match(stderr, /aws logs tail \/aws\/sagemaker\/TrainingJobs .*--log-stream-name-prefix pipelines-\w+-Train-/);
});

test('watch by the name of the pipeline shows its latest execution', async (context) => {
  const { client, scanline } = await deployed(context);
  await endOf(client, await startExecution(client, 'planes', { Verdict: 'bad' }));
  await startExecution(client, 'planes', {});
  const { status, stdout } = await scanline('watch', 'planes', '--every', '1').ended;
  assert.equal(status, 0, stdout);
  assert.match(stdout, /✓ Gate: True/);
});

test('stop ends the execution, and watch then ends with 1', async (context) => {
  const { client, scanline } = await deployed(context, 'exec sleep 60');
  const executionArn = await startExecution(client, 'planes', {});
  const watching = scanline('watch', executionArn, '--every', '1');
  const seen = { stdout: '' };
  watching.child.stdout?.on('data', (text) => {
    seen.stdout += text;
  });
  await eventually(() => /Train has begun/.test(seen.stdout));
  const { status, stdout } = await scanline('stop', 'planes').ended;
  assert.equal(status, 0);
  assert.match(stdout, /is being stopped/);
  const ended = await watching.ended;
  assert.equal(ended.status, 1);
  assert.match(ended.stderr, /the execution is Stopped/);
});

test('who interrupts the watching leaves the execution, and is told how to end it', async (context) => {
  const { client, scanline } = await deployed(context, 'exec sleep 60');
  const executionArn = await startExecution(client, 'planes', {});
  const { child, ended } = scanline('watch', executionArn, '--every', '1');
  const seen = { stdout: '' };
  child.stdout?.on('data', (text) => {
    seen.stdout += text;
  });
  await eventually(() => /Train has begun/.test(seen.stdout));
  child.kill('SIGINT');
  const { status, stderr } = await ended;
  assert.equal(status, 130);
  assert.match(stderr, new RegExp(`scanline stop ${ARN.source}`));
  const describe = new DescribePipelineExecutionCommand({ PipelineExecutionArn: executionArn });
  assert.equal((await client.send(describe)).PipelineExecutionStatus, 'Executing');
});

const NOWHERE = { AWS_ENDPOINT_URL_SAGEMAKER: 'http://127.0.0.1:1', AWS_REGION: 'us-east-1' };
const KEYS = { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test' };
const NO_PROFILE = {
  AWS_CONFIG_FILE: '/dev/null',
  AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
  AWS_EC2_METADATA_DISABLED: 'true',
};

const unable: Record<string, [Record<string, string>, RegExp]> = {
  'no region': [
    { ...KEYS, ...NO_PROFILE, AWS_REGION: '', AWS_DEFAULT_REGION: '' },
    /no AWS region is chosen, or[\s\S]*--region/,
  ],
  'no credentials': [{ ...NO_PROFILE, ...NOWHERE, AWS_ACCESS_KEY_ID: '' }, /there are no AWS credentials/],
  'no answer': [{ ...KEYS, ...NOWHERE }, /SageMaker cannot be reached[\s\S]*AWS_ENDPOINT_URL_SAGEMAKER/],
};

for (const [what, [environment, says]] of Object.entries(unable)) {
  test(`${what} ends with 1 and what to do, without a stack trace`, async () => {
    const { status, stderr } = await start('bin/scanline.js', ['start', 'planes'], environment).ended;
    assert.equal(status, 1);
    assert.match(stderr, says);
    assert.match(stderr, /Fix: /);
    assert.doesNotMatch(stderr, /\n {4}at /);
  });
}

const wrong: Record<string, [string[], RegExp]> = {
  'a pipeline that is not there': [['start', 'plains'], /there is no pipeline plains[\s\S]*Fix: look at the name/],
  'a parameter that the pipeline does not have': [['start', 'planes', '--parameter', 'A=1'], /refuses: .*A/],
  'an execution that has not been': [['watch', 'planes'], /has no execution yet[\s\S]*scanline start planes/],
};

for (const [what, [args, says]] of Object.entries(wrong)) {
  test(`${what} is told, with the fix`, async (context) => {
    const { scanline } = await deployed(context);
    const { status, stderr } = await scanline(...args).ended;
    assert.equal(status, 1);
    assert.match(stderr, says);
  });
}
