// Fine-tuning and converted weights: what is taken, left and refused, what stays frozen, and MONAI's own weights in and out.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import type { Weights } from '../../../../training/engine/model';
import { readSafetensors, writeSafetensors } from '../../../../training/engine/weights/safetensors';
import { unwrapped } from '../../../../training/engine/weights/transfer';
import { unet } from '../../../../training/models/unet';
import { packageRoot } from '../../../../training/native/cache';
import { scanline, TINY } from '../../command-line';
import { askOracle, withoutOracle } from '../../oracle';
import { stripes, writeDataset, writeGrey } from '../../sample-images';
import { temporaryFolder } from '../../temporary-folder';

const folder = temporaryFolder();
const data = join(folder, 'data');
const three = join(folder, 'three');
const first = join(folder, 'first');
const settings = [...TINY, '--batch_size=4', '--learning_rate=0.02', '--threads=1', '--num_epochs=1'];

const train = (out: string, from: string, ...more: string[]) =>
  scanline('train', '--data', from, '--out', join(folder, out), ...settings, ...more);

async function weightsOf(out: string) {
  const models = join(folder, out, 'densenet121', 'model');
  const best = readdirSync(models).find((name) => name.startsWith('best_model_')) as string;
  return readSafetensors(join(models, best, 'model.safetensors'));
}

const without = (weights: Weights, names: readonly string[]) =>
  new Map([...learned(weights)].filter(([name]) => !names.includes(name)));

/** What gradients move: all but the running statistics. */
const learned = (weights: Weights) => new Map([...weights].filter(([name]) => !/running_|num_batches/.test(name)));

function assertSame(actual: Weights, expected: Weights): void {
  assert.deepEqual([...actual.keys()].sort(), [...expected.keys()].sort());
  for (const [name, values] of expected) assert.deepEqual(actual.get(name), values, name);
}

/** The names of what a training has moved. */
const movedBetween = (before: Weights, after: Weights) =>
  [...learned(before).keys()]
    .filter((name) => JSON.stringify(before.get(name)) !== JSON.stringify(after.get(name)))
    .sort();

before(async () => {
  await writeDataset(data, { train: 6, valid: 3 });
  await writeDataset(three, { train: 6, valid: 3 });
  for (const [part, count] of [
    ['train', 6],
    ['valid', 3],
  ] as const) {
    for (let i = 0; i < count; i++)
      await writeGrey(join(three, part, 'zigzag', `${i}.png`), stripes('across', 500 + i + 50 * count), 32);
  }
  const { status, stderr } = await train('first', data);
  assert.equal(status, 0, stderr);
});

test('weights of another number of classes and channels begin a training; head and first layer begin anew, and it is said', async () => {
  const { status, stdout, stderr } = await train(
    'tuned',
    three,
    '--pretrained',
    first,
    '--in_channels=3',
    '--learning_rate=0',
  );
  assert.equal(status, 0, stderr);
  assert.match(stdout, /pretrained: \d+ tensors taken from/);
  assert.match(
    stdout,
    /pretrained: 3 begin anew: features\.conv0\.weight is \[4,1,7,7\], expected \[4,3,7,7\]; class_layers\.out\.weight/,
  );
  assert.doesNotMatch(stdout, /frozen as they were drawn/);
  const [old, tuned] = [await weightsOf('first'), await weightsOf('tuned')];
  const anew = ['features.conv0.weight', 'class_layers.out.bias', 'class_layers.out.weight'];
  assertSame(without(tuned, anew), without(old, anew));
  const features = old.get('class_layers.out.weight')?.shape[1];
  assert.deepEqual(
    anew.map((name) => tuned.get(name)?.shape),
    [[4, 3, 7, 7], [3], [3, features]],
  );
  // the bias of the head begins at 0
  for (const name of anew.filter((each) => each.endsWith('weight')))
    assert.ok(
      tuned.get(name)?.data.every((value) => value !== 0),
      `${name} is not drawn`,
    );
});

test('averages of weights begin with those that are pretrained', async () => {
  const { status, stderr } = await train(
    'averaged',
    data,
    '--pretrained',
    first,
    '--learning_rate=0',
    '--ema_decay=0.9',
  );
  assert.equal(status, 0, stderr);
  assertSame(learned(await weightsOf('averaged')), learned(await weightsOf('first')));
});

test('weights that differ beyond head and first layer are refused by name', async () => {
  const { status, stderr } = await train('wrong', data, '--pretrained', first, '--growth_rate=3');
  assert.equal(status, 1);
  assert.match(stderr, /does not fit the network beyond its head and first layer: features\.denseblock1\.denselayer1/);
  const missing = await train('missing', data, '--pretrained', join(folder, 'nowhere.safetensors'));
  assert.match(missing.stderr, /there are no weights .*nowhere\.safetensors/);
});

test('frozen weights stay, all others move', async () => {
  const frozen = ['--freeze=features.conv0,denselayer1\\.layers\\.conv\\d'];
  const { status, stdout, stderr } = await train('frozen', data, '--pretrained', first, ...frozen);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /5 of \d+ tensors frozen/);
  const [old, tuned] = [await weightsOf('first'), await weightsOf('frozen')];
  const others = [...learned(old).keys()].filter((name) => !/^features\.conv0|denselayer1\.layers\.conv\d/.test(name));
  assert.deepEqual(movedBetween(old, tuned), others.sort());
});

test('a first layer that begins anew and is frozen all the same is told', async () => {
  const { stdout } = await train('untaught', three, '--pretrained', first, '--in_channels=3', '--freeze=features');
  assert.match(stdout, /warning: frozen as they were drawn, for they begin anew: features\.conv0\.weight; leave them/);
});

test('backbone_lr_factor 0 leaves everything but the head where it was', async () => {
  await train('slow', data, '--pretrained', first, '--backbone_lr_factor=0');
  const [old, tuned] = [await weightsOf('first'), await weightsOf('slow')];
  assert.deepEqual(movedBetween(old, tuned), ['class_layers.out.bias', 'class_layers.out.weight']);
});

test('a pattern that finds nothing, and one that freezes everything, are refused', async () => {
  assert.match(
    (await train('a', data, '--freeze=featurs')).stderr,
    /no parameter is called featurs\.\n.*features\.conv0/,
  );
  // a plain name is a whole one: it does not find features.conv0
  assert.match((await train('c', data, '--freeze=features.conv')).stderr, /no parameter is called features\.conv\./);
  assert.match((await train('b', data, '--freeze=.*')).stderr, /leaves nothing to learn/);
});

const MONAI = `
import json, sys, torch
from monai.networks.nets import DenseNet
network = DenseNet(spatial_dims=2, in_channels=1, out_channels=2, init_features=4, growth_rate=2, bn_size=1, block_config=(1, 1))
`;

test('MONAI`s checkpoint becomes a model by the Python helper and `weights convert`, and predicts what MONAI does', {
  skip: withoutOracle,
}, async () => {
  const checkpoint = join(folder, 'monai.pth');
  const image = join(data, 'valid', 'along', '0.png');
  const program = `${MONAI}
import numpy
from PIL import Image
torch.manual_seed(3)
network = DenseNet(spatial_dims=2, in_channels=1, out_channels=2, init_features=4, growth_rate=2, bn_size=1, block_config=(1, 1))
torch.save({"epoch": 3, "state_dict": {"module." + k: v for k, v in network.state_dict().items()}, "optimizer": {"lr": 0.1}}, sys.argv[1])
network.eval()
pixels = torch.tensor(numpy.array(Image.open(sys.argv[2])), dtype=torch.float32)
pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
with torch.no_grad():
    print(json.dumps(torch.softmax(network(pixels[None, None]), 1)[0].tolist()))`;
  const expected = askOracle<number[]>(program, checkpoint, image);

  const refused = await scanline('weights', 'convert', checkpoint, join(folder, 'refused'), '--like', first);
  assert.match(refused.stderr, /only Python can read.\n.*weights_to_safetensors\.py/);

  const weights = join(folder, 'monai.safetensors');
  const helper = spawnSync(
    join(packageRoot, '.oracle', 'bin', 'python'),
    [join(packageRoot, 'training', 'weights_to_safetensors.py'), checkpoint, weights],
    { encoding: 'utf8' },
  );
  assert.equal(helper.status, 0, helper.stderr);
  const to = join(folder, 'from-monai');
  const network = ['--classes=across,along', '--in_channels=1', ...TINY];
  const converted = await scanline('weights', 'convert', weights, to, ...network);
  assert.equal(converted.status, 0, converted.stderr);
  assert.ok(existsSync(join(to, 'saved_model', 'saved_model.pb')));
  const { stdout } = await scanline('predict', '--model', to, '--data', image);
  const { probabilities } = JSON.parse(stdout);
  assert.ok(Math.abs(probabilities.across - (expected[0] as number)) < 1e-5, `${stdout}, MONAI's ${expected}`);
});

test('a model becomes a state dict that MONAI`s network takes whole', { skip: withoutOracle }, async () => {
  const path = join(folder, 'out.safetensors');
  const { status, stderr } = await scanline('weights', 'convert', first, path);
  assert.equal(status, 0, stderr);
  const load = `${MONAI}
from safetensors.torch import load_file
print(json.dumps(str(network.load_state_dict(load_file(sys.argv[1]), strict=True))))`;
  assert.equal(askOracle(load, path), '<All keys matched successfully>');
});

test('the helper refuses a file that would run code when it is loaded', { skip: withoutOracle }, () => {
  const path = join(folder, 'evil.pt');
  askOracle(
    `
import pickle, sys, os, json
class Evil:
    def __reduce__(self):
        return (os.system, ("touch " + sys.argv[1] + ".ran",))
import torch
torch.save({"state_dict": Evil()}, sys.argv[1])
print(json.dumps(1))`,
    path,
  );
  const { status, stderr } = spawnSync(
    join(packageRoot, '.oracle', 'bin', 'python'),
    [join(packageRoot, 'training', 'weights_to_safetensors.py'), path, `${path}.safetensors`],
    { encoding: 'utf8' },
  );
  assert.equal(status, 1);
  assert.match(stderr, /holds more than tensors, and loading it could run code/);
  assert.equal(existsSync(`${path}.ran`), false);
});

test('weights of a wrapped network are taken without the wrapper`s prefix, those of no use are named', async () => {
  const wrapped = new Map([...(await weightsOf('first'))].map(([name, value]) => [`module.${name}`, value]));
  wrapped.set('module.aux.weight', { shape: [1], data: Float32Array.of(1) });
  const path = join(folder, 'wrapped.safetensors');
  await writeSafetensors(path, wrapped);
  const { status, stdout, stderr } = await train('unwrapped', data, '--pretrained', path, '--learning_rate=0');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /pretrained: 1 were left: aux\.weight/);
  assertSame(learned(await weightsOf('unwrapped')), learned(await weightsOf('first')));
});

test('what a module of Lightning holds beside a UNet is left; `model.` is the UNet`s own, and stays', () => {
  const network = unet({ inChannels: 1, classes: 2, channels: [4, 6], strides: [2] });
  const own = new Map(
    network.parameters.map(({ name, shape }) => [name, { shape: [...shape], data: new Float32Array() }]),
  );
  const held = [...own].map(([name, value]) => [`_model.${name}`, value] as const);
  const beside = { shape: [1], data: Float32Array.of(1) };
  assert.deepEqual(unwrapped(new Map([...held, ['loss.weight', beside]]), network), own);
  assert.deepEqual(unwrapped(new Map([...own, ['aux.weight', beside]]), network).size, own.size + 1);
});
