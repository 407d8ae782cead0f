// No process outlives its control plane: neither one that is closed, nor one that is killed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CreateProcessingJobCommand, type SageMakerClient } from '@aws-sdk/client-sagemaker';
import { ProcessExecutor } from '../../../../lib/local';
import { temporaryFolder } from '../../../training/temporary-folder';
import { clientsOf, controlPlane, eventually, IMAGE, imageFolder, isRunning, ROLE } from '../control-plane';

/** Writes down the processes that it is: itself, and a child. */
const SLEEP = 'sleep 300 & echo $$ $! > pids.new; mv pids.new pids; wait';

async function startJob(client: SageMakerClient, folder: string): Promise<number[]> {
  await client.send(
    new CreateProcessingJobCommand({
      ProcessingJobName: 'job',
      ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } },
      AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: ['work'] },
      RoleArn: ROLE,
    }),
  );
  const file = join(folder, 'processing-jobs', 'job', 'opt', 'ml', 'pids');
  await eventually(() => existsSync(file));
  const pids = readFileSync(file, 'utf8').trim().split(' ').map(Number);
  assert.deepEqual(pids.map(isRunning), [true, true]);
  return pids;
}

/** Kills a control plane in whose job a command sleeps; the job's processes. */
async function killedWith(command: string): Promise<number[]> {
  const folder = temporaryFolder();
  const plane = spawn(process.execPath, [
    join(__dirname, '..', 'held-plane.js'),
    folder,
    imageFolder({ work: command }),
  ]);
  const [url] = await once(plane.stdout, 'data');
  const exited = once(plane, 'exit');
  try {
    return await startJob(clientsOf(String(url).trim()).client, folder);
  } finally {
    process.kill(plane.pid as number, 'SIGKILL');
    await exited;
  }
}

test('closing ends a job and what it started', async (t) => {
  const plane = await controlPlane(t, { work: SLEEP });
  const pids = await startJob(plane.client, plane.folder);
  await plane.close();
  // what was killed is gone a moment later
  await eventually(() => !pids.some(isRunning), 1);
});

test('closing ends a job that does not heed SIGTERM', async (t) => {
  const plane = await controlPlane(t, { work: `trap '' TERM; ${SLEEP}` });
  const pids = await startJob(plane.client, plane.folder);
  await plane.close();
  // what was killed is gone a moment later
  await eventually(() => !pids.some(isRunning), 1);
});

test('a kill -9 of the control plane ends a job and what it started', async () => {
  const pids = await killedWith(SLEEP);
  await eventually(() => !pids.some(isRunning), 4);
});

test('a kill -9 of the control plane ends a job that does not heed SIGTERM', async () => {
  const pids = await killedWith(`trap '' TERM; ${SLEEP}`);
  await eventually(() => !pids.some(isRunning), 10);
});

test('what a command leaves running ends with it, as in a container', async () => {
  const executor = new ProcessExecutor(new Map([[IMAGE, imageFolder({ work: 'sleep 300 & echo $! > pid; exit 3' })]]));
  const base = temporaryFolder();
  const container = executor.run({ image: IMAGE, command: ['work'], environment: {}, base, log: join(base, 'log') });
  assert.equal(await container.exited, 3);
  const pid = Number(readFileSync(join(base, 'pid'), 'utf8'));
  await eventually(() => !isRunning(pid), 2);
});

test('an executor that is closed starts nothing more', async () => {
  const executor = new ProcessExecutor(new Map([[IMAGE, imageFolder({ work: 'true' })]]));
  await executor.close();
  const base = temporaryFolder();
  const request = { image: IMAGE, command: ['work'], environment: {}, base, log: join(base, 'log') };
  assert.throws(() => executor.run(request), /has ended/);
});
