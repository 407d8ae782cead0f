// The function that deploys: which version serves after what was approved, rejected, or taken back by an alarm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DescribeEndpointCommand } from '@aws-sdk/client-sagemaker';
import { CHANGED, DEPLOYED, options, serving, setup } from './setup';

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
