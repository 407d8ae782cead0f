// The function that deploys, against the local SageMaker, whose endpoints are real servers, and Application Auto Scaling as moto plays it.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import {
  ApplicationAutoScalingClient,
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchClient, DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import {
  CreateEndpointConfigCommand,
  CreateModelPackageCommand,
  DeleteEndpointCommand,
  DescribeEndpointCommand,
  DescribeModelCommand,
  ListEndpointConfigsCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { Stack, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { create } from 'tar';
import { ApprovedModelEndpoint, type ApprovedModelEndpointProps } from '../../../../lib';
import { resolveTemplate } from '../../../../lib/local';
import { ensureModelPackageGroup } from '../../../../lib/operations/execution';
import type { Deployment, DeploymentEvent } from '../../../../lib/stages/endpoint/handler/deployment';
import { type Clients, type Outcome, reconcile } from '../../../../lib/stages/endpoint/handler/reconcile';
import { packageRoot } from '../../../../training/native/cache';
import { MOTO_CREDENTIALS, skipMoto, startMoto } from '../../../moto';
import { temporaryFolder } from '../../../training/temporary-folder';
import { controlPlane, eventually, IMAGE, ROLE, type TestPlane } from '../../local/control-plane';
import { newApp } from './stacks';

/** Answers with the weights of its model; a model of bad weights does not come up. */
const SERVER = `
const fs = require('node:fs');
const weights = fs.readFileSync('model/weights', 'utf8');
if (weights.startsWith('bad')) process.exit(3);
require('node:http').createServer((request, response) => {
  response.end(request.url === '/ping' ? '' : weights);
}).listen(Number(process.env.SAGEMAKER_BIND_TO_PORT), process.env.SCANLINE_BIND_HOST);
`;

/** What the stack tells the function, as the template has it. */
function deploymentOf(props: Partial<ApprovedModelEndpointProps> = {}): { deployment: Deployment; stack: Stack } {
  const stack = new Stack(newApp(), 'Test');
  new ApprovedModelEndpoint(stack, 'Endpoint', {
    endpointName: 'planes',
    modelPackageGroup: 'group',
    role: Role.fromRoleArn(stack, 'Role', ROLE),
    ...props,
  });
  const template = Template.fromStack(stack);
  const [deployer] = Object.values(template.findResources('AWS::Lambda::Function'));
  const text = resolveTemplate(deployer?.Properties.Environment.Variables.DEPLOYMENT, template.toJSON());
  return { deployment: JSON.parse(text as string), stack };
}

interface Setup extends TestPlane {
  readonly clients: Clients;
  readonly autoScaling: string;
  /** @returns the event of its approval, which has happened */
  approve(version: number): Promise<DeploymentEvent>;
  reject(version: number): Promise<DeploymentEvent>;
  /** Registers the next version. */
  register(weights: string): Promise<void>;
  wake(event: DeploymentEvent, deployment?: Deployment): Promise<Outcome>;
  /** Waits until SageMaker does not work on the endpoint. @returns its status and configuration */
  settled(): Promise<{ status: string; config: string }>;
  answer(): Promise<string>;
  configs(): Promise<string[]>;
}

const bare = deploymentOf().deployment;

const CHANGED: DeploymentEvent = {
  'detail-type': 'SageMaker Endpoint State Change',
  detail: { EndpointName: 'planes' },
};
const DEPLOYED: DeploymentEvent = { 'detail-type': 'CloudFormation Stack Status Change' };

/** The address of one for all tests, as it takes its time to start. */
let moto = '';
const ends: (() => unknown)[] = [];

before(async () => {
  if (!skipMoto) moto = await startMoto({ after: (end: () => unknown) => ends.push(end) } as unknown as TestContext);
});
after(async () => {
  for (const end of ends) await end();
});

async function setup(t: TestContext): Promise<Setup> {
  const script = join(temporaryFolder(), 'server.js');
  writeFileSync(script, SERVER);
  const plane = await controlPlane(t, { serve: `exec node ${script}` });
  const { client } = plane;
  const autoScaling = moto;
  await fetch(`${autoScaling}/moto-api/reset`, { method: 'POST' });
  const settings = {
    endpoint: autoScaling,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
  };
  const clients = {
    sagemaker: client,
    scaling: new ApplicationAutoScalingClient(settings),
    cloudwatch: new CloudWatchClient(settings),
  };
  await ensureModelPackageGroup(client, 'group');
  const arn = (version: number) => `arn:aws:sagemaker:us-east-1:000000000000:model-package/group/${version}`;
  const change = async (version: number, status: 'Approved' | 'Rejected'): Promise<DeploymentEvent> => {
    const ModelPackageArn = arn(version);
    await client.send(new UpdateModelPackageCommand({ ModelPackageArn, ModelApprovalStatus: status }));
    return {
      'detail-type': 'SageMaker Model Package State Change',
      detail: { ModelPackageArn, ModelApprovalStatus: status },
    };
  };
  return {
    ...plane,
    clients,
    autoScaling,
    approve: (version) => change(version, 'Approved'),
    reject: (version) => change(version, 'Rejected'),
    register: async (weights) => {
      const folder = temporaryFolder();
      writeFileSync(join(folder, 'weights'), weights);
      const ModelDataUrl = `s3://bucket/${weights}/model.tar.gz`;
      plane.put(ModelDataUrl, '');
      await create({ gzip: true, cwd: folder, file: plane.s3.path(ModelDataUrl) }, ['weights']);
      await client.send(
        new CreateModelPackageCommand({
          ModelPackageGroupName: 'group',
          InferenceSpecification: { Containers: [{ Image: IMAGE, ModelDataUrl }] },
        }),
      );
    },
    wake: (event, deployment = bare) => reconcile(clients, deployment, event),
    settled: () =>
      eventually(async () => {
        const described = await client.send(new DescribeEndpointCommand({ EndpointName: 'planes' }));
        const { EndpointStatus: status = '', EndpointConfigName: config = '' } = described;
        return ['InService', 'Failed'].includes(status) ? { status, config } : undefined;
      }),
    answer: async () => {
      const { Body } = await plane.runtime.send(new InvokeEndpointCommand({ EndpointName: 'planes', Body: 'image' }));
      return Buffer.from(Body as Uint8Array).toString('utf8');
    },
    configs: async () => {
      const { EndpointConfigs = [] } = await client.send(new ListEndpointConfigsCommand({}));
      return EndpointConfigs.map(({ EndpointConfigName = '' }) => EndpointConfigName);
    },
  };
}

/** An endpoint that serves version 1. */
async function serving(t: TestContext): Promise<Setup> {
  const plane = await setup(t);
  await plane.register('one');
  assert.equal(await plane.wake(await plane.approve(1)), 'created');
  await plane.settled();
  return plane;
}

const options = { skip: skipMoto };

test('before anything is approved nothing is made', options, async (t) => {
  const plane = await setup(t);
  await plane.register('one');
  assert.equal(await plane.wake(DEPLOYED), 'nothing approved');
  assert.deepEqual(await plane.configs(), []);
});

test('the first approval makes the endpoint, which serves that version', options, async (t) => {
  const plane = await serving(t);
  const { status, config } = await plane.settled();
  assert.equal(status, 'InService');
  assert.match(config, /^planes-1-[0-9a-f]{8}$/);
  assert.equal(await plane.answer(), 'one');
});

test('a version that was approved before the stack was deployed is served', options, async (t) => {
  const plane = await setup(t);
  await plane.register('one');
  await plane.approve(1);
  assert.equal(await plane.wake(DEPLOYED), 'created');
  await plane.settled();
  assert.equal(await plane.answer(), 'one');
});

test('a newly approved version takes over, with the alarms that take it back', options, async (t) => {
  const plane = await serving(t);
  await plane.register('two');
  assert.equal(await plane.wake(await plane.approve(2)), 'updated');
  await plane.settled();
  assert.equal(await plane.answer(), 'two');
  const { LastDeploymentConfig } = await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'planes' }));
  assert.equal(LastDeploymentConfig?.AutoRollbackConfiguration?.Alarms?.length, 2);
  assert.equal(LastDeploymentConfig?.BlueGreenUpdatePolicy?.TrafficRoutingConfiguration?.Type, 'ALL_AT_ONCE');
});

test('an event that comes twice changes nothing', options, async (t) => {
  const plane = await setup(t);
  await plane.register('one');
  const event = await plane.approve(1);
  await plane.wake(event);
  assert.match(await plane.wake(event), /busy|serving/);
  await plane.settled();
  assert.equal(await plane.wake(event), 'serving');
  assert.equal((await plane.configs()).length, 1);
});

test('an older version that is approved later does not take over', options, async (t) => {
  const plane = await setup(t);
  for (const weights of ['one', 'two']) await plane.register(weights);
  await plane.wake(await plane.approve(2));
  await plane.settled();
  assert.equal(await plane.wake(await plane.approve(1)), 'serving');
  assert.equal(await plane.answer(), 'two');
});

test(
  'a version that is approved while the endpoint moves is next, by the event of the endpoint',
  options,
  async (t) => {
    const plane = await serving(t);
    for (const weights of ['two', 'three']) await plane.register(weights);
    await plane.wake(await plane.approve(2));
    assert.equal(await plane.wake(await plane.approve(3)), 'busy');
    await plane.settled();
    assert.equal(await plane.wake(CHANGED), 'updated');
    await plane.settled();
    assert.equal(await plane.answer(), 'three');
  },
);

test('a version that was taken back is not tried again by itself, but when it is approved anew', options, async (t) => {
  const plane = await serving(t);
  await plane.register('bad two');
  await plane.wake(await plane.approve(2));
  await plane.settled();
  assert.equal(await plane.answer(), 'one');
  assert.equal(await plane.wake(CHANGED), 'left');
  assert.equal(await plane.wake(await plane.approve(1)), 'updated', 'the event is about the version that serves');
  await plane.settled();
  assert.equal(await plane.wake(await plane.approve(2)), 'updated');
});

test('rejecting what serves brings the newest that is approved back, and no alarm stops that', options, async (t) => {
  const plane = await serving(t);
  await plane.register('two');
  await plane.wake(await plane.approve(2));
  await plane.settled();
  assert.equal(await plane.wake(await plane.reject(2)), 'updated');
  const { LastDeploymentConfig } = await plane.client.send(new DescribeEndpointCommand({ EndpointName: 'planes' }));
  assert.deepEqual(Object.keys(LastDeploymentConfig ?? {}), ['BlueGreenUpdatePolicy']);
  await plane.settled();
  assert.equal(await plane.answer(), 'one');
});

test('what is rejected while the endpoint moves to it goes, by the event of the endpoint', options, async (t) => {
  const plane = await serving(t);
  await plane.register('two');
  await plane.wake(await plane.approve(2));
  assert.equal(await plane.wake(await plane.reject(2)), 'busy');
  await plane.settled();
  assert.equal(await plane.wake(CHANGED), 'updated');
  await plane.settled();
  assert.equal(await plane.answer(), 'one');
});

test('when nothing is approved any more, what serves stays', options, async (t) => {
  const plane = await serving(t);
  assert.equal(await plane.wake(await plane.reject(1)), 'nothing approved');
  assert.equal(await plane.answer(), 'one');
});

test('settings that a deployment of the stack has changed are taken on', options, async (t) => {
  const plane = await serving(t);
  const { deployment } = deploymentOf({ variants: [{ instanceType: 'ml.g5.2xlarge' }] });
  const [before] = await plane.configs();
  assert.equal(await plane.wake(DEPLOYED, deployment), 'updated');
  const { config } = await plane.settled();
  assert.notEqual(config, before);
  assert.match(config, /^planes-1-/);
});

test('the last configurations are kept with their models, and the others go', options, async (t) => {
  const plane = await serving(t);
  const { deployment } = deploymentOf({ keep: 1 });
  const foreign = { VariantName: 'v', ModelName: (await plane.configs())[0] };
  const theirs = { EndpointConfigName: 'planes-1-of-somebody', ProductionVariants: [foreign] };
  await plane.client.send(new CreateEndpointConfigCommand(theirs));
  for (const version of [2, 3]) {
    await plane.register(`version ${version}`);
    await plane.wake(await plane.approve(version), deployment);
    await plane.settled();
  }
  const [third, second, , first] = (await plane.configs()) as [string, string, string, string];
  assert.equal(await plane.wake(CHANGED, deployment), 'serving');
  assert.deepEqual(await plane.configs(), [third, second, 'planes-1-of-somebody']);
  await assert.rejects(plane.client.send(new DescribeModelCommand({ ModelName: first })), /no model/);
  for (const ModelName of [second, third]) await plane.client.send(new DescribeModelCommand({ ModelName }));
  assert.equal(await plane.answer(), 'version 3');
});

test('an endpoint that could not be made is left, until somebody asks for it again', options, async (t) => {
  const plane = await setup(t);
  await plane.register('bad one');
  await plane.wake(await plane.approve(1));
  assert.equal((await plane.settled()).status, 'Failed');
  assert.equal(await plane.wake(CHANGED), 'left');
  await plane.register('two');
  assert.equal(await plane.wake(await plane.approve(2)), 'created');
  await plane.settled();
  assert.equal(await plane.answer(), 'two');
});

test('an endpoint that somebody has deleted stays away, until a version is approved', options, async (t) => {
  const plane = await serving(t);
  await plane.client.send(new DeleteEndpointCommand({ EndpointName: 'planes' }));
  assert.equal(await plane.wake(CHANGED), 'left');
  assert.equal(await plane.wake(await plane.approve(1)), 'created');
});

test('a refusal of SageMaker is thrown, so that Lambda tries again', options, async (t) => {
  const plane = await setup(t);
  await assert.rejects(plane.wake(DEPLOYED, { ...bare, endpointName: 'planes', group: '' }), {
    name: 'ValidationException',
  });
});

test('an endpoint in service is registered for scaling, and no longer when that is taken out', options, async (t) => {
  const plane = await serving(t);
  const { deployment } = deploymentOf({ variants: [{ autoscaling: { maxCapacity: 4, target: 30 } }] });
  assert.equal(await plane.wake(CHANGED, deployment), 'serving');
  const ServiceNamespace = 'sagemaker';
  const targets = async () =>
    (await plane.clients.scaling.send(new DescribeScalableTargetsCommand({ ServiceNamespace }))).ScalableTargets ?? [];
  const [target] = await targets();
  assert.deepEqual(
    [target?.ResourceId, target?.ScalableDimension, target?.MinCapacity, target?.MaxCapacity],
    ['endpoint/planes/variant/AllTraffic', 'sagemaker:variant:DesiredInstanceCount', 1, 4],
  );
  const { ScalingPolicies } = await plane.clients.scaling.send(
    new DescribeScalingPoliciesCommand({ ServiceNamespace }),
  );
  const [policy] = ScalingPolicies ?? [];
  assert.equal(policy?.TargetTrackingScalingPolicyConfiguration?.TargetValue, 30);
  await plane.wake(CHANGED);
  assert.deepEqual(await targets(), []);
});

test('an asynchronous endpoint without instances is woken by an alarm', options, async (t) => {
  const plane = await serving(t);
  const { deployment } = deploymentOf({
    variants: [{ autoscaling: { maxCapacity: 2 } }],
    async: { output: 's3://bucket/answers' },
  });
  await plane.wake(DEPLOYED, deployment);
  await plane.settled();
  assert.equal(await plane.wake(CHANGED, deployment), 'serving');
  const { MetricAlarms } = await plane.clients.cloudwatch.send(new DescribeAlarmsCommand({}));
  const [alarm] = MetricAlarms ?? [];
  assert.deepEqual([alarm?.MetricName, alarm?.Threshold], ['HasBacklogWithoutCapacity', 1]);
  assert.match(String(alarm?.AlarmActions?.[0]), /scalingPolicy.*planes-AllTraffic-wake-up/);
});

test('what is packed for Lambda runs there: with the SDK of the runtime, and nothing else', options, async (t) => {
  const plane = await setup(t);
  await plane.register('one');
  const event = await plane.approve(1);
  const { stack, deployment } = deploymentOf();
  const assembly = Stage.of(stack)?.synth();
  const asset = readdirSync(assembly?.directory ?? '').find((name) => name.startsWith('asset.')) as string;
  const folder = temporaryFolder();
  cpSync(join(assembly?.directory ?? '', asset), folder, { recursive: true });
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.endsWith('.js')),
    [],
  );
  const program = `require('./index').handler(${JSON.stringify(event)})`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', program], {
    cwd: folder,
    env: {
      ...process.env,
      ...MOTO_CREDENTIALS,
      NODE_PATH: join(packageRoot, 'node_modules'),
      AWS_ENDPOINT_URL: plane.autoScaling,
      AWS_ENDPOINT_URL_SAGEMAKER: plane.url,
      DEPLOYMENT: JSON.stringify(deployment),
    },
  });
  assert.deepEqual(JSON.parse(stdout), {
    endpoint: 'planes',
    outcome: 'created',
    wokenBy: 'SageMaker Model Package State Change',
  });
});
