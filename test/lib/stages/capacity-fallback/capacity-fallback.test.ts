// Falling back to another instance type: the rule and the role as a template, and the function as it is deployed, in a process of its
// own, on executions of a control plane over HTTP.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import {
  DescribePipelineExecutionCommand,
  ListPipelineParametersForExecutionCommand,
  type PipelineExecutionStatus,
} from '@aws-sdk/client-sagemaker';
import { App, Stack } from 'aws-cdk-lib';
import { Annotations, Match, Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import {
  ByocImage,
  ByocTraining,
  CapacityFallback,
  ParameterString,
  PipelineError,
  SageMakerPipeline,
  type TrainingSettings,
} from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { pushPipeline, startExecution } from '../../../../lib/operations/execution';
import { packageRoot } from '../../../../training/native/cache';
import { temporaryFolder } from '../../../training/temporary-folder';
import { controlPlane, endOf, IMAGE, ROLE, type TestPlane } from '../../local/control-plane';

const TYPES = ['ml.g5.xlarge', 'ml.g6.xlarge', 'ml.g5.2xlarge'];

interface Given {
  readonly instanceTypes?: readonly string[];
  readonly parameter?: ParameterString;
  readonly retry?: TrainingSettings['retry'];
  readonly instanceType?: string;
}

function synth({ instanceTypes = TYPES, retry = [], instanceType, ...given }: Given = {}) {
  const outdir = temporaryFolder();
  const app = new App({ outdir });
  const stack = new Stack(app, 'Test');
  const parameter = given.parameter ?? new ParameterString('InstanceType', { defaultValue: 'ml.g5.xlarge' });
  const data = new ParameterString('Data', { defaultValue: 's3://bucket/train' });
  const role = Role.fromRoleArn(stack, 'Role', ROLE);
  const training = new ByocTraining(stack, 'Train', {
    image: ByocImage.fromUri(stack, 'Image', IMAGE),
    channels: {},
    output: data,
    role,
    retry,
    instanceType: instanceType ?? parameter,
  });
  const pipeline = new SageMakerPipeline(stack, 'Pipeline', {
    pipelineName: 'Brain-Planes',
    role,
    parameters: [parameter, data],
    steps: [training.step],
  });
  new CapacityFallback(stack, 'Fallback', { pipeline, parameter, instanceTypes });
  return { app, stack, outdir, pipeline };
}

const TEMPLATE = Template.fromStack(synth().stack);

test('executions that failed wake the function, those of the one pipeline', () => {
  const [rule] = Object.values(TEMPLATE.findResources('AWS::Events::Rule'));
  const pattern = resolveTemplate(rule?.Properties.EventPattern, TEMPLATE.toJSON());
  const arn = (name: string) => `arn:aws:sagemaker:us-east-1:000000000000:pipeline/${name}`;
  assert.deepEqual(pattern, {
    source: ['aws.sagemaker'],
    'detail-type': ['SageMaker Model Building Pipeline Execution Status Change'],
    detail: { currentPipelineExecutionStatus: ['Failed'], pipelineArn: [arn('Brain-Planes'), arn('brain-planes')] },
  });
});

test('the function may read the executions of the one pipeline and start it, and write its log', () => {
  const [policy] = Object.values(TEMPLATE.findResources('AWS::IAM::ManagedPolicy'));
  const { Statement } = resolveTemplate(policy?.Properties.PolicyDocument, TEMPLATE.toJSON()) as {
    Statement: { Action: string | string[]; Resource: string | string[] }[];
  };
  const allowed = Object.fromEntries(
    Statement.flatMap(({ Action, Resource }) => [Action].flat().map((action) => [action, [Resource].flat()])),
  );
  const pipelines = ['Brain-Planes', 'brain-planes'].map(
    (name) => `arn:aws:sagemaker:us-east-1:000000000000:pipeline/${name}`,
  );
  assert.deepEqual(allowed['sagemaker:StartPipelineExecution'], pipelines);
  for (const call of [
    'ListPipelineExecutionSteps',
    'ListPipelineParametersForExecution',
    'DescribePipelineExecution',
  ]) {
    assert.deepEqual(
      allowed[`sagemaker:${call}`],
      pipelines.map((arn) => `${arn}/execution/*`),
      call,
    );
  }
  assert.deepEqual(
    Object.keys(allowed)
      .filter((action) => !action.startsWith('sagemaker:'))
      .sort(),
    ['logs:CreateLogStream', 'logs:PutLogEvents', 'sqs:SendMessage'],
  );
  TEMPLATE.resourceCountIs('AWS::IAM::Policy', 0);
});

/** How SageMaker says it of a training job. */
const NO_CAPACITY =
  'CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type.';

/** A control plane that has capacity of one type alone, or fails for another reason, with the pipeline on it. */
async function deployed(context: TestContext, { capacityOf = 'none', reason = NO_CAPACITY } = {}) {
  const { app, outdir, pipeline } = synth();
  app.synth();
  const plane = await controlPlane(context, {
    train: `if grep -q '"${capacityOf}"' input/config/resourceconfig.json; then echo w > model/w; exit 0; fi
mkdir -p output; echo '${reason}' > output/failure; exit 1`,
  });
  const definition = JSON.stringify(pipeline.pipeline.definition());
  await pushPipeline(plane.client, { name: 'Brain-Planes', definition, roleArn: ROLE });
  return { plane, outdir };
}

interface Ended {
  readonly arn: string;
  readonly status: PipelineExecutionStatus | undefined;
  readonly parameters: Readonly<Record<string, string | undefined>>;
}

async function ended({ client }: TestPlane, arn: string): Promise<Ended> {
  const { PipelineExecutionStatus: status } = await endOf(client, arn);
  const { PipelineParameters = [] } = await client.send(
    new ListPipelineParametersForExecutionCommand({ PipelineExecutionArn: arn }),
  );
  return { arn, status, parameters: Object.fromEntries(PipelineParameters.map(({ Name, Value }) => [Name, Value])) };
}

async function run(plane: TestPlane, parameters: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return ended(plane, await startExecution(plane.client, 'Brain-Planes', parameters));
}

const execute = promisify(execFile);

/** Runs the deployed function on the event that EventBridge sends when an execution has ended. */
async function wake({ plane, outdir }: Awaited<ReturnType<typeof deployed>>, { arn, status }: Ended) {
  const [made] = Object.values(TEMPLATE.findResources('AWS::Lambda::Function'));
  const code = readdirSync(outdir).find((name) => name.startsWith('asset.')) as string;
  const event = {
    source: 'aws.sagemaker',
    'detail-type': 'SageMaker Model Building Pipeline Execution Status Change',
    detail: {
      pipelineArn: arn.replace(/\/execution\/.*/, ''),
      pipelineExecutionArn: arn,
      currentPipelineExecutionStatus: status,
      previousPipelineExecutionStatus: 'Executing',
    },
  };
  const program = `require(process.argv[1]).handler(JSON.parse(process.argv[2])).then((outcome) => console.log(JSON.stringify(outcome)))`;
  const { stdout } = await execute(process.execPath, ['-e', program, join(outdir, code), JSON.stringify(event)], {
    env: {
      ...process.env,
      ...made?.Properties.Environment.Variables,
      // the AWS SDK is a part of Lambda's runtime
      NODE_PATH: join(packageRoot, 'node_modules'),
      AWS_ENDPOINT_URL_SAGEMAKER: plane.url,
      AWS_REGION: 'us-east-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
    },
  });
  return JSON.parse(stdout.trim().split('\n').at(-1) as string) as {
    started: string | false;
    instanceType?: string;
    because?: string;
  };
}

test('where there is no capacity, the execution starts again on the next type, with its parameters, until there is', async (t) => {
  const home = await deployed(t, { capacityOf: 'ml.g5.2xlarge' });
  const first = await run(home.plane, { Data: 's3://bucket/mine' });
  assert.deepEqual([first.status, first.parameters.InstanceType], ['Failed', 'ml.g5.xlarge']);
  const started = await wake(home, first);
  const second = await ended(home.plane, String(started.started));
  assert.deepEqual(second.parameters, { InstanceType: 'ml.g6.xlarge', Data: 's3://bucket/mine' });
  assert.equal(second.status, 'Failed');
  const third = await ended(home.plane, String((await wake(home, second)).started));
  assert.deepEqual([third.status, third.parameters.InstanceType], ['Succeeded', 'ml.g5.2xlarge']);
  assert.match(String((await wake(home, third)).because), /it is Succeeded/);
  const { PipelineExecutionDescription } = await home.plane.client.send(
    new DescribePipelineExecutionCommand({ PipelineExecutionArn: third.arn }),
  );
  assert.equal(
    PipelineExecutionDescription,
    `On ml.g6.xlarge, as there was no capacity for ${first.arn}\nOn ml.g5.2xlarge, as there was no capacity for ${second.arn}`,
  );
});

test('after the last type nothing is started any more', async (t) => {
  const home = await deployed(t);
  const last = await run(home.plane, { InstanceType: 'ml.g5.2xlarge' });
  assert.deepEqual(await wake(home, last), {
    started: false,
    because: 'it ran on ml.g5.2xlarge, the last of ml.g5.xlarge, ml.g6.xlarge, ml.g5.2xlarge',
  });
});

test('a type that is not in the list was chosen by a person, and is left alone', async (t) => {
  const home = await deployed(t);
  const own = await run(home.plane, { InstanceType: 'ml.p5.48xlarge' });
  assert.match(String((await wake(home, own)).because), /it ran on ml\.p5\.48xlarge, which is none of/);
});

test('what failed for another reason is not started again', async (t) => {
  const home = await deployed(t, { reason: 'AlgorithmError: the loss is NaN' });
  const failed = await run(home.plane);
  assert.deepEqual(await wake(home, failed), { started: false, because: 'no step failed for want of capacity' });
});

test('the same event twice starts one execution', async (t) => {
  const home = await deployed(t);
  const failed = await run(home.plane);
  const outcomes = [await wake(home, failed), await wake(home, failed)];
  assert.ok(outcomes[0]?.started);
  assert.equal(outcomes[1]?.started, outcomes[0]?.started);
});

const inEnum = new ParameterString('InstanceType', { defaultValue: 'ml.g5.xlarge', enumValues: TYPES.slice(0, 2) });

for (const [problem, given] of [
  ['instanceTypes is 1 of them', { instanceTypes: ['ml.g5.xlarge'] }],
  ["instanceTypes[1] is 'g6'", { instanceTypes: ['ml.g5.xlarge', 'g6'] }],
  ["instanceTypes[2] is 'ml.g5.xlarge' again", { instanceTypes: ['ml.g5.xlarge', 'ml.g6.xlarge', 'ml.g5.xlarge'] }],
  ["instanceTypes[2] is 'ml.g5.2xlarge'", { parameter: inEnum }],
  ["instanceTypes[0] is 'ml.g6.xlarge'", { instanceTypes: ['ml.g6.xlarge', 'ml.g5.xlarge'] }],
  ['parameter is InstanceType, which no step of the pipeline uses', { instanceType: 'ml.g5.xlarge' }],
] as const satisfies readonly (readonly [string, Given])[]) {
  test(`refused: ${problem}`, () => {
    assert.throws(
      () => synth(given),
      (error: unknown) => {
        assert.ok(error instanceof PipelineError, String(error));
        assert.deepEqual(
          error.findings.map(({ where, problem: found }) => [where, found.replace(/;.*/s, '')]),
          [['Test/Fallback', problem]],
        );
        return true;
      },
    );
  });
}

test('a step that waits a day for capacity is warned of, one that fails at once is not', () => {
  const warned = (retry: TrainingSettings['retry']) =>
    Annotations.fromStack(synth({ retry }).stack).findWarning(
      '/Test/Fallback',
      Match.stringLikeRegexp('step Train waits up to 1440 minutes'),
    ).length;
  const day = { exceptions: ['SageMaker.CAPACITY_ERROR'], expireAfterMinutes: 1440 } as const;
  assert.deepEqual([warned([day]), warned([])], [1, 0]);
});
