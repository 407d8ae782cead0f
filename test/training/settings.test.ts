// Where hyperparameters come from, which source wins, and what is said of wrong ones.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { UserError } from '../../training/errors';
import type { Hyperparameters } from '../../training/hyperparameters';
import { readHyperparameters, type Sources } from '../../training/settings';
import { temporaryFolder } from './temporary-folder';

const folder = temporaryFolder();

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const yaml = (text: string) => readHyperparameters({ config: written('config.yaml', text) });

/** What is said of wrong hyperparameters. */
function complaint(sources: Sources): string {
  try {
    readHyperparameters(sources);
  } catch (error) {
    assert.ok(error instanceof UserError, String(error));
    return error.message;
  }
  assert.fail('nothing was refused');
}

test('without any source the defaults hold', () => {
  const values = readHyperparameters({});
  const expected: Partial<Hyperparameters> = {
    ...{ learning_rate: 0.001, batch_size: 32, num_epochs: 3, val_interval: 1, early_stopping_rounds: 10 },
    ...{ model_name: 'densenet121', optimizer: 'adam', img_size: [224], qkv_bias: false, class_weights: 'none' },
  };
  for (const [name, value] of Object.entries(expected)) {
    assert.deepEqual(values[name as keyof Hyperparameters], value, name);
  }
});

test('a metric that trainings of the network do not have is not monitored', () => {
  const told = complaint({ given: { monitor: 'valid_dice', batch_size: 0 } });
  assert.match(told, /2 hyperparameters are wrong/);
  assert.match(
    told,
    /monitor is valid_dice, which classification does not measure; allowed with densenet121 is one of auto, valid_loss/,
  );
  assert.match(
    complaint({ given: { model_name: 'unet', monitor: 'valid_auc' } }),
    /one of auto, valid_loss, valid_dice, valid_iou$/m,
  );
  assert.doesNotMatch(complaint({ given: { model_name: 'none', monitor: 'valid_dice' } }), /monitor/);
  assert.equal(readHyperparameters({ given: { model_name: 'unet', monitor: 'valid_iou' } }).monitor, 'valid_iou');
});

test('YAML may nest names in their sections, dot them, or give them alone', () => {
  const values = yaml('data:\n  batch_size: 8\n  img_size: [64, 48]\ntraining.optimizer: sgd\nnum-epochs: 7\n');
  const { batch_size, img_size, optimizer, num_epochs } = values;
  assert.deepEqual(
    { batch_size, img_size, optimizer, num_epochs },
    {
      ...{ batch_size: 8, img_size: [64, 48], optimizer: 'sgd', num_epochs: 7 },
    },
  );
});

test('the command line wins over SM_HP_*, that over hyperparameters.json, that over YAML', () => {
  const { seed, num_epochs, batch_size, num_workers } = readHyperparameters({
    config: written('weak.yaml', 'data:\n  num_workers: 1\n  batch_size: 1\ntraining:\n  num_epochs: 1\n  seed: 1\n'),
    hyperparametersFile: written('hyperparameters.json', '{"batch_size": "2", "num_epochs": "2", "seed": "2"}'),
    environment: { SM_HP_NUM_EPOCHS: '3', SM_HP_SEED: '3', PATH: '/bin' },
    given: { seed: '4' },
  });
  assert.deepEqual(
    { num_workers, batch_size, num_epochs, seed },
    { num_workers: 1, batch_size: 2, num_epochs: 3, seed: 4 },
  );
});

test('values that the SageMaker SDK encoded as JSON are taken apart', () => {
  const { model_name, img_size, learning_rate, qkv_bias } = readHyperparameters({
    hyperparametersFile: written(
      'encoded.json',
      JSON.stringify({ model_name: '"vit"', img_size: '[64, 32]', learning_rate: '"1e-4"', qkv_bias: 'true' }),
    ),
  });
  assert.deepEqual(
    { model_name, img_size, learning_rate, qkv_bias },
    {
      ...{ model_name: 'vit', img_size: [64, 32], learning_rate: 1e-4, qkv_bias: true },
    },
  );
});

test("SageMaker's own hyperparameters are left alone", () => {
  const environment = { SM_HP_SAGEMAKER_PROGRAM: 'train.py', SM_HP__TUNING_OBJECTIVE_METRIC: 'valid_loss' };
  assert.equal(readHyperparameters({ environment }).batch_size, 32);
});

test('all that is wrong is told at once, with where it came from and what is allowed', () => {
  const message = complaint({
    config: written('wrong.yaml', 'batch_size: 0\n'),
    environment: { SM_HP_LEARNING_RATE: 'fast' },
    given: { optimizer: 'adagrad', num_epochs: '2.5' },
  });
  assert.match(message, /^4 hyperparameters are wrong:/);
  assert.match(message, /batch_size is 0 \(.*wrong\.yaml\); allowed is a whole number from 1 to 4096/);
  assert.match(message, /learning_rate is "fast" \(SM_HP_\*\); allowed is a number from 0 to 10/);
  assert.match(message, /optimizer is "adagrad" \(command line\); allowed is one of adam, adamw, sgd/);
  assert.match(message, /num_epochs is "2\.5" \(command line\); allowed is a whole number/);
});

const refused: Record<string, [given: Record<string, unknown>, message: RegExp]> = {
  'an empty number': [{ seed: '' }, /seed is ""/],
  'a number that is none': [{ learning_rate: 'NaN' }, /learning_rate is "NaN"/],
  infinity: [{ learning_rate: 'Infinity' }, /learning_rate is "Infinity"/],
  'a boolean that is neither true nor false': [{ model_name: 'vit', qkv_bias: 'yes' }, /allowed is true or false/],
  'too many numbers': [{ img_size: '1,2,3' }, /img_size is "1,2,3".*1 to 2 whole numbers from 8 to 4096/],
  'class weights that are not positive': [{ class_weights: '1,0' }, /none, balanced, or one positive number/],
  'a hyperparameter of another network': [
    { model_name: 'vit', growth_rate: 8 },
    /growth_rate \(command line\) is not a hyperparameter of vit, but of densenet/,
  ],
};

for (const [what, [given, message]] of Object.entries(refused)) {
  test(`${what} is refused`, () => {
    assert.match(complaint({ given }), message);
  });
}

test('an unknown name is refused with what may be meant', () => {
  assert.match(complaint({ given: { learning_rat: 1 } }), /learning_rat .* did you mean learning_rate\?/);
  assert.match(complaint({ given: { lr: 1 } }), /lr .* did you mean learning_rate\?/);
  assert.doesNotMatch(complaint({ given: { colour_of_the_sky: 1 } }), /did you mean/);
});

test('a name in the wrong section is refused with the right one', () => {
  const message = complaint({ config: written('section.yaml', 'training:\n  batch_size: 8\n') });
  assert.match(message, /training\.batch_size .* stands in the wrong section; it is data\.batch_size/);
});

test('lists may be written as 64,48 and 64x48', () => {
  assert.deepEqual(readHyperparameters({ given: { img_size: '64,48' } }).img_size, [64, 48]);
  assert.deepEqual(readHyperparameters({ given: { img_size: '64x48' } }).img_size, [64, 48]);
});

test('a configuration that is missing, not YAML, or no mapping is refused by path', () => {
  assert.match(complaint({ config: join(folder, 'nowhere.yaml') }), /nowhere\.yaml cannot be read/);
  assert.match(complaint({ config: written('bad.yaml', 'data: [1, 2') }), /bad\.yaml is not YAML/);
  assert.match(complaint({ config: written('list.yaml', '- 1\n- 2\n') }), /list\.yaml is not a mapping/);
});

test('a hyperparameters.json that is not JSON is refused by path', () => {
  assert.match(complaint({ hyperparametersFile: written('broken.json', '{') }), /broken\.json is not JSON/);
});

test('a network has defaults of its own, which what is given wins over', () => {
  const read = (given: Record<string, unknown>) => readHyperparameters({ given });
  const [flat, deep] = [read({ model_name: 'resnet18' }), read({ model_name: 'segresnet' })];
  assert.deepEqual([flat.spatial_dims, deep.spatial_dims], [2, 3]);
  assert.deepEqual([deep.norm, deep.act], ['group', 'relu']);
  const unet = read({ model_name: 'unet' });
  assert.deepEqual([unet.norm, unet.act], ['instance', 'prelu']);
  assert.deepEqual([read({ model_name: 'vit' }).hidden_size, read({ model_name: 'vit_conv' }).hidden_size], [768, 256]);
  assert.deepEqual(read({ model_name: 'swinunetr' }).patch_size, [2]);
  assert.equal(read({ model_name: 'unet', act: 'relu', spatial_dims: '2' }).act, 'relu');
});

test("a hyperparameter of another network is refused, MONAI's other names are understood", () => {
  const message = complaint({ given: { model_name: 'segresnet', feature_size: 48, dropout_prob: 0.1 } });
  assert.match(message, /feature_size .* is not a hyperparameter of segresnet, but of swinunetr/);
  assert.match(message, /dropout_prob .* did you mean dropout\?/);
});

test('patch_size is the size of the crops for SegResNet and UNet, and the side of a token for the transformers', () => {
  const read = (given: Record<string, unknown>) => readHyperparameters({ given });
  for (const model_name of ['segresnet', 'unet'])
    assert.deepEqual(read({ model_name, patch_size: '48,48,32' }).roi_size, [48, 48, 32]);
  const swin = read({ model_name: 'swinunetr', patch_size: 2, roi_size: 64 });
  assert.deepEqual([swin.patch_size, swin.roi_size], [[2], [64]]);
});

test('a patch_size of which it is not clear what it means is refused', () => {
  const both = complaint({ given: { model_name: 'unet', patch_size: 64, roi_size: 96 } });
  assert.match(both, /patch_size \(command line\) and roi_size \(command line\) mean the same for unet; give one/);
  for (const patch_size of [96, '96,96,96']) {
    const crop = complaint({ given: { model_name: 'swinunetr', patch_size } });
    assert.match(crop, /patch_size is .*; allowed is 1 to 2 whole numbers from 1 to 4, .*; did you mean roi_size\?/);
  }
  const wrong = complaint({ given: { model_name: 'segresnet', patch_size: 'large' } });
  assert.match(wrong, /roi_size is "large" \(command line, as patch_size\)/);
});
