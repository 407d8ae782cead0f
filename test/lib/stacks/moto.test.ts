// The training stack on moto, a stand-in for AWS that others wrote: what its CloudFormation makes of the template, and the pipeline
// through the AWS SDK. moto makes no SageMaker resource of a template, so the pipeline is pushed as `scanline run` pushes it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  DescribePipelineCommand,
  DescribePipelineExecutionCommand,
  ListPipelineExecutionsCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { App } from 'aws-cdk-lib';
import { TrainingStack } from '../../../lib';
import { resolveTemplate } from '../../../lib/local';
import { pipelinesIn } from '../../../lib/operations/assembly';
import { pushPipeline, startExecution } from '../../../lib/operations/execution';
import { packageRoot } from '../../../training/native/cache';
import { temporaryFolder } from '../../training/temporary-folder';
import { eventually } from '../local/control-plane';

const BIN = join(packageRoot, '.oracle', 'bin');
const skip = existsSync(join(BIN, 'moto_server')) ? false : 'moto is not installed: `npm run oracle` does it';

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

let url = '';
let server: ChildProcess | undefined;

after(() => server?.kill());

before(async () => {
  if (skip) return;
  const port = await freePort();
  server = spawn(join(BIN, 'moto_server'), ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  url = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${url}/moto-api/`).then(
      ({ ok }) => ok,
      () => undefined,
    );
  await eventually(isUp, 60);
});

function synth(): string {
  const outdir = temporaryFolder();
  const app = new App({ outdir, context: { '@aws-cdk/aws-iam:minimizePolicies': true } });
  new TrainingStack(app, 'Test', { pipelineName: 'planes' });
  app.synth();
  return outdir;
}

interface Statement {
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
}

interface Deployed {
  readonly status: string;
  readonly buckets: Readonly<Record<string, { readonly SSEAlgorithm: string; readonly KMSMasterKeyID?: string }>>;
  readonly rotated: Readonly<Record<string, boolean>>;
  readonly roles: Readonly<Record<string, { readonly trust: readonly object[]; readonly may: readonly Statement[] }>>;
}

function deploy(template: string): Deployed {
  const { status, stdout, stderr } = spawnSync(join(BIN, 'python'), ['test/oracle/lib/moto_stack.py', url], {
    encoding: 'utf8',
    cwd: packageRoot,
    input: template,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const asList = (value: string | readonly string[]) => (typeof value === 'string' ? [value] : value);

test('deployed, the bucket has the key that is rotated, and the job role may use just these', { skip }, () => {
  const deployed = deploy(readFileSync(join(synth(), 'Test.template.json'), 'utf8'));
  assert.equal(deployed.status, 'CREATE_COMPLETE');
  const [[key, rotated], ...otherKeys] = Object.entries(deployed.rotated) as [[string, boolean]];
  assert.deepEqual([rotated, otherKeys], [true, []]);
  const [dataset, logs, ...others] = Object.keys(deployed.buckets).sort((a) => (a.includes('accesslogs') ? 1 : -1));
  assert.deepEqual(others, []);
  assert.deepEqual(deployed.buckets[dataset as string], { SSEAlgorithm: 'aws:kms', KMSMasterKeyID: key });
  assert.equal(deployed.buckets[logs as string]?.SSEAlgorithm, 'AES256');

  const [, job] = Object.entries(deployed.roles).find(([name]) => name.includes('JobRole')) ?? [];
  assert.match(JSON.stringify(job?.trust), /"sagemaker.amazonaws.com"/);
  const reached = (service: string) =>
    new Set(
      job?.may
        .filter(({ Action }) => asList(Action).every((action) => action.startsWith(`${service}:`)))
        .flatMap(({ Resource }) => asList(Resource)),
    );
  assert.deepEqual(reached('s3'), new Set([`arn:aws:s3:::${dataset}`, `arn:aws:s3:::${dataset}/*`]));
  assert.deepEqual(reached('kms'), new Set([key]));
});

test('the pipeline is created, read back, changed and started through the SDK', { skip }, async () => {
  const client = new SageMakerClient({
    endpoint: url,
    region: 'eu-central-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  });
  const [pipeline] = pipelinesIn(synth());
  assert.ok(pipeline);
  const { PipelineDefinition } = resolveTemplate(pipeline.resource.Properties, pipeline.template) as {
    PipelineDefinition: { PipelineDefinitionBody: string };
  };
  const name = 'planes';
  const roleArn = 'arn:aws:iam::123456789012:role/pipeline';
  const definition = PipelineDefinition.PipelineDefinitionBody;
  await pushPipeline(client, { name, definition, roleArn });
  const read = async () =>
    (await client.send(new DescribePipelineCommand({ PipelineName: name }))).PipelineDefinition as string;
  assert.deepEqual(JSON.parse(await read()), JSON.parse(definition));

  const changed = definition.replaceAll('ml.g5.xlarge', 'ml.g5.2xlarge');
  await pushPipeline(client, { name, definition: changed, roleArn });
  assert.deepEqual(JSON.parse(await read()), JSON.parse(changed));

  const PipelineExecutionArn = await startExecution(client, name, { LeastAccuracy: '0.8' });
  const execution = await client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn }));
  assert.match(execution.PipelineArn as string, /:pipeline\/planes$/);
  const { PipelineExecutionSummaries = [] } = await client.send(
    new ListPipelineExecutionsCommand({ PipelineName: name }),
  );
  assert.deepEqual(
    PipelineExecutionSummaries.map((summary) => summary.PipelineExecutionArn),
    [PipelineExecutionArn],
  );
});
