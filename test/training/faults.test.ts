// What a machine denies a training: the reason and the way out are where SageMaker reads them, and the last good checkpoint is whole.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { listCheckpoints } from '../../training/engine/checkpoints/checkpoint-list';
import { UserError } from '../../training/errors';
import { explain, explainSignal } from '../../training/faults';
import { packageRoot } from '../../training/native/cache';
import { readHyperparameters } from '../../training/settings';
import { eventually, isRunning } from '../lib/local/control-plane';
import { start } from './command-line';
import { writeDataset } from './sample-images';
import { temporaryFolder } from './temporary-folder';

const TRAIN = 'containers/byoc/entrypoints/train.js';

/** Another user. */
const NOBODY = 65534;

const HYPERPARAMETERS = {
  ...{ init_features: '4', growth_rate: '2', bn_size: '1', block_config: '"1,1"', img_size: '32', batch_size: '4' },
  ...{ num_epochs: '1000', checkpoint_interval: '1' },
};

async function fill(base: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  for (const folder of ['input/config', 'model', 'output', 'checkpoints'])
    mkdirSync(join(base, folder), { recursive: true });
  writeFileSync(join(base, 'input/config/hyperparameters.json'), JSON.stringify({ ...HYPERPARAMETERS, ...more }));
  await writeDataset(join(base, 'input/data'), { train: 8, validation: 2 });
}

const failureOf = (base: string) => readFileSync(join(base, 'output', 'failure'), 'utf8');

/** Mounts a small disk in memory for the time of a test; where that is not allowed, the test is skipped. */
function mountDisk(context: TestContext, folder: string, options: string): boolean {
  mkdirSync(folder, { recursive: true });
  const { status, error, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder], {
    encoding: 'utf8',
  });
  if (status !== 0) context.skip(`no disk can be mounted here: ${error?.message ?? stderr.trim()}`);
  else context.after(() => spawnSync('umount', ['--lazy', folder]));
  return status === 0;
}

test('a full disk: the failure names it, and on a larger one the job goes on from the last checkpoint', async (t) => {
  const base = temporaryFolder();
  if (!mountDisk(t, base, 'size=1m')) return;
  await fill(base, { num_to_keep: '1000' });

  const { status, stderr } = await start(TRAIN, [], { SAGEMAKER_BASE_DIR: base }).ended;
  assert.equal(status, 1, stderr);
  const [newest] = listCheckpoints(join(base, 'checkpoints'));
  const failure = failureOf(base);
  assert.match(failure, new RegExp(`^${base}/\\S+ cannot be written: the disk is full \\(ENOSPC, \\w+\\)`));
  assert.match(failure, /Fix: give the job a larger volume \(VolumeSizeInGB\)/);
  assert.ok(failure.includes(`The last checkpoint is intact: ${newest?.path}.`), failure);

  assert.equal(spawnSync('mount', ['-o', 'remount,size=64m', base]).status, 0);
  const again = start(TRAIN, [], { SAGEMAKER_BASE_DIR: base });
  const goesOn = () => (listCheckpoints(join(base, 'checkpoints'))[0]?.step ?? 0) > (newest?.step ?? 0);
  while (!goesOn() && again.child.exitCode === null) await wait(5);
  again.child.kill('SIGTERM');
  const { status: second, stdout } = await again.ended;
  assert.equal(second, 0, stdout);
  assert.ok(stdout.includes(`resumed from ${newest?.path}`), stdout);
});

for (const name of ['model', 'checkpoints']) {
  test(`a read-only ${name} folder is told before the training, not after it`, async (t) => {
    const base = temporaryFolder();
    await fill(base);
    if (!mountDisk(t, join(base, name), 'ro')) return;
    const { status, stdout } = await start(TRAIN, [], { SAGEMAKER_BASE_DIR: base }).ended;
    assert.equal(status, 1);
    assert.doesNotMatch(stdout, /train_loss|step 1/);
    assert.ok(
      failureOf(base).startsWith(
        `${join(base, name)} cannot be written: its file system is read-only (EROFS, access).`,
      ),
    );
  });
}

test('a channel that the user may not read is named, with the user', async (t) => {
  if (process.getuid?.() !== 0 || spawnSync('setpriv', ['--version']).status !== 0)
    return t.skip('only root can take away, with setpriv, what lets it read everything');
  const base = temporaryFolder();
  await fill(base);
  const channel = join(base, 'input/data/train');
  chownSync(channel, NOBODY, NOBODY);
  chmodSync(channel, 0o700);
  const plain = ['--bounding-set', '-dac_override,-dac_read_search'];
  assert.equal(await trainUnder(['setpriv', ...plain], base), 1);
  assert.match(
    failureOf(base),
    new RegExp(`^${channel} is not for user 0 to use: permission denied \\(EACCES, scandir\\)`),
  );
});

/** Runs a training by a command that limits it. */
function trainUnder([command, ...limits]: readonly [string, ...string[]], base: string): Promise<number | null> {
  const child = spawn(command, [...limits, process.execPath, join(packageRoot, 'dist', TRAIN)], {
    env: { ...process.env, SAGEMAKER_BASE_DIR: base },
    stdio: 'ignore',
  });
  return new Promise((resolve) => child.once('close', resolve));
}

test('memory runs out: the failure says so, and what to lower from what', async (t) => {
  if (spawnSync('prlimit', ['--version']).status !== 0) return t.skip('prlimit limits the memory, and is not here');
  const base = temporaryFolder();
  await fill(base, { img_size: '512', batch_size: '16', init_features: '64', growth_rate: '32' });
  assert.equal(await trainUnder(['prlimit', '--data=1300000000'], base), 1);
  const failure = failureOf(base);
  assert.match(failure, /^memory ran out: |^the training was ended by SIG(ABRT|SEGV|BUS)/);
  assert.match(failure, /batch_size 8 instead of 16 \(and accumulate_grad_batches 2\)/);
  assert.match(
    failure,
    /precision bf16 \(CPU\) or fp16 \(GPU\) instead of fp32; gradient_checkpointing true; a smaller img_size than 512/,
  );
});

/** The process that trains, of the one that looks after it. */
function trainerOf({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

test('a training that the kernel kills leaves a reason, and its last checkpoint', async () => {
  const base = temporaryFolder();
  await fill(base);
  const { child, ended } = start(TRAIN, [], { SAGEMAKER_BASE_DIR: base });
  const checkpoints = join(base, 'checkpoints');
  while (listCheckpoints(checkpoints).length === 0 && child.exitCode === null) await wait(5);
  process.kill(trainerOf(child), 'SIGKILL');
  assert.equal((await ended).status, 1);
  const failure = failureOf(base);
  assert.match(
    failure,
    /^the training was ended by SIGKILL: the kernel ends so what takes more memory than there is\./,
  );
  assert.ok(failure.includes(`The last checkpoint is intact: ${listCheckpoints(checkpoints)[0]?.path}.`), failure);
});

test('the trainer does not outlive the process that looks after it', async () => {
  const base = temporaryFolder();
  await fill(base, { num_epochs: '100000' });
  const { child } = start(TRAIN, [], { SAGEMAKER_BASE_DIR: base });
  while (listCheckpoints(join(base, 'checkpoints')).length === 0 && child.exitCode === null) await wait(5);
  const trainer = trainerOf(child);
  child.kill('SIGKILL');
  await eventually(() => !isRunning(trainer), 10);
});

const hyperparameters = readHyperparameters({
  given: { model_name: 'segresnet', batch_size: 1, precision: 'bf16', gradient_checkpointing: true },
});

test('what cannot be lowered is not proposed', () => {
  const { fix } = explain(new Error('OOM when allocating tensor'), { hyperparameters }) as UserError;
  assert.equal(fix, 'any of these takes less: a smaller roi_size than 96; a larger instance_type.');
});

test('what is no fault of the machine stays as it is', () => {
  const defect = new TypeError('x is not a function');
  assert.equal(explain(defect), defect);
  const mendable = new UserError('bad', 'good.');
  assert.equal(explain(mendable), mendable);
});

test('a signal whose process said that there was no memory is told by that', () => {
  const { problem } = explainSignal('SIGABRT', 'step 1\nFATAL ERROR: JavaScript heap out of memory\n  at x', {});
  assert.equal(problem, 'the training was ended by SIGABRT: FATAL ERROR: JavaScript heap out of memory.');
});
