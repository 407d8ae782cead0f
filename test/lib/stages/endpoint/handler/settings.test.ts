// The function that deploys: changed settings, what is cleaned up, what failed or was deleted, scaling, and its package.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
  DescribeScalableTargetsCommand,
  DescribeScalingPoliciesCommand,
} from '@aws-sdk/client-application-auto-scaling';
import { DescribeAlarmsCommand } from '@aws-sdk/client-cloudwatch';
import { CreateEndpointConfigCommand, DeleteEndpointCommand, DescribeModelCommand } from '@aws-sdk/client-sagemaker';
import { Stage } from 'aws-cdk-lib';
import { packageRoot } from '../../../../../training/native/cache';
import { MOTO_CREDENTIALS } from '../../../../moto';
import { temporaryFolder } from '../../../../training/temporary-folder';
import { bare, CHANGED, DEPLOYED, deploymentOf, options, serving, setup } from './setup';

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
