// A whole training through the command line: what it prints, validates, stops at and leaves behind.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { EpochRecord } from '../../../training/engine/checkpoints/checkpoint';
import { METRICS, metricRegex } from '../../../training/hyperparameters';
import { type Ended, metricLines, scanline, TINY } from '../command-line';
import { askOracle, withoutOracle } from '../oracle';
import { CLASSES, writeDataset } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const settings = [...TINY, '--batch_size=8', '--num_epochs=5', '--val_interval=2', '--learning_rate=0.02'];
const output = join(folder, 'out', 'densenet121');
const models = join(output, 'model');
let run: Ended;

/** All epochs, from the newest checkpoint. */
function historyOf(out: string): EpochRecord[] {
  const newest = readdirSync(join(out, 'densenet121', 'model'))
    .filter((name) => name.startsWith('checkpoint_'))
    .sort((a, b) => Number(a.split('_')[2]) - Number(b.split('_')[2]))
    .at(-1) as string;
  return JSON.parse(readFileSync(join(out, 'densenet121', 'model', newest, 'state.json'), 'utf8')).progress.history;
}

before(async () => {
  await writeDataset(data, { train: 13, valid: 6, test: 4 });
  // validated on labels that are all wrong, what learns gets worse: the best model is not the last
  const [across, along] = CLASSES.map((name) => join(data, 'valid', name)) as [string, string];
  renameSync(across, `${across}.aside`);
  renameSync(along, across);
  renameSync(`${across}.aside`, along);
  const places = ['--data', data, '--out', join(folder, 'out'), '--model_dir', join(folder, 'model_dir')];
  run = await scanline('train', ...places, ...settings);
  assert.equal(run.status, 0, run.stderr);
});

test('a training leaves its best model, as many checkpoints as num_to_keep, and logs below {out}/{model_name}', () => {
  const best = readdirSync(models).filter((name) => name.startsWith('best_model_'));
  assert.equal(best.length, 1);
  assert.deepEqual(readdirSync(models).sort(), [...best, 'checkpoint_5_16', 'checkpoint_6_20']);
  assert.deepEqual(readdirSync(join(models, best[0] as string)).sort(), [
    'config.json',
    'history.json',
    'label_dict.json',
    'model.safetensors',
    'saved_model',
    'score.json',
  ]);
  const logs = readdirSync(join(output, 'logs')).sort();
  assert.deepEqual(
    logs.map((name) => name.replace(/^log_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d$/, 'log_{timestamp}')),
    ['log_{timestamp}', 'tensorboard'],
  );
});

test('model_dir gets a copy of the best model, byte by byte', () => {
  const [best] = readdirSync(models).filter((name) => name.startsWith('best_model_'));
  const copy = join(folder, 'model_dir', 'densenet121');
  assert.deepEqual(readdirSync(copy), [best]);
  for (const file of ['config.json', 'label_dict.json', 'model.safetensors', join('saved_model', 'saved_model.pb')]) {
    assert.ok(
      readFileSync(join(copy, best as string, file)).equals(readFileSync(join(models, best as string, file))),
      file,
    );
  }
});

test('the best model is that of the epoch with the lowest validation loss, which is not the last', () => {
  const validated = metricLines(run.stdout).filter(({ valid_loss }) => valid_loss !== undefined);
  const lowest = validated.reduce((a, b) => ((b.valid_loss as number) < (a.valid_loss as number) ? b : a));
  assert.ok((lowest.epoch as number) < 5);
  assert.ok(readdirSync(models).includes(`best_model_${lowest.epoch}`), `the lowest is that of epoch ${lowest.epoch}`);
});

test('every val_interval epochs are validated, and the last', () => {
  const epochs = metricLines(run.stdout).filter(({ epoch }) => epoch !== undefined);
  assert.deepEqual(
    epochs.map(({ epoch }) => epoch),
    [1, 2, 3, 4, 5],
  );
  const validated = epochs.filter(({ valid_loss }) => valid_loss !== undefined).map(({ epoch }) => epoch);
  assert.deepEqual(validated, [2, 4, 5]);
});

test('every metric that the trainer promises is found in its log by the pattern for SageMaker', () => {
  const promised = METRICS.filter((metric) => !('task' in metric) || metric.task === 'classification');
  const missing = promised
    .map(({ name }) => name)
    .filter((name) => !new RegExp(metricRegex(name), 'm').test(run.stdout));
  assert.deepEqual(missing, []);
});

test('it learns: the tiny network tells stripes apart', () => {
  const losses = metricLines(run.stdout).flatMap(({ train_loss = [] }) => train_loss);
  assert.ok((losses.at(-1) as number) < 0.8 * (losses[0] as number), `losses of the epochs: ${losses}`);
});

test('the test metrics are those of the best model, as predict finds them', async () => {
  const { stdout } = await scanline('predict', '--model', join(folder, 'out'), '--data', join(data, 'test'));
  const predictions = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const losses = predictions.map(({ path, probabilities }) => -Math.log(probabilities[path.split('/').at(-2)]));
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const { test_loss: printed } = metricLines(run.stdout).find(({ test_loss }) => test_loss !== undefined) ?? {};
  assert.ok(Math.abs((printed as number) - mean) < 1e-5, `${printed} was printed, predictions give ${mean}`);
});

test('app.log holds every line of the console', () => {
  const [name] = readdirSync(join(output, 'logs')).filter((entry) => entry.startsWith('log_'));
  const lines = readFileSync(join(output, 'logs', name as string, 'app.log'), 'utf8')
    .trim()
    .split('\n');
  assert.deepEqual(
    lines.map((line) => line.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /, '')),
    run.stdout.trim().split('\n'),
  );
});

test('TensorBoard reads the same losses from the event file', { skip: withoutOracle }, () => {
  const read = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}))`;
  const scalars = askOracle<Record<string, [number, number][]>>(read, join(output, 'logs', 'tensorboard'));
  const history = historyOf(join(folder, 'out'));
  assert.deepEqual(
    scalars['loss/train'],
    history.map(({ train_loss }, i) => [(i + 1) * 4, Math.fround(train_loss)]),
  );
  assert.deepEqual(
    scalars['loss/valid'],
    history.flatMap(({ epoch, valid_loss }) =>
      valid_loss === undefined ? [] : [[epoch * 4, Math.fround(valid_loss)]],
    ),
  );
});

test('--no-compile trains to the same losses', async () => {
  const out = join(folder, 'eager');
  const { stdout } = await scanline('train', '--data', data, '--out', out, ...settings, '--no-compile');
  assert.match(stdout, /, eager, /);
  const compiled = historyOf(join(folder, 'out'));
  for (const [i, { train_loss }] of historyOf(out).entries()) {
    const expected = (compiled[i] as EpochRecord).train_loss;
    assert.ok(Math.abs(train_loss / expected - 1) < 1e-5, `epoch ${i + 1}: ${train_loss}, compiled ${expected}`);
  }
});

const STANDSTILL = [
  '--model=vit',
  '--patch_size=16',
  '--hidden_size=8',
  '--mlp_dim=8',
  '--num_layers=1',
  '--num_heads=1',
];
const still = () => ['--data', data, ...STANDSTILL, '--img_size=32', '--learning_rate=0', '--val_interval=2'];

test('training stops after early_stopping_rounds validations, not epochs, without a lower loss', async () => {
  const rest = ['--out', join(folder, 'stopped'), '--early_stopping_rounds=2', '--num_epochs=20'];
  const { stdout } = await scanline('train', ...still(), ...rest);
  const epochs = metricLines(stdout).filter(({ epoch }) => epoch !== undefined);
  assert.equal(epochs.length, 6, stdout);
});

test('early_stopping_rounds 0 never stops', async () => {
  const rest = ['--out', join(folder, 'unstopped'), '--early_stopping_rounds=0', '--num_epochs=6'];
  const { stdout } = await scanline('train', ...still(), ...rest);
  assert.equal(metricLines(stdout).filter(({ epoch }) => epoch !== undefined).length, 6, stdout);
});

test('a file that cannot be read ends the training by name, or is left out, named and counted', async () => {
  const spoiled = join(folder, 'spoiled');
  await writeDataset(spoiled, { train: 6, valid: 3 });
  writeFileSync(join(spoiled, 'train', 'along', 'bad.png'), 'not an image');
  const args = ['train', '--data', spoiled, ...TINY, '--batch_size=4', '--num_epochs=2'];
  const failed = await scanline(...args, '--out', join(folder, 'failed'));
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /along\/bad\.png cannot be read as an image/);
  const skipped = await scanline(...args, '--out', join(folder, 'skipped'), '--on-bad-file=skip');
  assert.equal(skipped.status, 0, skipped.stderr);
  assert.equal(skipped.stdout.match(/left out: .*along\/bad\.png cannot be read/g)?.length, 1);
  assert.match(skipped.stdout, /\n1 images that cannot be read were left out\n/);
});

test('a training of whose images none can be read is refused: there is no model to be had', async () => {
  const unreadable = join(folder, 'unreadable');
  await writeDataset(unreadable, { train: 3, valid: 3 });
  for (const name of ['along', 'across']) {
    for (const file of readdirSync(join(unreadable, 'train', name)))
      writeFileSync(join(unreadable, 'train', name, file), 'not an image');
  }
  const out = join(folder, 'nothing');
  const args = ['--data', unreadable, '--out', out, ...TINY, '--in_channels=1', '--on-bad-file=skip'];
  const { status, stderr } = await scanline('train', ...args);
  assert.equal(status, 1);
  assert.match(stderr, /none of the training images could be read/);
});

test('class weights of another number than the classes are refused', async () => {
  const args = ['--data', data, '--out', join(folder, 'weights'), ...TINY, '--class_weights=1,2,3'];
  const { status, stderr } = await scanline('train', ...args);
  assert.equal(status, 1);
  assert.match(stderr, /class_weights has 3 numbers; there are 2 classes: across, along/);
});
