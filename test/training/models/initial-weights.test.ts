// Initial weights against MONAI's, parameter by parameter: the same mean, deviation and bounds as far as samples can tell.
// The fixture is what test/oracle/training/torch_fixtures.py writes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { Model } from '../../../training/engine/model';
import { densenet } from '../../../training/models/densenet';
import { type Network, type ParameterSpec, parameterCount } from '../../../training/models/network';
import { resnet } from '../../../training/models/resnet';
import { segresnet } from '../../../training/models/segresnet';
import { swinUNETR } from '../../../training/models/swin-unetr';
import { unet } from '../../../training/models/unet';
import { vit } from '../../../training/models/vit';
import { convStemViT } from '../../../training/models/vit-conv';
import { readFixture } from '../fixture';

/** Over the values of three networks. */
type Statistics = [mean: number, deviation: number, min: number, max: number];

const { networks: expected } = readFixture<{ networks: Record<string, Record<string, Statistics>> }>(
  'initial_weights.json',
);

const networks: Record<string, () => Network> = {
  densenet121: () => densenet({ inChannels: 1, classes: 2 }),
  vit: () => vit({ inChannels: 1, classes: 2, imageSize: [128, 128], layers: 2, qkvBias: true }),
  resnet18: () => resnet({ inChannels: 1, classes: 2 }),
  vit_conv: () => convStemViT({ inChannels: 3, classes: 4, imageSize: [32, 32], layers: 1 }),
  segresnet: () =>
    segresnet({ inChannels: 1, classes: 2, blocksDown: [1, 1], blocksUp: [1], upsampleMode: 'pixelshuffle' }),
  segresnet_deconv: () =>
    segresnet({ inChannels: 1, classes: 2, blocksDown: [1, 1], blocksUp: [1], upsampleMode: 'deconv' }),
  unet: () =>
    unet({
      ...{ inChannels: 1, classes: 2, channels: [8, 16], strides: [2], residualUnits: 2 },
      norm: { name: 'group', groups: 2 },
    }),
  swinunetr: () => swinUNETR({ spatialDims: 2, inChannels: 1, classes: 2, featureSize: 12, depths: [1, 1, 1, 1] }),
};

function statisticsOf(values: readonly Float32Array[]): Statistics {
  let [count, sum, squares, min, max] = [0, 0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const part of values) {
    count += part.length;
    for (const value of part) {
      sum += value;
      squares += value * value;
      min = Math.min(min, value);
      max = Math.max(max, value);
    }
  }
  const mean = sum / count;
  return [mean, Math.sqrt(Math.max(0, squares / count - mean * mean)), min, max];
}

/** Standard errors that a statistic may be off by: with two thousand comparisons, 5 is exceeded by chance once in a thousand runs. */
const ERRORS = 5;

/** What is wrong with a parameter's values, given MONAI's. */
function differences(spec: ParameterSpec, [mean, deviation, min, max]: Statistics, monai: Statistics): string[] {
  if (monai[1] === 0) return deviation === 0 && mean === monai[0] ? [] : [`is ${mean}, MONAI's is ${monai[0]}`];
  const count = 3 * spec.shape.reduce((product, length) => product * length, 1);
  const found: string[] = [];
  // both are samples: each has its own error
  const meanError = deviation * Math.sqrt(2 / count);
  const spread = Math.min(1, ERRORS / Math.sqrt(count));
  if (Math.abs(mean - monai[0]) > ERRORS * meanError) found.push(`mean ${mean}, MONAI's ${monai[0]}`);
  if (Math.abs(deviation / monai[1] - 1) > spread) found.push(`deviation ${deviation}, MONAI's ${monai[1]}`);
  // of many uniform values the extremes are at the bounds; those of normal ones are far out
  const uniform = monai[3] < 2 * monai[1];
  if (count > 1000 && uniform) {
    if (Math.abs(max / monai[3] - 1) > 0.03 || Math.abs(min / monai[2] - 1) > 0.03)
      found.push(`from ${min} to ${max}, MONAI's from ${monai[2]} to ${monai[3]}`);
  } else if (count > 1000 && max < 2.5 * deviation) found.push(`reaches only ${max}, MONAI's is normal`);
  return found;
}

for (const [name, build] of Object.entries(networks)) {
  test(`${name} begins with weights distributed as MONAI's, parameter by parameter`, async () => {
    const network = build();
    const runtime = new CompiledRuntime({});
    const model = new Model(network, runtime);
    const drawn: Float32Array[][] = [];
    for (const seed of [1, 2, 3]) {
      await model.initialise(seed);
      drawn.push(await model.values());
    }
    runtime.dispose();
    const trained = [...network.parameters.entries()].filter(([, { role }]) => role !== 'buffer');
    assert.deepEqual(trained.map(([, spec]) => spec.name).sort(), Object.keys(expected[name] ?? {}).sort());
    const wrong = trained.flatMap(([index, spec]) => {
      const ours = statisticsOf(drawn.map((values) => values[index] as Float32Array));
      const found = differences(spec, ours, expected[name]?.[spec.name] as Statistics);
      return found.map((difference) => `${spec.name}: ${difference}`);
    });
    assert.deepEqual(wrong, []);
  });
}

test('the same seed draws the same weights, another seed others, and no two parameters the same', async () => {
  const runtime = new CompiledRuntime({});
  const model = new Model(densenet({ inChannels: 1, classes: 2, blockConfig: [2, 2] }), runtime);
  const draw = async (seed: number) => {
    await model.initialise(seed);
    return (await model.values()).map((values) => values.slice(0, 8).join());
  };
  const [first, again, other] = [await draw(1), await draw(1), await draw(2)];
  runtime.dispose();
  assert.deepEqual(first, again);
  const random = first.filter((values) => new Set(values.split(',')).size > 1);
  assert.equal(new Set(random).size, random.length);
  assert.ok(random.every((values) => !other.includes(values)));
});

test("the ViT's count follows its options as MONAI's does", () => {
  const count = (options: object) =>
    parameterCount(vit({ inChannels: 1, classes: 2, imageSize: [128, 128], ...options }));
  const plain = count({});
  assert.equal(count({ qkvBias: true }) - plain, 12 * 3 * 768);
  assert.equal(count({ postActivation: 'none' }), plain);
  assert.equal(count({ inChannels: 3 }) - plain, 2 * 16 * 16 * 768);
  assert.equal(count({ imageSize: [256, 128] }) - plain, 64 * 768);
});
