// What a training can be asked for: best models by a metric, folds, a rehearsal, a time limit, sums of gradients, averages of weights.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { findArtifact } from '../../../training/engine/artifact';
import { type EpochRecord, listCheckpoints, type Progress } from '../../../training/engine/checkpoints/checkpoint';
import { readSafetensors } from '../../../training/engine/weights/safetensors';
import { metricLines, scanline, start, TINY } from '../command-line';
import { writeDataset } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const settings = [...TINY, '--batch_size=4', '--learning_rate=0.02', '--threads=1'];
const modelsOf = (out: string) => join(folder, out, 'densenet121', 'model');

before(() => writeDataset(data, { train: 12, valid: 5, test: 3 }));

async function train(out: string, ...more: string[]) {
  const ended = await scanline('train', '--data', data, '--out', join(folder, out), ...settings, ...more);
  assert.equal(ended.status, 0, ended.stderr);
  return ended;
}

const progressOf = (checkpoint: string): Progress =>
  JSON.parse(readFileSync(join(checkpoint, 'state.json'), 'utf8')).progress;

/** The epochs' metrics, from the newest checkpoint. */
const historyOf = (out: string): EpochRecord[] => progressOf(listCheckpoints(modelsOf(out))[0]?.path as string).history;

test('the best models by the monitored metric are kept, as many as asked, and predict takes the best of them', async () => {
  await train('top', '--num_epochs=6', '--monitor=valid_auc', '--save_top_k=3', '--early_stopping_rounds=0');
  const history = historyOf('top');
  const order = [...history].sort((a, b) => (b.valid_auc as number) - (a.valid_auc as number) || a.epoch - b.epoch);
  const expected = order.slice(0, 3).map(({ epoch }) => `best_model_${epoch}`);
  const kept = readdirSync(modelsOf('top')).filter((name) => name.startsWith('best_model_'));
  assert.deepEqual(kept.sort(), [...expected].sort());
  assert.equal(findArtifact(join(folder, 'top')), join(modelsOf('top'), expected[0] as string));
  assert.ok(existsSync(join(modelsOf('top'), expected[0] as string, 'saved_model')));
});

test('a metric that the task does not have is refused by name, with those that it has', async () => {
  const args = ['--out', join(folder, 'no-metric'), ...settings, '--monitor=valid_dice', '--num_epochs=1'];
  const { status, stderr } = await scanline('train', '--data', data, ...args);
  assert.equal(status, 1);
  assert.match(
    stderr,
    /monitor is valid_dice.*classification.*allowed with densenet121 is one of auto, valid_loss, valid_accuracy, valid_f1, valid_auc$/m,
  );
});

test('a loss that is for segmentation is refused', async () => {
  const args = ['--out', join(folder, 'no-loss'), ...settings, '--loss=dice'];
  const { status, stderr } = await scanline('train', '--data', data, ...args);
  assert.equal(status, 1);
  assert.match(stderr, /loss is dice, which compares regions/);
});

test('--fast-dev-run goes through all of a training, test and export too, and keeps nothing', async () => {
  const { stdout } = await train('rehearsal', '--fast-dev-run', '--num_epochs=50');
  const lines = metricLines(stdout);
  assert.equal(lines.filter(({ epoch }) => epoch !== undefined).length, 1);
  assert.ok(lines.some(({ test_loss }) => test_loss !== undefined));
  assert.match(stdout, /train: 4 images/);
  assert.match(stdout, /nothing was kept/);
  assert.equal(existsSync(join(folder, 'rehearsal')), false);
});

test('--overfit-batches trains and validates on the same few images, and learns them', async () => {
  const { stdout } = await train('heart', '--overfit-batches=1', '--num_epochs=25', '--early_stopping_rounds=0');
  assert.match(stdout, /the same 4 images/);
  const losses = metricLines(stdout).flatMap(({ train_loss = [] }) => train_loss);
  assert.ok((losses.at(-1) as number) < 0.35 * (losses[0] as number), `${losses}`);
});

test('--max-time ends in time with a best model, and the same command goes on from where it was', async () => {
  const began = Date.now();
  const long = ['--num_epochs=100000', '--early_stopping_rounds=0', '--num_to_keep=1'];
  const { stdout } = await train('hurry', ...long, '--max-time=2s');
  assert.ok(Date.now() - began < 60_000);
  assert.match(stdout, /time is up at epoch \d+/);
  assert.match(stdout, /best model: epoch \d+/);
  const again = await train('hurry', ...long, '--max-time=1s');
  assert.match(again.stdout, /resumed from .*checkpoint_/);
});

test('a plateau lowers the learning rate', async () => {
  const still = [
    '--overfit-batches=1',
    '--num_epochs=6',
    '--lr_schedule=plateau',
    '--lr_patience=1',
    '--lr_factor=0.5',
  ];
  await train('plateau', ...still, '--monitor=valid_accuracy', '--learning_rate=0.000001', '--early_stopping_rounds=0');
  const rates = historyOf('plateau').map(({ learning_rate }) => learning_rate);
  assert.deepEqual(rates, [1e-6, 1e-6, 1e-6, 5e-7, 5e-7, 2.5e-7]);
});

const EVERYTHING = [
  ...['--num_epochs=3', '--accumulate_grad_batches=4', '--ema_decay=0.9', '--gradient_clip_val=0.5', '--dropout=0.2'],
  ...['--lr_schedule=plateau', '--lr_patience=0', '--checkpoint_interval=1', '--save_top_k=2', '--optimizer=adamw'],
  ...['--weight_decay=0.01', '--num_to_keep=30', '--batch_size=2', '--early_stopping_rounds=0'],
];

test('killed between two batches of a sum, a training goes on to the very same weights, sums and averages', async () => {
  await train('undisturbed', ...EVERYTHING);
  const args = ['train', '--data', data, '--out', join(folder, 'killed'), ...settings, ...EVERYTHING];
  const { child, ended } = start('bin/scanline.js', args);
  while (!existsSync(join(modelsOf('killed'), 'checkpoint_1_6')) && child.exitCode === null) await wait(1);
  child.kill('SIGKILL');
  await ended;
  const { accumulated } = progressOf(join(modelsOf('killed'), 'checkpoint_1_6'));
  assert.deepEqual(accumulated, { batches: 2, images: 4 });

  // from the one in the middle of a sum, however far the killed training came
  await train('killed', ...EVERYTHING, '--resume', join(modelsOf('killed'), 'checkpoint_1_6'));
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const [resumed, expected] = ['killed', 'undisturbed'].map((out) =>
      readFileSync(join(modelsOf(out), 'checkpoint_4_36', file)),
    );
    assert.ok((resumed as Buffer).equals(expected as Buffer), `${file} differs`);
  }
  const [plateau, expected] = ['killed', 'undisturbed'].map(
    (out) => progressOf(join(modelsOf(out), 'checkpoint_4_36')).plateau,
  );
  assert.deepEqual(plateau, expected);
});

test('the best models have the averages of the weights, and what validation says is said of them', async () => {
  const best = findArtifact(join(folder, 'undisturbed'));
  const epoch = Number(best.split('_').at(-1));
  const saved = await readSafetensors(join(best, 'model.safetensors'));
  const checkpoint = join(modelsOf('undisturbed'), `checkpoint_${epoch + 1}_${12 * epoch}`);
  const state = await readSafetensors(join(checkpoint, 'optimizer.safetensors'));
  const raw = await readSafetensors(join(checkpoint, 'model.safetensors'));
  const name = 'class_layers.out.bias';
  assert.deepEqual(saved.get(name)?.data, state.get(`${name}/average`)?.data);
  assert.notDeepEqual(saved.get(name)?.data, raw.get(name)?.data);
  const { stdout } = await scanline('predict', '--model', best, '--data', join(data, 'valid'));
  const losses = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ path, probabilities }) => -Math.log(probabilities[path.split('/').at(-2)]));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const printed = historyOf('undisturbed')[epoch - 1]?.valid_loss as number;
  assert.ok(Math.abs(printed - mean) < 1e-5, `${printed} was validated, predictions give ${mean}`);
});

test('--fold all trains each fold and tells mean and deviation; each image is validated on once', async () => {
  const folds = ['--num_folds=3', '--fold=all', '--num_epochs=2'];
  const { stdout } = await train('folds', ...folds);
  assert.match(stdout, /the 10 images of the validation part are not used/);
  const { folds: best, metrics } = JSON.parse(readFileSync(join(folder, 'folds', 'cross_validation.json'), 'utf8'));
  assert.equal(best.length, 3);
  const losses = best.map(({ valid_loss }: EpochRecord) => valid_loss as number);
  const mean = losses.reduce((sum: number, loss: number) => sum + loss, 0) / 3;
  assert.ok(Math.abs(metrics.valid_loss.mean - mean) < 1e-12);
  assert.match(stdout, /cross-validation over 3 folds: valid_loss [\d.]+ ± [\d.]+/);
  assert.equal(stdout.match(/valid: 8 images \(across 4, along 4\)/g)?.length, 3);
  for (const fold of [0, 1, 2]) assert.ok(existsSync(join(folder, 'folds', `fold_${fold}`, 'densenet121', 'model')));
});

test('a fold that there is not, and all without folds, are refused', async () => {
  const none = (...more: string[]) =>
    scanline('train', '--data', data, '--out', join(folder, 'none'), ...settings, ...more);
  assert.match((await none('--num_folds=3', '--fold=3')).stderr, /a whole number from 0 to 2/);
  assert.match((await none('--fold=all')).stderr, /fold is all, but num_folds is 0/);
});
