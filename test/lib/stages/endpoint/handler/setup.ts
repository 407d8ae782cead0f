// Sets up what the function that deploys works with: the local SageMaker, whose endpoints are real servers, and moto for scaling.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, type TestContext } from 'node:test';
import { ApplicationAutoScalingClient } from '@aws-sdk/client-application-auto-scaling';
import { CloudWatchClient } from '@aws-sdk/client-cloudwatch';
import {
  CreateModelPackageCommand,
  DescribeEndpointCommand,
  ListEndpointConfigsCommand,
  UpdateModelPackageCommand,
} from '@aws-sdk/client-sagemaker';
import { InvokeEndpointCommand } from '@aws-sdk/client-sagemaker-runtime';
import { Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Role } from 'aws-cdk-lib/aws-iam';
import { create } from 'tar';
import { ApprovedModelEndpoint, type ApprovedModelEndpointProps } from '../../../../../lib';
import { resolveTemplate } from '../../../../../lib/local';
import { ensureModelPackageGroup } from '../../../../../lib/operations/execution';
import type { Deployment, DeploymentEvent } from '../../../../../lib/stages/endpoint/handler/deployment';
import { type Clients, type Outcome, reconcile } from '../../../../../lib/stages/endpoint/handler/reconcile';
import { skipMoto, startMoto } from '../../../../moto';
import { temporaryFolder } from '../../../../training/temporary-folder';
import { controlPlane, eventually, IMAGE, ROLE, type TestPlane } from '../../../local/control-plane';
import { newApp } from '../stacks';

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
export function deploymentOf(props: Partial<ApprovedModelEndpointProps> = {}): {
  deployment: Deployment;
  stack: Stack;
} {
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

export interface Setup extends TestPlane {
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

export const bare = deploymentOf().deployment;

export const CHANGED: DeploymentEvent = {
  'detail-type': 'SageMaker Endpoint State Change',
  detail: { EndpointName: 'planes' },
};
export const DEPLOYED: DeploymentEvent = { 'detail-type': 'CloudFormation Stack Status Change' };

/** The address of one for all tests, as it takes its time to start. */
let moto = '';
const ends: (() => unknown)[] = [];

before(async () => {
  if (!skipMoto) moto = await startMoto({ after: (end: () => unknown) => ends.push(end) } as unknown as TestContext);
});
after(async () => {
  for (const end of ends) await end();
});

export async function setup(t: TestContext): Promise<Setup> {
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
export async function serving(t: TestContext): Promise<Setup> {
  const plane = await setup(t);
  await plane.register('one');
  assert.equal(await plane.wake(await plane.approve(1)), 'created');
  await plane.settled();
  return plane;
}

export const options = { skip: skipMoto };
