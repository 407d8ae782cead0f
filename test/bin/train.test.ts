// scanline train as people use and misuse it: what is refused together, what Ctrl-C leaves, what a second run says.
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { listCheckpoints } from '../../training/engine/checkpoints/checkpoint-list';
import { tensorflowFolder } from '../../training/native/install';
import { scanline, start, TINY } from '../training/command-line';
import { writeDataset } from '../training/sample-images';
import { temporaryFolder } from '../training/temporary-folder';

const data = temporaryFolder();

before(() => writeDataset(data, { train: 6, valid: 2 }));

test('misspelt options and wrong values are refused together, with what was meant', async () => {
  const { status, stderr } = await scanline(
    ...['train', '--data', data, '--out', temporaryFolder()],
    ...['--lerning_rate', '0.1', '--batch_size', '0', '--no-such-option'],
  );
  assert.equal(status, 1);
  assert.match(stderr, /3 hyperparameters are wrong/);
  assert.match(stderr, /lerning_rate .*did you mean learning_rate\?/);
  assert.match(stderr, /no_such_option .* neither an option nor a hyperparameter/);
  assert.match(stderr, /batch_size is "0" .*a whole number from 1/);
});

test('a hyperparameter written with dashes is the one with underscores', async () => {
  const { stderr } = await scanline('train', '--data', data, '--out', temporaryFolder(), '--batch-size=0');
  assert.match(stderr, /batch_size is "0"/);
});

test('a word that belongs to no option is refused', async () => {
  for (const before of [[], ['--batch-size=1'], ['--batch-size', '1']]) {
    const { status, stderr } = await scanline('train', '--data', data, '--out', temporaryFolder(), ...before, 'images');
    assert.equal(status, 1);
    assert.match(stderr, /'images' belongs to no option/);
  }
});

test('a training that is refused leaves no logs behind, whatever it is refused for', async () => {
  const out = temporaryFolder();
  const none = join(out, 'nowhere.safetensors');
  for (const [wrong, told] of [
    ['--batch_size=0', /batch_size is "0"/],
    ['--loss=dice', /loss is dice, which compares regions/],
    ['--class_weights=1,2,3', /class_weights has 3 numbers/],
    [`--pretrained=${none}`, /there are no weights .*nowhere\.safetensors/],
    ['--use_wandb=true', /use_wandb is true, but there is no key/],
  ] as const) {
    const args = ['train', '--data', data, '--out', out, ...TINY, wrong];
    const { stderr } = await start('bin/scanline.js', args, { WANDB_API_KEY: '' }).ended;
    assert.match(stderr, told);
    assert.deepEqual(readdirSync(out), [], wrong);
  }
});

test('--help tells first what most trainings set', async () => {
  const { stdout } = await scanline('train', '--help');
  const places = ['--learning_rate', '--num_epochs', '--batch_size'].map((name) => stdout.indexOf(name));
  for (const place of places) assert.ok(place > 0 && place < stdout.indexOf('--init_features'), `${places}`);
});

test('a file where the results are to go is refused without a stack trace', async () => {
  const out = join(temporaryFolder(), 'file');
  writeFileSync(out, '');
  const { status, stderr } = await scanline('train', '--data', data, '--out', out, ...TINY);
  assert.equal(status, 1);
  assert.match(stderr, /file is no folder[\s\S]*Fix: give another folder/);
  assert.doesNotMatch(stderr, /\n {4}at /);
});

test('a binding to TensorFlow that is not built is told, with the command that builds it', async () => {
  const cache = temporaryFolder();
  const tensorflow = tensorflowFolder('cpu');
  mkdirSync(cache, { recursive: true });
  symlinkSync(tensorflow, join(cache, tensorflow.slice(tensorflow.lastIndexOf('/') + 1)));
  const args = ['train', '--data', data, '--out', temporaryFolder(), ...TINY];
  const { status, stderr } = await start('bin/scanline.js', args, {
    SCANLINE_CACHE: cache,
    SCANLINE_TENSORFLOW: 'cpu',
  }).ended;
  assert.equal(status, 1);
  assert.match(stderr, /binding to TensorFlow \(cpu\) is not built[\s\S]*npx scanline setup --tensorflow cpu/);
});

test('Ctrl-C leaves a checkpoint inside the epoch, from which the same command goes on', async () => {
  const out = temporaryFolder();
  const args = ['train', '--data', data, '--out', out, ...TINY, '--batch_size=1', '--num_epochs'];
  const { child, ended } = start('bin/scanline.js', [...args, '100000']);
  child.stdout?.on('data', (chunk) => /epoch=2;/.test(String(chunk)) && child.kill('SIGINT'));
  const { status, stdout, stderr } = await ended;
  assert.equal(status, 130);
  assert.match(stderr, /ending with a checkpoint/);
  assert.match(stdout, /interrupted: checkpoint written at epoch 3/);
  const newest = listCheckpoints(join(out, 'densenet121', 'model'))[0]?.path;
  const again = await scanline(...args, '3');
  assert.equal(again.status, 0, again.stderr);
  assert.ok(again.stdout.includes(`resumed from ${newest}: epoch 3`), again.stdout);
});

test('a training that has ended says so when it is started again', async () => {
  const args = ['train', '--data', data, '--out', temporaryFolder(), ...TINY, '--num_epochs=1'];
  await scanline(...args);
  const { status, stdout } = await scanline(...args);
  assert.equal(status, 0);
  assert.match(stdout, /this training has ended before, after 1 epoch:.* More num_epochs .*--resume none/);
});
