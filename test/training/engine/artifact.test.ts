// What a training leaves behind: predictions from it here, and by TensorFlow in Python from the SavedModel, are the same.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { findArtifact } from '../../../training/engine/artifact';
import type { Prediction } from '../../../training/engine/prediction/predict';
import { assertClose } from '../assert-close';
import { scanline, TINY } from '../command-line';
import { askOracle, withoutOracle } from '../oracle';
import { CLASSES, writeDataset } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const VIT = ['--model=vit', '--img_size=32', '--patch_size=8,16', '--hidden_size=12', '--mlp_dim=20', '--num_layers=2'];
const NETWORKS: Record<string, readonly string[]> = {
  densenet121: [...TINY, '--act=elu', '--normalize=zscore'],
  vit: [...VIT, '--num_heads=3', '--qkv_bias=true', '--post_activation=none', '--dropout=0.2'],
};
/** What `scanline predict` printed, by network. */
const printed: Record<string, Prediction[]> = {};

const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Prediction);

before(async () => {
  await writeDataset(data, { train: 8, valid: 4, test: 3 });
  for (const [name, settings] of Object.entries(NETWORKS)) {
    const common = [
      '--data',
      data,
      '--out',
      join(folder, name),
      '--learning_rate=0.01',
      '--batch_size=4',
      '--num_epochs=2',
    ];
    const trained = await scanline('train', ...common, ...settings);
    assert.equal(trained.status, 0, trained.stderr);
    const predicted = await scanline('predict', '--model', join(folder, name), '--data', join(data, 'test'));
    assert.equal(predicted.status, 0, predicted.stderr);
    printed[name] = linesOf(predicted.stdout);
  }
});

/** The images that Python is asked about. */
const asked = (name: string) => (printed[name] as Prediction[]).slice(0, 5);

const PYTHON = `
import json, sys
import tensorflow as tf
answers = {}
for name, (folder, paths) in json.loads(sys.argv[1]).items():
    model = tf.saved_model.load(folder).signatures["serving_default"]
    images = tf.cast(tf.stack([tf.io.decode_png(tf.io.read_file(path), channels=1) for path in paths]), tf.float32)
    answers[name] = {text: model(images=images[:n])["probabilities"].numpy().tolist() for text, n in (("one", 1), ("five", 5))}
print(json.dumps(answers))`;

type Answers = Record<string, { one: number[][]; five: number[][] }>;
let answers: Answers | undefined;

/** TensorFlow in Python takes seconds to load: it is asked about all networks at once. */
function pythonAnswers(): Answers {
  const question = (name: string) => [
    join(findArtifact(join(folder, name)), 'saved_model'),
    asked(name).map(({ path }) => path),
  ];
  const questions = Object.fromEntries(Object.keys(NETWORKS).map((name) => [name, question(name)]));
  answers ??= askOracle<Answers>(PYTHON, JSON.stringify(questions));
  return answers;
}

for (const name of Object.keys(NETWORKS)) {
  test(`predict prints one line for each image, in the order of their paths (${name})`, () => {
    const paths = CLASSES.flatMap((kind) => [0, 1, 2].map((i) => join(data, 'test', kind, `${i}.png`)));
    assert.deepEqual(
      printed[name]?.map(({ path }) => path),
      paths,
    );
    for (const { label, probabilities } of printed[name] as Prediction[]) {
      assert.deepEqual(Object.keys(probabilities), CLASSES);
      assertClose(
        [Object.values(probabilities).reduce((sum, p) => sum + p, 0)],
        [1],
        1e-12,
        'sum of the probabilities',
      );
      const likeliest = CLASSES.reduce((a, b) => ((probabilities[b] as number) > (probabilities[a] as number) ? b : a));
      assert.equal(label, likeliest);
    }
  });

  test(`TensorFlow in Python gives the same probabilities, for one image and for five (${name})`, {
    skip: withoutOracle,
  }, () => {
    const expected = asked(name).map(({ probabilities }) => CLASSES.map((kind) => probabilities[kind] as number));
    const { one, five } = pythonAnswers()[name] as { one: number[][]; five: number[][] };
    assertClose(one.flat(), expected[0] as number[], 1e-5, 'probabilities of one');
    assertClose(five.flat(), expected.flat(), 1e-5, 'probabilities of five');
  });

  test(`config.json and the weights alone rebuild the network (${name})`, async () => {
    const moved = join(folder, `moved-${name}`);
    mkdirSync(moved);
    for (const file of ['config.json', 'model.safetensors'])
      copyFileSync(join(findArtifact(join(folder, name)), file), join(moved, file));
    const { stdout } = await scanline('predict', '--model', moved, '--data', join(data, 'test'));
    assert.deepEqual(linesOf(stdout), printed[name]);
  });
}

test('an image alone is predicted as among others', async () => {
  const { path, probabilities, label } = (printed.densenet121 as Prediction[])[4] as Prediction;
  const [alone, ...more] = linesOf(
    (await scanline('predict', '--model', join(folder, 'densenet121'), '--data', path)).stdout,
  );
  assert.deepEqual(more, []);
  assert.equal(alone?.label, label);
  assertClose(Object.values(alone?.probabilities ?? {}), Object.values(probabilities), 1e-6, 'probabilities');
});

test('predict leaves bad files out where asked, tells their number, and writes predictions.jsonl', async () => {
  const mixed = join(folder, 'mixed');
  await writeDataset(mixed, { images: 1 });
  writeFileSync(join(mixed, 'images', 'bad.png'), 'not an image');
  const args = ['predict', '--model', join(folder, 'densenet121'), '--data', mixed];
  const failed = await scanline(...args);
  assert.equal(failed.status, 1);
  assert.match(failed.stderr, /bad\.png cannot be read as an image/);
  const { status, stdout, stderr } = await scanline(
    ...args,
    '--on-bad-file=skip',
    '--out',
    join(folder, 'predictions'),
  );
  assert.equal(status, 0, stderr);
  assert.equal(linesOf(stdout).length, 2);
  assert.match(stderr, /left out: .*bad\.png cannot be read.*\n1 files/);
  assert.equal(readFileSync(join(folder, 'predictions', 'predictions.jsonl'), 'utf8'), stdout);
});

test('a folder without a model is refused', async () => {
  const { status, stderr } = await scanline('predict', '--model', data, '--data', data);
  assert.equal(status, 1);
  assert.match(stderr, /holds no trained model/);
});

test('of several best models the newest is taken', () => {
  const runs = temporaryFolder();
  for (const [i, name] of ['best_model_9', 'best_model_10', 'best_model_2'].entries()) {
    const place = join(runs, 'densenet121', 'model', name);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'config.json'), '{}');
    utimesSync(join(place, 'config.json'), 1000 + i, 1000 + i);
  }
  // what a killed training left half written is none
  mkdirSync(join(runs, 'densenet121', 'model', 'best_model_3.partial'));
  writeFileSync(join(runs, 'densenet121', 'model', 'best_model_3.partial', 'config.json'), '{}');
  assert.equal(findArtifact(runs), join(runs, 'densenet121', 'model', 'best_model_2'));
  assert.equal(findArtifact(join(runs, 'densenet121')), join(runs, 'densenet121', 'model', 'best_model_2'));
});
