// One control plane for a folder: a second is refused while the first runs, and takes over what a dead one has left.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ListPipelinesCommand } from '@aws-sdk/client-sagemaker';
import { startLocalSageMaker } from '../../../lib/local';
import { lockFolder } from '../../../lib/local/lock';
import { temporaryFolder } from '../../training/temporary-folder';
import { controlPlane, eventually, isRunning } from './control-plane';

const images = new Map<string, string>();

/** A folder with a lock that is as given. */
function locked(holder: unknown): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'lock'), typeof holder === 'string' ? holder : JSON.stringify(holder));
  return folder;
}

async function spawned(context: TestContext, command: string, ...given: string[]) {
  const child = spawn(command, given);
  context.after(() => child.kill('SIGKILL'));
  const [line] = await once(child.stdout, 'data');
  return { child, line: String(line).trim() };
}

/** When a process began: the 22nd number that Linux has of it. */
const began = (pid: number) => readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21];

test('a second control plane of the folder is refused, and the first goes on', async (t) => {
  const first = await controlPlane(t);
  await assert.rejects(startLocalSageMaker({ folder: first.folder, images }), {
    name: 'UserError',
    message: new RegExp(`${first.folder} is in use by .* process ${process.pid};[^]*Fix: .*--state`),
  });
  await first.client.send(new ListPipelinesCommand({}));
  assert.ok(existsSync(join(first.folder, 'lock')));
});

test('so is one in another process than the first, whose pid is told', async (t) => {
  const folder = temporaryFolder();
  const { child } = await spawned(t, process.execPath, join(__dirname, 'held-plane.js'), folder, temporaryFolder());
  await assert.rejects(startLocalSageMaker({ folder, images }), {
    name: 'UserError',
    message: new RegExp(`process ${child.pid};`),
  });
});

test('a control plane that is closed leaves the folder to the next', async (t) => {
  const { folder, close } = await controlPlane(t);
  await close();
  assert.equal(existsSync(join(folder, 'lock')), false);
});

test('a control plane that could not start leaves the folder to the next', async (t) => {
  const { url } = await controlPlane(t);
  const folder = temporaryFolder();
  await assert.rejects(startLocalSageMaker({ folder, images, port: Number(new URL(url).port) }), /EADDRINUSE/);
  assert.equal(existsSync(join(folder, 'lock')), false);
});

test('the lock of a process that is gone is taken over', async () => {
  const child = spawn('true');
  await once(child, 'exit');
  const folder = locked({ pid: child.pid, began: '1' });
  lockFolder(folder);
  assert.equal(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')).pid, process.pid);
});

test('so is that of a process whose pid another has got since', () => {
  const folder = locked({ pid: process.pid, began: String(Number(began(process.pid)) - 1) });
  lockFolder(folder);
  assert.equal(JSON.parse(readFileSync(join(folder, 'lock'), 'utf8')).began, began(process.pid));
});

test('so is that of a process that has ended and that nobody waited for', async (t) => {
  const { line } = await spawned(t, 'sh', '-c', 'sleep 0 & echo $!; exec sleep 60');
  await eventually(() => !isRunning(Number(line)));
  lockFolder(locked({ pid: Number(line), began: began(Number(line)) }));
});

test('so is one whose writer was killed before it had written anything', () => {
  lockFolder(locked(''));
});
