// What a training ends with: the weights of its best model, which are read back only where they are not there already.
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { listCheckpoints } from '../../../training/engine/checkpoints/checkpoint';
import { type FitOptions, fit } from '../../../training/engine/fit';
import { Model, toStateDict, type Weights } from '../../../training/engine/model';
import { readSafetensors } from '../../../training/engine/weights/safetensors';
import { readHyperparameters } from '../../../training/settings';
import { CLASSES, writeDataset } from '../sample-images';
import { temporaryFolder } from '../temporary-folder';

const data = temporaryFolder();
const TINY = { init_features: 4, growth_rate: 2, bn_size: 1, block_config: '1,1', img_size: 32, in_channels: 1 };

before(async () => {
  await writeDataset(data, { train: 8, valid: 4 });
  // validated on labels that are all wrong, what learns gets worse: the best epoch is not the last of several
  const [across, along] = CLASSES.map((name) => join(data, 'valid', name)) as [string, string];
  renameSync(across, `${across}.aside`);
  renameSync(along, across);
  renameSync(`${across}.aside`, along);
});

/** Running statistics count the batches that they have seen, which a model in memory does not. */
const withoutCounters = (weights: Weights) =>
  new Map([...weights].filter(([name]) => !name.endsWith('num_batches_tracked')));

/** A training watched from within: how often weights were read back, and which ones it has at its end. */
async function watch(
  context: TestContext,
  settings: Readonly<Record<string, unknown>>,
  options: Partial<FitOptions> = {},
) {
  const load = context.mock.method(Model.prototype, 'load');
  let last: Weights | undefined;
  const { frozen } = Model.prototype;
  context.mock.method(Model.prototype, 'frozen', async function (this: Model) {
    last = toStateDict(this.network, await this.values(), 0);
    return frozen.call(this);
  });
  const { outputDir = temporaryFolder() } = options;
  const given = { ...TINY, batch_size: 4, learning_rate: 0.02, lr_schedule: 'constant', ...settings };
  const hyperparameters = readHyperparameters({ given });
  const { best, bestModel } = await fit({ hyperparameters, folders: { data }, outputDir, threads: 1, ...options });
  const newest = listCheckpoints(join(outputDir, 'densenet121', 'model'))[0]?.path as string;
  const [saved, trained] = await Promise.all(
    [bestModel as string, newest].map((folder) => readSafetensors(join(folder, 'model.safetensors'))),
  );
  return {
    epoch: best?.epoch,
    loads: load.mock.callCount(),
    last: withoutCounters(last as Weights),
    saved: withoutCounters(saved as Weights),
    trained: withoutCounters(trained as Weights),
  };
}

test('the weights of the last epoch are not read back where it is the best', async (context) => {
  const { epoch, loads, last, saved } = await watch(context, { num_epochs: 1 });
  assert.deepEqual({ epoch, loads }, { epoch: 1, loads: 0 });
  assert.deepEqual(last, saved);
});

test('the weights of an earlier epoch are, where that is the best', async (context) => {
  const { epoch, loads, last, saved, trained } = await watch(context, { num_epochs: 4 });
  assert.ok((epoch as number) < 4, `the best is epoch ${epoch}`);
  assert.equal(loads, 1);
  assert.deepEqual(last, saved);
  assert.notDeepEqual(last, trained);
});

test('averages of weights are, even where the last epoch is the best', async (context) => {
  const { epoch, loads, last, saved, trained } = await watch(context, { num_epochs: 1, ema_decay: 0.9 });
  assert.deepEqual({ epoch, loads }, { epoch: 1, loads: 1 });
  assert.deepEqual(last, saved);
  assert.notDeepEqual(last, trained);
});

test('the weights of the last whole epoch are, where time was up in the one after it', async (context) => {
  const outputDir = temporaryFolder();
  await watch(context, { num_epochs: 1 }, { outputDir });
  context.mock.restoreAll();
  const { epoch, last, saved, trained } = await watch(context, { num_epochs: 2 }, { outputDir, maxTime: 1e-6 });
  assert.equal(epoch, 1);
  assert.deepEqual(last, saved);
  assert.notDeepEqual(last, trained);
});
