// A segmenter from the first crop to masks: trained, resumed, validated, exported, evaluated and asked through the command line.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import sharp from 'sharp';
import { randomSource } from '../../../training/data/random';
import { readNifti } from '../../../training/data/volumes/nifti';
import type { Affine } from '../../../training/data/volumes/volume';
import { findArtifact, type Score, type SegmenterConfig } from '../../../training/engine/artifact';
import { type EpochRecord, listCheckpoints, type Progress } from '../../../training/engine/checkpoints/checkpoint';
import { openForInference } from '../../../training/engine/prediction/predict';
import { assertClose } from '../assert-close';
import { type Ended, metricLines, scanline, start } from '../command-line';
import { askOracle, withoutOracle } from '../oracle';
import { ball, writeSubject, writeVolumes } from '../sample-volumes';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const WINDOW = [12, 8, 8] as const;
/** A network of a few hundred weights, and all that draws random numbers. */
const settings = [
  ...['--model=segresnet', '--init_filters=4', '--num_groups=2', '--blocks_down=1,1', '--blocks_up=1'],
  ...[`--roi_size=${WINDOW}`, '--spacing=1,1,1', '--learning_rate=0.02', '--num_epochs=8', '--val_interval=4'],
  ...['--affine_prob=0.3', '--noise_prob=0.3', '--gamma_prob=0.3', '--early_stopping_rounds=0', '--threads=1'],
];
const trained = join(folder, 'trained');
const modelsOf = (out: string) => join(out, 'segresnet', 'model');
const train = (out: string, ...more: string[]) => ['train', '--data', data, '--out', out, ...settings, ...more];
let run: Ended;

const progressOf = (checkpoint: string): Progress =>
  JSON.parse(readFileSync(join(checkpoint, 'state.json'), 'utf8')).progress;

/** The history without what is measured by the clock. */
function courseOf(out: string): Omit<EpochRecord, 'images_per_second'>[] {
  const { history } = progressOf(listCheckpoints(modelsOf(out))[0]?.path as string);
  return history.map(({ images_per_second: _, ...record }) => record);
}

before(async () => {
  await writeVolumes(data, { train: 6, valid: 2, test: 2 });
  run = await scanline(...train(trained, '--checkpoint_interval=4'));
  assert.equal(run.status, 0, run.stderr);
});

test('two crops make a batch, unless it is said otherwise', () => {
  assert.match(run.stdout, /train: 6 subjects \(image\)\nvalid: 2 subjects \(image\)\ntest: 2 subjects/);
  // 8 epochs of 6 crops
  assert.ok(existsSync(join(modelsOf(trained), 'checkpoint_9_24')), `${readdirSync(modelsOf(trained))}`);
});

test('the network learns the ball: mean Dice of volumes that it has not seen', () => {
  const test_ = metricLines(run.stdout).find(({ test_dice }) => test_dice !== undefined);
  assert.ok((test_?.test_dice as number) > 0.8, run.stdout);
  assert.ok((test_?.test_hausdorff95 as number) < 3, run.stdout);
});

test('the model with the highest validation Dice is the best', () => {
  const validated = courseOf(trained).filter(({ valid_dice }) => valid_dice !== undefined);
  assert.deepEqual(
    validated.map(({ epoch }) => epoch),
    [4, 8],
  );
  const highest = validated.reduce((a, b) => ((b.valid_dice as number) > (a.valid_dice as number) ? b : a));
  const score = JSON.parse(readFileSync(join(findArtifact(trained), 'score.json'), 'utf8')) as Score;
  assert.deepEqual(score, { epoch: highest.epoch, monitor: 'valid_dice', mode: 'max', score: highest.valid_dice });
});

test('config.json has the windows, the modalities, the classes, and what stands for them in label volumes', () => {
  const config = JSON.parse(readFileSync(join(findArtifact(trained), 'config.json'), 'utf8')) as SegmenterConfig;
  const { format, window, modalities, classes, labels } = config;
  assert.deepEqual(
    [format, window, modalities],
    ['scanline-segmenter', { shape: [...WINDOW], channels: 1 }, ['image']],
  );
  assert.deepEqual([classes.length, labels], [2, [0, 1]]);
});

test('--no-compile trains to the same losses and Dice', async () => {
  const out = join(folder, 'eager');
  const { status, stderr } = await scanline(...train(out, '--no-compile', '--num_epochs=8'));
  assert.equal(status, 0, stderr);
  const [eager, compiled] = [courseOf(out), courseOf(trained)];
  for (const [i, { train_loss, valid_dice = 0 }] of eager.entries()) {
    const expected = compiled[i] as EpochRecord;
    assert.ok(Math.abs(train_loss / expected.train_loss - 1) < 1e-4, `${i + 1}: ${train_loss}, ${expected.train_loss}`);
    assert.ok(Math.abs(valid_dice - (expected.valid_dice ?? 0)) < 0.01, `epoch ${i + 1}: ${valid_dice}`);
  }
});

test('killed in the middle of an epoch, it goes on to the very same weights, optimizer state and history', async () => {
  const out = join(folder, 'killed');
  const interval = '--checkpoint_interval=4';
  const { child, ended } = start('bin/scanline.js', train(out, interval));
  while (!existsSync(join(modelsOf(out), 'checkpoint_2_4')) && child.exitCode === null) await wait(1);
  child.kill('SIGKILL');
  assert.equal((await ended).signal, 'SIGKILL');
  const from = join(modelsOf(out), 'checkpoint_2_4');
  assert.equal(progressOf(from).batch, 1);
  const { status, stderr } = await scanline(...train(out, interval, '--resume', from));
  assert.equal(status, 0, stderr);
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const [resumed, expected] = [out, trained].map((place) =>
      readFileSync(join(modelsOf(place), 'checkpoint_9_24', file)),
    );
    assert.ok((resumed as Buffer).equals(expected as Buffer), `${file} differs`);
  }
  assert.deepEqual(courseOf(out), courseOf(trained));
});

/** Turned by 20 degrees, seen from left to right and from front to back, and slices 1.5 mm apart. */
const TURNED: Affine = (() => {
  const [cos, sin] = [Math.cos(0.35), Math.sin(0.35)];
  return [-cos, sin, 0, 30, -sin, -cos, 0, 12, 0, 0, 1.5, -40, 0, 0, 0, 1].map(Math.fround);
})();

interface Predicted {
  readonly path: string;
  readonly mask: string;
  readonly volumes: Readonly<Record<string, number>>;
}

test('predict writes a mask on the grid of the file, turned and anisotropic as it is, and tells the millilitres', async () => {
  const shape = [18, 14, 10] as const;
  const subject = join(folder, 'turned', 'patient');
  await writeSubject(subject, 77, { shape, affine: TURNED });
  const out = join(folder, 'masks');
  const args = ['predict', '--model', trained, '--data', join(folder, 'turned'), '--out', out];
  const { status, stdout, stderr } = await scanline(...args);
  assert.equal(status, 0, stderr);
  const [told, ...more] = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Predicted);
  assert.deepEqual(more, []);
  assert.equal(told?.mask, join(out, 'patient', 'pred.nii.gz'));
  const mask = await readNifti(told?.mask as string);
  assert.deepEqual(mask.shape, shape);
  assertClose(mask.affine, TURNED, 1e-5, 'affine');
  const { label } = ball(77, shape);
  const both = label.filter((value, n) => value === 1 && mask.data[n] === 1).length;
  const predicted = mask.data.filter((value) => value === 1).length;
  const dice = (2 * both) / (predicted + label.filter((value) => value === 1).length);
  assert.ok(dice > 0.8, `Dice ${dice}`);
  assertClose(Object.values(told?.volumes ?? {}), [(predicted * 1.5) / 1000], 1e-6, 'millilitres');
  assert.match(stderr, /open \S+report\.html to look through the volumes/);
  assert.match(readFileSync(join(out, 'report.html'), 'utf8'), /<button data-script="1\.js">patient</);
});

test('nibabel finds the mask where the image is', { skip: withoutOracle }, () => {
  const read = `
import json, sys, nibabel, numpy
image, mask = (nibabel.load(path) for path in sys.argv[1:])
print(json.dumps({"shape": image.shape == mask.shape, "affine": bool(numpy.allclose(image.affine, mask.affine, atol=1e-5)),
  "qform": bool(numpy.allclose(mask.get_qform(), mask.affine, atol=1e-4)), "values": numpy.unique(mask.dataobj).tolist()}))`;
  const paths = [join(folder, 'turned', 'patient', 'img.nii.gz'), join(folder, 'masks', 'patient', 'pred.nii.gz')];
  assert.deepEqual(askOracle(read, ...paths), { shape: true, affine: true, qform: true, values: [0, 1] });
});

test('evaluate reports the Dice that the training found on the same volumes', async () => {
  const args = ['--model', trained, '--data', join(data, 'test'), '--output', join(folder, 'evaluation')];
  const { status, stdout, stderr } = await start('containers/byoc/entrypoints/evaluate.js', args).ended;
  assert.equal(status, 0, stderr);
  const report = JSON.parse(readFileSync(join(folder, 'evaluation', 'evaluation.json'), 'utf8'));
  const found = metricLines(run.stdout).find(({ test_dice }) => test_dice !== undefined);
  const { dice, iou, hausdorff95 } = report.segmentation_metrics;
  const values = [dice.value, iou.value, hausdorff95.value];
  assertClose(values, [found?.test_dice, found?.test_iou, found?.test_hausdorff95] as number[], 1e-4, 'metrics');
  assert.equal(report.volumes, 2);
  assert.deepEqual(Object.keys(report.classes).length, 2);
  assert.match(stdout, new RegExp(`dice=${dice.value};`));
  const pictures = join(folder, 'evaluation', 'pictures');
  assert.deepEqual(readdirSync(pictures), ['subject_009.png', 'subject_010.png']);
  // image, labels and prediction below each other, in three planes
  const { width = 0, height = 0 } = await sharp(join(pictures, 'subject_009.png')).metadata();
  assert.ok(width > 900 && height > 900, `${width} x ${height}`);
});

test('Python TensorFlow reads the SavedModel and gives the same logits', { skip: withoutOracle }, async () => {
  const random = randomSource(3);
  const voxels = WINDOW.reduce((product, length) => product * length, 1);
  const windows = Float32Array.from({ length: 2 * voxels }, () => random() * 4 - 2);
  const model = await openForInference(trained);
  const ours = await model.inference.run(windows, 2);
  model.close();
  const ask = `
import json, sys, numpy
import tensorflow as tf
model = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
windows = numpy.array(json.loads(sys.argv[2]), numpy.float32).reshape(json.loads(sys.argv[3]))
print(json.dumps({name: values.numpy().ravel().tolist() for name, values in model(images=windows).items()}))`;
  const shape = JSON.stringify([2, ...WINDOW, 1]);
  const saved = join(findArtifact(trained), 'saved_model');
  const theirs = askOracle<Record<string, number[]>>(ask, saved, JSON.stringify([...windows]), shape);
  assertClose(theirs.logits as number[], ours, 1e-4, 'logits');
  const pairs = theirs.probabilities as number[];
  assertClose([pairs[0] as number], [1 - (pairs[1] as number)], 1e-6, 'probabilities of a voxel');
});

test('TensorBoard gets a picture of the first crops of each epoch, side by side', { skip: withoutOracle }, () => {
  const read = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={"images": 0}).Reload()
print(json.dumps([[e.step, e.width, e.height] for e in events.Images("train/batch")]))`;
  const steps = Array.from({ length: 8 }, (_, epoch) => [epoch * 3 + 1, 2 * WINDOW[1], WINDOW[0]]);
  assert.deepEqual(askOracle(read, join(trained, 'segresnet', 'logs', 'tensorboard')), steps);
});

test('each fold validates on other subjects', async () => {
  const out = join(folder, 'folds');
  const { status, stdout, stderr } = await scanline(...train(out, '--num_folds=2', '--fold=all', '--num_epochs=1'));
  assert.equal(status, 0, stderr);
  assert.equal(stdout.match(/train: 4 subjects \(image\)\nvalid: 4 subjects/g)?.length, 2, stdout);
  assert.match(stdout, /fold 0 of 2[\s\S]*fold 1 of 2/);
  assert.match(stdout, /valid_dice/);
});

test('--fast-dev-run goes through all of it, export and test too, and keeps nothing', async () => {
  const out = join(folder, 'rehearsal');
  const { status, stdout, stderr } = await scanline(...train(out, '--fast-dev-run', '--num_epochs=50'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /train: 2 subjects \(image\)\nvalid: 1 subjects \(image\)\ntest: 1 subjects/);
  assert.ok(
    metricLines(stdout).some(({ test_dice }) => test_dice !== undefined),
    stdout,
  );
  assert.match(stdout, /nothing was kept/);
  assert.equal(existsSync(out), false);
});

test('--overfit-batches trains and validates on the same few subjects, without changing them', async () => {
  const out = join(folder, 'heart');
  const { status, stdout, stderr } = await scanline(...train(out, '--overfit-batches=1', '--num_epochs=12'));
  assert.equal(status, 0, stderr);
  assert.match(stdout, /the same 2 subjects, without augmentation/);
  assert.match(stdout, /train: 2 subjects \(image\)\nvalid: 2 subjects/);
  const losses = metricLines(stdout).flatMap(({ train_loss = [] }) => train_loss);
  assert.ok((losses.at(-1) as number) < 0.6 * (losses[0] as number), `${losses}`);
});

test('deep supervision teaches heads, resumes with them, and leaves a model that has none', async () => {
  const levels = ['--blocks_down=1,1,1', '--blocks_up=1,1', '--roi_size=12,8,8', '--gradient_checkpointing=true'];
  const deep = [...levels, '--deep_supervision=true', '--deep_supr_num=1', '--ema_decay=0.5'];
  const [whole, parts] = [join(folder, 'deep'), join(folder, 'deep-in-parts')];
  for (const [out, epochs] of [
    [whole, 2],
    [parts, 1],
    [parts, 2],
  ] as const) {
    const { status, stderr } = await scanline(...train(out, ...deep, `--num_epochs=${epochs}`, '--val_interval=1'));
    assert.equal(status, 0, stderr);
  }
  const namesIn = (path: string) => [
    ...new Set(
      readFileSync(path)
        .toString('latin1')
        .match(/deep_supervision_heads[\w.]+/g),
    ),
  ];
  const [expected, resumed] = [whole, parts].map((out) =>
    readFileSync(join(listCheckpoints(modelsOf(out))[0]?.path as string, 'model.safetensors')),
  );
  assert.ok((resumed as Buffer).equals(expected as Buffer), 'resumed, it is another network');
  const checkpoint = join(listCheckpoints(modelsOf(whole))[0]?.path as string, 'model.safetensors');
  assert.deepEqual(namesIn(checkpoint).sort(), ['deep_supervision_heads.0.bias', 'deep_supervision_heads.0.weight']);
  assert.deepEqual(namesIn(join(findArtifact(whole), 'model.safetensors')), []);
  const { status, stderr } = await scanline('predict', '--model', whole, '--data', join(data, 'test'), '--out', whole);
  assert.equal(status, 0, stderr);
});

test('class_weights balanced, and weights that are not one for each class, are refused with the classes', async () => {
  for (const [weights, message] of [
    ['balanced', /class_weights is balanced, which is for images/],
    ['1,2,3', /class_weights has 3 numbers; there are 2 classes: /],
  ] as const) {
    const { status, stderr } = await scanline(...train(join(folder, 'weights'), `--class_weights=${weights}`));
    assert.equal(status, 1);
    assert.match(stderr, message);
  }
});

test('voxels that nobody has labelled are no class, and count in no loss and no score', async () => {
  const still = ['--learning_rate=0', '--num_epochs=1', '--loss=cross_entropy', '--ignore_index=255'];
  const course: Record<string, number>[] = [];
  for (const [name, counts] of [
    ['lower', (share: number) => share < 0.5],
    ['upper', (share: number) => share >= 0.5],
    ['all', () => true],
  ] as const) {
    const from = join(folder, `unsure-${name}`);
    for (const [subject, number] of Object.entries({ 'train/a': 1, 'train/b': 2, 'valid/c': 3 })) {
      const label = ball(number).label.map((value, n, { length }) => (counts(n / length) ? value : 255));
      await writeSubject(join(from, subject), number, { label });
    }
    const out = join(folder, `ignoring-${name}`);
    const { status, stdout, stderr } = await scanline(...train(out, ...still, '--data', from));
    assert.equal(status, 0, stderr);
    const config = JSON.parse(readFileSync(join(findArtifact(out), 'config.json'), 'utf8')) as SegmenterConfig;
    assert.deepEqual([config.labels, config.ignored], [[0, 1], 255]);
    course.push(metricLines(stdout).find(({ valid_loss }) => valid_loss !== undefined) ?? {});
    const evaluation = ['--model', out, '--data', join(from, 'valid'), '--output', join(folder, `found-${name}`)];
    assert.equal((await start('containers/byoc/entrypoints/evaluate.js', evaluation).ended).status, 0);
  }
  const [lower, upper, all] = course.map(({ valid_loss }) => valid_loss as number) as [number, number, number];
  // the same first weights, and halves of the same size
  assertClose([(lower + upper) / 2], [all], 1e-5, 'loss of all voxels');
  assert.ok(Math.abs(lower - upper) > 1e-3, `${lower} and ${upper}`);
});

test('a monitor that is not measured, and other channels than the subjects have, are refused before the first step', async () => {
  for (const [option, message] of [
    ['--monitor=valid_accuracy', /monitor is valid_accuracy, which segmentation does not measure/],
    ['--in_channels=3', /in_channels is 3; the subjects have 1 channels: image/],
  ] as const) {
    const { status, stdout, stderr } = await scanline(...train(join(folder, 'refused'), option));
    assert.equal(status, 1);
    assert.match(stderr, message);
    assert.doesNotMatch(stdout, /step 1/);
  }
});
