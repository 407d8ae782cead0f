// Endpoints over HTTP: a real server is started, found healthy, asked, and ended; each failure is told as SageMaker tells it.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  CreateModelPackageCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { create } from 'tar';
import { deleteEndpoint, deployModel } from '../../../../lib/operations/endpoint';
import { ensureModelPackageGroup } from '../../../../lib/operations/execution';
import { temporaryFolder } from '../../../training/temporary-folder';
import { controlPlane, eventually, IMAGE, isRunning, ROLE, type TestPlane } from '../control-plane';

/** A model server of a few lines; it says what it has and what it was asked. */
const SERVER = `
const fs = require('node:fs');
fs.writeFileSync('pid', String(process.pid));
require('node:http').createServer((request, response) => {
  if (request.url === '/ping') return response.end();
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    if (body === 'bad') return response.writeHead(415).end('only good ones');
    if (body === 'crash') return response.writeHead(503).end('out of memory');
    if (body === 'die') process.exit(1);
    const weights = fs.readFileSync('model/weights', 'utf8');
    const { 'content-type': type, accept, 'x-amzn-sagemaker-custom-attributes': attributes, 'x-amzn-sagemaker-inference-id': id } = request.headers;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ url: request.url, body, type, accept, attributes, id, weights, colour: process.env.COLOUR, pid: process.pid }));
  });
}).listen(Number(process.env.SAGEMAKER_BIND_TO_PORT), process.env.SCANLINE_BIND_HOST);
`;

async function planeWithModel(context: TestContext, serve?: string): Promise<TestPlane> {
  const script = join(temporaryFolder(), 'server.js');
  writeFileSync(script, SERVER);
  const plane = await controlPlane(context, { serve: serve ?? `exec node ${script}` });
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'weights'), 'heavy');
  plane.put('s3://bucket/model.tar.gz', '');
  await create({ gzip: true, cwd: folder, file: plane.s3.path('s3://bucket/model.tar.gz') }, ['weights']);
  const PrimaryContainer = {
    Image: IMAGE,
    ModelDataUrl: 's3://bucket/model.tar.gz',
    Environment: { COLOUR: 'blue' },
  };
  await plane.client.send(new CreateModelCommand({ ModelName: 'model', PrimaryContainer, ExecutionRoleArn: ROLE }));
  return plane;
}

async function deployed(context: TestContext): Promise<TestPlane> {
  const plane = await planeWithModel(context);
  await deployModel(plane.client, { name: 'e', modelName: 'model', pollEvery: 20 });
  return plane;
}

async function ask({ runtime }: TestPlane, body: string) {
  const response = await runtime.send(
    new InvokeEndpointCommand({ EndpointName: 'e', ContentType: 'text/plain', Accept: 'application/json', Body: body }),
  );
  return { ...response, answer: JSON.parse(Buffer.from(response.Body as Uint8Array).toString('utf8')) };
}

test('an endpoint in service answers with what its container says, which has the model and its environment', async (t) => {
  const plane = await deployed(t);
  const { answer, ContentType, InvokedProductionVariant } = await ask(plane, 'hello');
  const { pid, ...said } = answer;
  assert.deepEqual(said, {
    url: '/invocations',
    body: 'hello',
    type: 'text/plain',
    accept: 'application/json',
    weights: 'heavy',
    colour: 'blue',
  });
  assert.equal(ContentType, 'application/json');
  assert.equal(InvokedProductionVariant, 'AllTraffic');
  assert.ok(isRunning(pid));
});

test('a container is told the attributes and the id of an invocation', async (t) => {
  const { runtime } = await deployed(t);
  const { Body } = await runtime.send(
    new InvokeEndpointCommand({
      EndpointName: 'e',
      Body: 'x',
      CustomAttributes: 'explain=true',
      InferenceId: 'scan-7',
    }),
  );
  const { attributes, id } = JSON.parse(Buffer.from(Body as Uint8Array).toString('utf8'));
  assert.deepEqual({ attributes, id }, { attributes: 'explain=true', id: 'scan-7' });
});

test('an endpoint serves a version of a model package group', async (t) => {
  const plane = await planeWithModel(t);
  const { client } = plane;
  await ensureModelPackageGroup(client, 'group');
  const { ModelPackageArn } = await client.send(
    new CreateModelPackageCommand({
      ModelPackageGroupName: 'group',
      InferenceSpecification: { Containers: [{ Image: IMAGE, ModelDataUrl: 's3://bucket/model.tar.gz' }] },
    }),
  );
  const PrimaryContainer = { ModelPackageName: ModelPackageArn };
  await client.send(new CreateModelCommand({ ModelName: 'version', PrimaryContainer, ExecutionRoleArn: ROLE }));
  await deployModel(client, { name: 'e', modelName: 'version', pollEvery: 20 });
  assert.equal((await ask(plane, 'hello')).answer.weights, 'heavy');
});

test('several instances are asked in turn', async (t) => {
  const plane = await planeWithModel(t);
  const variant = { VariantName: 'v', ModelName: 'model', InitialInstanceCount: 2 };
  await plane.client.send(new CreateEndpointConfigCommand({ EndpointConfigName: 'c', ProductionVariants: [variant] }));
  await plane.client.send(new CreateEndpointCommand({ EndpointName: 'e', EndpointConfigName: 'c' }));
  await eventually(async () => {
    const { EndpointStatus } = await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'e' }));
    return EndpointStatus === 'InService';
  });
  const pids = [];
  for (let i = 0; i < 4; i++) pids.push((await ask(plane, 'hello')).answer.pid);
  assert.deepEqual([new Set(pids).size, pids[0], pids[1]], [2, pids[2], pids[3]]);
});

for (const [body, status, side, message] of [
  ['bad', 415, 'client', 'only good ones'],
  ['crash', 503, 'server', 'out of memory'],
] as const) {
  test(`a ${status} of the container is a ModelError with what it said`, async (t) => {
    const plane = await deployed(t);
    await assert.rejects(ask(plane, body), {
      name: 'ModelError',
      OriginalStatusCode: status,
      OriginalMessage: message,
      message: `Received ${side} error (${status}) from AllTraffic with message "${message}"`,
    });
  });
}

test('a container that dies while it is asked is a ModelError', async (t) => {
  const plane = await deployed(t);
  await assert.rejects(ask(plane, 'die'), { name: 'ModelError', message: /AllTraffic did not answer/ });
});

test('an endpoint that is deleted is gone, and so is its server', async (t) => {
  const plane = await deployed(t);
  const { pid } = (await ask(plane, 'hello')).answer;
  await deleteEndpoint(plane.client, 'e');
  assert.equal(isRunning(pid), false);
  const gone = { name: 'ValidationException', message: /there is no endpoint/ };
  await assert.rejects(plane.client.send(new DescribeEndpointCommand({ EndpointName: 'e' })), gone);
  await assert.rejects(plane.client.send(new DescribeEndpointConfigCommand({ EndpointConfigName: 'e' })), gone);
  await assert.rejects(ask(plane, 'hello'), { name: 'ValidationError', message: /the endpoint e is not there/ });
});

test('an endpoint that is deleted while its server starts leaves no server', async (t) => {
  const plane = await planeWithModel(t, 'echo $$ > pid; exec sleep 60');
  const pidFile = join(plane.folder, 'servers', 'e', 'AllTraffic-0', 'opt', 'ml', 'pid');
  const deploying = deployModel(plane.client, { name: 'e', modelName: 'model', pollEvery: 20 });
  const refused = assert.rejects(deploying, { name: 'ValidationException' });
  const pid = Number(await eventually(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').trim()));
  assert.ok(isRunning(pid));
  await plane.client.send(new DeleteEndpointCommand({ EndpointName: 'e' }));
  assert.equal(isRunning(pid), false);
  await refused;
});

test('a container that ends before it is healthy makes the endpoint Failed, with the reason', async (t) => {
  const plane = await planeWithModel(t, 'exit 7');
  await assert.rejects(deployModel(plane.client, { name: 'e', modelName: 'model', pollEvery: 20 }), {
    message: /endpoint e failed: the container ended with exit status 7 before it was healthy/,
  });
  const { EndpointStatus } = await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'e' }));
  assert.equal(EndpointStatus, 'Failed');
  await assert.rejects(ask(plane, 'hello'), { name: 'ValidationError', message: /is Failed, not InService/ });
});

test('an endpoint that fails leaves none of its servers running', async (t) => {
  // the first instance goes on for ever, the second ends at once
  const plane = await planeWithModel(t, 'case $PWD in *-1/*) exit 7;; esac; echo $$ > pid; exec sleep 60');
  const variant = { VariantName: 'v', ModelName: 'model', InitialInstanceCount: 2 };
  await plane.client.send(new CreateEndpointConfigCommand({ EndpointConfigName: 'c', ProductionVariants: [variant] }));
  await plane.client.send(new CreateEndpointCommand({ EndpointName: 'e', EndpointConfigName: 'c' }));
  const pidFile = join(plane.folder, 'servers', 'e', 'v-0', 'opt', 'ml', 'pid');
  const pid = Number(await eventually(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').trim()));
  await eventually(() => !isRunning(pid));
});

test('a configuration needs a variant, and a model that is there', async (t) => {
  const { client } = await controlPlane(t);
  const config = (ProductionVariants: { VariantName: string; ModelName: string }[]) =>
    client.send(new CreateEndpointConfigCommand({ EndpointConfigName: 'c', ProductionVariants }));
  await assert.rejects(config([]), { name: 'ValidationException', message: /production variant/ });
  await assert.rejects(config([{ VariantName: 'v', ModelName: 'gone' }]), {
    name: 'ValidationException',
    message: /no model gone/,
  });
});

test('a name that is taken is refused', async (t) => {
  const { client } = await deployed(t);
  const refusal = { name: 'ValidationException', message: /already existing endpoint/ };
  await assert.rejects(client.send(new CreateEndpointCommand({ EndpointName: 'e', EndpointConfigName: 'e' })), refusal);
});

/** Begins to move the endpoint to a model of another colour; its container comes up, or not. */
async function moveTo({ client }: TestPlane, colour: string) {
  await client.send(
    new CreateModelCommand({
      ModelName: colour,
      PrimaryContainer: { Image: IMAGE, ModelDataUrl: 's3://bucket/model.tar.gz', Environment: { COLOUR: colour } },
      ExecutionRoleArn: ROLE,
    }),
  );
  const variant = { VariantName: 'AllTraffic', ModelName: colour, InitialInstanceCount: 1 };
  await client.send(new CreateEndpointConfigCommand({ EndpointConfigName: colour, ProductionVariants: [variant] }));
  await client.send(new UpdateEndpointCommand({ EndpointName: 'e', EndpointConfigName: colour }));
}

const inService = ({ client }: TestPlane) =>
  eventually(async () => {
    const endpoint = await client.send(new DescribeEndpointCommand({ EndpointName: 'e' }));
    return endpoint.EndpointStatus === 'InService' ? endpoint : undefined;
  });

test('an endpoint that moves answers all the time, and then with the other configuration', async (t) => {
  const plane = await deployed(t);
  const { pid } = (await ask(plane, 'hello')).answer;
  await moveTo(plane, 'green');
  const moving = await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'e' }));
  assert.deepEqual(
    [moving.EndpointStatus, moving.EndpointConfigName, moving.PendingDeploymentSummary?.EndpointConfigName],
    ['Updating', 'e', 'green'],
  );
  assert.equal((await ask(plane, 'hello')).answer.colour, 'blue');
  const { EndpointConfigName, PendingDeploymentSummary } = await inService(plane);
  assert.deepEqual([EndpointConfigName, PendingDeploymentSummary], ['green', undefined]);
  assert.equal((await ask(plane, 'hello')).answer.colour, 'green');
  await eventually(() => !isRunning(pid));
});

test('where the other containers do not come up, the endpoint stays as it was, and says why', async (t) => {
  const script = join(temporaryFolder(), 'server.js');
  writeFileSync(script, SERVER);
  const plane = await planeWithModel(t, `[ "$COLOUR" = red ] && exit 7; exec node ${script}`);
  await deployModel(plane.client, { name: 'e', modelName: 'model', pollEvery: 20 });
  await moveTo(plane, 'red');
  const { EndpointConfigName, FailureReason } = await inService(plane);
  assert.deepEqual(
    [EndpointConfigName, FailureReason],
    ['e', 'the container ended with exit status 7 before it was healthy'],
  );
  assert.equal((await ask(plane, 'hello')).answer.colour, 'blue');
});

test('an endpoint that is deleted while it moves leaves no server', async (t) => {
  const script = join(temporaryFolder(), 'server.js');
  writeFileSync(script, SERVER);
  const plane = await planeWithModel(t, `[ "$COLOUR" = blue ] && exec node ${script}; echo $$ > pid; exec sleep 60`);
  await deployModel(plane.client, { name: 'e', modelName: 'model', pollEvery: 20 });
  await moveTo(plane, 'green');
  const pidFile = join(plane.folder, 'servers', 'e', 'AllTraffic-0-next', 'opt', 'ml', 'pid');
  const pid = Number(await eventually(() => existsSync(pidFile) && readFileSync(pidFile, 'utf8').trim()));
  await plane.client.send(new DeleteEndpointCommand({ EndpointName: 'e' }));
  assert.equal(isRunning(pid), false);
});

test('an endpoint that moves is not moved at the same time', async (t) => {
  const plane = await deployed(t);
  await moveTo(plane, 'green');
  await assert.rejects(plane.client.send(new UpdateEndpointCommand({ EndpointName: 'e', EndpointConfigName: 'e' })), {
    name: 'ValidationException',
    message: /the endpoint e, which is Updating/,
  });
});
