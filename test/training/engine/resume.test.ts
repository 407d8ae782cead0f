// A training that was killed, or told to stop, goes on as if nothing had happened; one of other data or settings is refused.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { listCheckpoints, type Progress } from '../../../training/engine/checkpoints/checkpoint';
import { fit } from '../../../training/engine/fit';
import { readHyperparameters } from '../../../training/settings';
import { assertClose } from '../assert-close';
import { scanline, start, TINY } from '../command-line';
import { stripes, writeDataset, writeGrey } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
// all that draws random numbers: order, augmentation, dropout
const settings = [
  ...TINY,
  ...['--batch_size=2', '--num_epochs=3', '--dropout=0.2', '--optimizer=adamw', '--weight_decay=0.01', '--flip=both'],
  ...['--lr_schedule=onecycle', '--checkpoint_interval=4', '--augment_prob=0.8'],
];
const undisturbed = join(folder, 'undisturbed');
const killed = join(folder, 'killed');
const train = (out: string, ...more: string[]) => ['train', '--data', data, '--out', out, ...settings, ...more];

const modelsOf = (out: string) => join(out, 'densenet121', 'model');

function stateOf(checkpoint: string): Progress {
  return JSON.parse(readFileSync(join(checkpoint, 'state.json'), 'utf8')).progress;
}

/** The history without what is measured by the clock. */
function courseOf(checkpoint: string): unknown[] {
  return stateOf(checkpoint).history.map(({ images_per_second: _, ...record }) => record);
}

before(async () => {
  await writeDataset(data, { train: 20, valid: 4 });
  const { status, stderr } = await scanline(...train(undisturbed));
  assert.equal(status, 0, stderr);

  const { child, ended } = start('bin/scanline.js', train(killed));
  while (!existsSync(join(modelsOf(killed), 'checkpoint_1_4')) && child.exitCode === null) await wait(1);
  child.kill('SIGKILL');
  assert.equal((await ended).signal, 'SIGKILL');
  cpSync(killed, join(folder, 'interrupted'), { recursive: true });
});

test('a training killed in the middle of an epoch goes on to the very same weights and optimizer state', async () => {
  const newest = listCheckpoints(modelsOf(killed))[0]?.path as string;
  assert.ok(stateOf(newest).batch > 0, `${newest} is not of the middle of an epoch`);

  const { status, stdout, stderr } = await scanline(...train(killed));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /resumed from .*checkpoint_1_\d+: epoch 1/);
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const [resumed, expected] = [killed, undisturbed].map((out) =>
      readFileSync(join(modelsOf(out), 'checkpoint_4_60', file)),
    );
    assert.ok((resumed as Buffer).equals(expected as Buffer), `${file} differs`);
  }
});

test('the history of a resumed training is that of the undisturbed one', () => {
  const [resumed, expected] = [killed, undisturbed].map((out) => courseOf(join(modelsOf(out), 'checkpoint_4_60')));
  assert.deepEqual(resumed, expected);
});

test('a training that has ended is not trained on by the same command', async () => {
  const { status, stdout } = await scanline(...train(undisturbed));
  assert.equal(status, 0);
  assert.match(stdout, /this training has ended before, after 3 epochs: .*checkpoint_4_60/);
  assert.doesNotMatch(stdout, /train_loss=/);
});

test('a checkpoint of other hyperparameters is refused, with what differs', async () => {
  const { status, stderr } = await scanline(...train(join(folder, 'interrupted'), '--learning_rate=0.5', '--rotate=3'));
  assert.equal(status, 1);
  assert.match(stderr, /is of another training: rotate was 10, is 3; learning_rate was 0\.001, is 0\.5\./);
});

test('a checkpoint of other images is refused', async () => {
  const other = join(folder, 'other');
  cpSync(data, other, { recursive: true });
  await writeGrey(join(other, 'train', 'along', 'new.png'), stripes('along', 1000), 32);
  const { status, stderr } = await scanline(...train(join(folder, 'interrupted')), '--data', other);
  assert.equal(status, 1);
  assert.match(stderr, /is of another training: training images was/);
});

test('--resume none starts over, and what the former training left further on is not resumed later', async () => {
  const again = join(folder, 'again');
  cpSync(undisturbed, again, { recursive: true });
  const { child, ended } = start('bin/scanline.js', train(again, '--resume=none'));
  while (!existsSync(join(modelsOf(again), 'checkpoint_1_8')) && child.exitCode === null) await wait(1);
  child.kill('SIGKILL');
  const { stdout } = await ended;
  assert.doesNotMatch(stdout, /resumed/);
  const newest = listCheckpoints(modelsOf(again))[0]?.path as string;
  assert.equal(stateOf(newest).epoch, 1, `${newest} is of the former training`);
});

test('a best model is kept until the one that takes its place is there', async () => {
  assert.match(readdirSync(modelsOf(join(folder, 'again'))).join(' '), /best_model_\d/);
});

test('a training goes on in another folder from the path of a checkpoint, with the best model so far', async () => {
  const elsewhere = join(folder, 'elsewhere');
  const from = join(modelsOf(undisturbed), 'checkpoint_4_60');
  const { status, stderr } = await scanline(...train(elsewhere, '--resume', from));
  assert.equal(status, 0, stderr);
  const [best] = readdirSync(modelsOf(elsewhere));
  assert.deepEqual(
    readFileSync(join(modelsOf(elsewhere), best as string, 'model.safetensors')),
    readFileSync(join(modelsOf(undisturbed), best as string, 'model.safetensors')),
  );
});

test('a training interrupted after the last batch of an epoch completes that epoch with its learning rate', async () => {
  const given = { init_features: 4, growth_rate: 2, bn_size: 1, block_config: '1,1', img_size: 32 };
  const options = {
    hyperparameters: readHyperparameters({ given: { ...given, batch_size: 40, num_epochs: 2, lr_schedule: 'cosine' } }),
    folders: { data },
    outputDir: join(folder, 'whole-epochs'),
  };
  await fit({ ...options, signal: AbortSignal.abort() });
  const { history } = await fit(options);
  assertClose(
    history.map((record) => record.learning_rate),
    [0.001, 0.0005],
    1e-12,
    'learning rates',
  );
});

test('a damaged checkpoint is refused by name', async () => {
  const broken = join(folder, 'broken');
  cpSync(join(modelsOf(undisturbed), 'checkpoint_4_60'), broken, { recursive: true });
  truncateSync(join(broken, 'model.safetensors'), 1000);
  const { status, stderr } = await scanline(...train(join(folder, 'fresh'), '--resume', broken));
  assert.equal(status, 1);
  assert.match(stderr, /broken\/model\.safetensors ends before its contents do/);
});
