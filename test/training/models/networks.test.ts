// One grid for all networks: shapes, normalisations, ways to upsample; eager equals compiled; saved and loaded; exported; wrong options refused.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { EagerRuntime } from '../../../training/compiler/eager';
import type { Runtime, Values } from '../../../training/compiler/runtime';
import { writeSavedModel } from '../../../training/compiler/saved-model';
import { Model, toStateDict } from '../../../training/engine/model';
import { readSafetensors, writeSafetensors } from '../../../training/engine/weights/safetensors';
import { UserError } from '../../../training/errors';
import { buildNetwork } from '../../../training/models';
import { NORMS, type SpatialDims, UPSAMPLE_MODES } from '../../../training/models/layers';
import type { Network } from '../../../training/models/network';
import { resnet } from '../../../training/models/resnet';
import { segresnet } from '../../../training/models/segresnet';
import { swinUNETR } from '../../../training/models/swin-unetr';
import { unet } from '../../../training/models/unet';
import { convStemViT } from '../../../training/models/vit-conv';
import { readHyperparameters } from '../../../training/settings';
import { assertClose } from '../assert-close';
import { askOracle, withoutOracle } from '../oracle';
import { temporaryFolder } from '../temporary-folder';
import { sample } from './formula-weights';

const CLASSES = 4;
const CHANNELS = 2;
const base = { inChannels: CHANNELS, classes: CLASSES };

interface Case {
  readonly build: () => Network;
  /** Sides of the images. */
  readonly sides: readonly number[];
  /** Sides of the logits; none of a classifier's. */
  readonly out: readonly number[];
}

const SIDES: Readonly<Record<SpatialDims, readonly number[]>> = { 2: [12, 8], 3: [4, 8, 12] };

const cases: Record<string, Case> = {};

for (const spatialDims of [2, 3] as const) {
  const sides = SIDES[spatialDims];
  for (const name of NORMS) {
    const norm = { name, groups: 2 };
    for (const upsampleMode of UPSAMPLE_MODES) {
      const levels = { initFilters: 4, blocksDown: [1, 2, 1], blocksUp: [1, 1] };
      cases[`segresnet ${spatialDims}D, ${name} norm, ${upsampleMode}`] = {
        build: () => segresnet({ ...base, ...levels, spatialDims, norm, upsampleMode }),
        ...{ sides, out: sides },
      };
    }
    for (const residualUnits of [0, 2]) {
      const levels = { channels: [4, 6, 8], strides: [2, 2] };
      cases[`unet ${spatialDims}D, ${name} norm, ${residualUnits} residual units`] = {
        build: () => unet({ ...base, ...levels, spatialDims, norm, residualUnits }),
        ...{ sides, out: sides },
      };
    }
  }
}

for (const block of ['basic', 'bottleneck'] as const) {
  for (const spatialDims of [2, 3] as const) {
    const planes = [2, 4, 6, 8];
    cases[`resnet ${spatialDims}D, ${block} blocks`] = {
      build: () => resnet({ ...base, spatialDims, block, layers: [1, 1, 2, 1], planes }),
      ...{ sides: [17, 12, 20].slice(0, spatialDims), out: [] },
    };
  }
}
cases['vit with a convolutional stem'] = {
  build: () => convStemViT({ ...base, imageSize: [12, 8], hiddenSize: 16, layers: 2, heads: 4, mlpDim: 24 }),
  ...{ sides: [12, 8], out: [] },
};
for (const [spatialDims, name] of [
  [2, 'group'],
  [2, 'batch'],
  [3, 'batch'],
] as const) {
  const sides = [32, 32, 32].slice(0, spatialDims);
  const norm = { name, groups: 4 };
  cases[`swinunetr ${spatialDims}D, ${name} norm`] = {
    build: () => swinUNETR({ ...base, spatialDims, featureSize: 12, depths: [2, 1, 1, 1], windowSize: 3, norm }),
    ...{ sides, out: sides },
  };
}

function imagesOf(sides: readonly number[], count: number): Values {
  const shape = [count, ...sides, CHANNELS];
  const size = shape.reduce((product, length) => product * length, 1);
  return { shape, data: Float32Array.from({ length: size }, (_, index) => Math.sin(index * index)) };
}

async function infer(runtime: Runtime, model: Model, images: Values): Promise<Values> {
  const input = { dtype: 'float32', shape: [-1, ...images.shape.slice(1)] } as const;
  const program = runtime.program({ images: input }, ({ images }) => ({ logits: model.infer(images) }));
  return (await program.run({ images })).logits;
}

/** A model whose weights are drawn, in a runtime of its own. */
async function drawn(network: Network): Promise<{ runtime: Runtime; model: Model }> {
  const runtime = new CompiledRuntime({});
  const model = new Model(network, runtime);
  await model.initialise(1);
  return { runtime, model };
}

for (const [name, { build, sides, out }] of Object.entries(cases)) {
  test(`${name}: logits of the right shape, the same compiled, op by op, and after saving and loading`, async () => {
    const network = build();
    const { runtime, model } = await drawn(network);
    const images = imagesOf(sides, 3);
    const compiled = await infer(runtime, model, images);
    assert.deepEqual(compiled.shape, [3, ...out, CLASSES]);

    const file = join(temporaryFolder(), 'weights.safetensors');
    await writeSafetensors(file, toStateDict(network, await model.values(), 1));
    runtime.dispose();
    const eagerRuntime = new EagerRuntime();
    const eager = new Model(build(), eagerRuntime);
    await eager.load(await readSafetensors(file));
    assertClose((await infer(eagerRuntime, eager, images)).data, compiled.data, 1e-5, 'logits');
    eagerRuntime.dispose();
  });
}

const RUN = `
import json, sys, numpy, tensorflow
answers = []
for folder in sys.argv[1:]:
    function = tensorflow.saved_model.load(folder).signatures["serving_default"]
    shape = function.structured_input_signature[1]["images"].shape[1:].as_list()
    for count in (1, 3):
        index = numpy.arange(count * numpy.prod(shape), dtype=numpy.float64)
        images = numpy.sin(index * index).astype(numpy.float32).reshape([count, *shape])
        logits = function(images=tensorflow.constant(images))["logits"].numpy().flatten()
        answers.append(logits[:: -(-logits.size // 1000)].tolist())
print(json.dumps(answers))
`;

/** One of each network, as volumes where it takes them. */
const exported = [
  'segresnet 3D, group norm, deconv',
  'segresnet 3D, batch norm, pixelshuffle',
  'unet 3D, instance norm, 2 residual units',
  'resnet 3D, basic blocks',
  'vit with a convolutional stem',
  'swinunetr 3D, batch norm',
];

/** Writes a network's SavedModel; logits of one and of three images by the network itself. */
async function exportNetwork({ build, sides }: Case): Promise<{ folder: string; expected: Float32Array[] }> {
  const { runtime, model } = await drawn(build());
  const folder = temporaryFolder();
  const frozen = await model.frozen();
  const input = { dtype: 'float32', shape: [-1, ...sides, CHANNELS] } as const;
  const body = ({ images }: Record<string, Tensor>) => ({ logits: frozen(images as Tensor) });
  await writeSavedModel(folder, { images: input }, body, '2.21.0');
  const expected: Float32Array[] = [];
  for (const count of [1, 3]) {
    expected.push((await infer(runtime, model, imagesOf(sides, count))).data as Float32Array);
  }
  runtime.dispose();
  return { folder, expected };
}

/** For each of the exported networks what it says itself, and what Python TensorFlow does: one process for all, for it takes long to start. */
let answers: Promise<{ expected: Float32Array[]; actual: number[][] }[]> | undefined;

async function askForAll() {
  const written: Awaited<ReturnType<typeof exportNetwork>>[] = [];
  for (const name of exported) written.push(await exportNetwork(cases[name] as Case));
  const actual = askOracle<number[][]>(RUN, ...written.map(({ folder }) => folder));
  return written.map(({ expected }, index) => ({ expected, actual: actual.slice(2 * index, 2 * index + 2) }));
}

for (const [index, name] of exported.entries()) {
  test(`${name}: Python TensorFlow gives the SavedModel's logits for any batch`, { skip: withoutOracle }, async () => {
    answers ??= askForAll();
    const { expected, actual } = (await answers)[index] as Awaited<typeof answers>[number];
    for (const [i, logits] of expected.entries()) {
      assertClose(actual[i] as number[], sample(logits, 1000), 1e-4, `logits of ${i === 0 ? 1 : 3}`);
    }
  });
}

/** What hyperparameters build, for volumes unless they say otherwise. */
function built(given: Record<string, unknown>, imageSize: readonly number[] = [32, 32, 32]): Network {
  return buildNetwork(readHyperparameters({ given }), { ...base, imageSize });
}

test('hyperparameters choose the network and its options', () => {
  const names = (network: Network) => network.parameters.map(({ name }) => name);
  const plain = built({ model_name: 'segresnet' });
  assert.ok(!names(plain).some((name) => name.includes('deconv')));
  assert.ok(
    names(built({ model_name: 'segresnet', upsample_mode: 'deconv' })).includes('up_samples.2.1.deconv.weight'),
  );
  const flat = built({ model_name: 'unet', spatial_dims: 2, channels: '4,8', strides: 2, norm: 'batch' }, [32, 32]);
  assert.deepEqual(flat.parameters[0]?.shape, [3, 3, CHANNELS, 4]);
  assert.ok(names(flat).includes('model.0.adn.N.running_mean'));
  assert.ok(names(flat).includes('model.0.adn.A.weight'), 'a PReLU by default');
  assert.deepEqual(built({ model_name: 'resnet50', spatial_dims: 3 }).parameters[0]?.shape, [7, 7, 7, CHANNELS, 64]);
  assert.ok(names(built({ model_name: 'resnet50' }, [32, 32])).includes('layer4.2.conv3.weight'));
  const tokens = built({ model_name: 'vit_conv' }, [32, 32]).parameters.find(({ name }) => name === 'pos');
  assert.deepEqual(tokens?.shape, [1, 65, 256]);
  const swin = built({ model_name: 'swinunetr' });
  assert.deepEqual(swin.parameters[0]?.shape, [2, 2, 2, CHANNELS, 24]);
  assert.ok(names(swin).includes('swinViT.layers4.0.blocks.1.attn.qkv.bias'));
});

test('each DenseNet has the dense layers of its name, which block_config changes', () => {
  const layers = (given: Record<string, unknown>) => {
    const names = built(given, [32, 32]).parameters.map(({ name }) => name);
    const found = names.filter((name) => /denselayer\d+\.layers\.conv1\.weight$/.test(name));
    return [1, 2, 3, 4].map((block) => found.filter((name) => name.includes(`denseblock${block}.`)).length);
  };
  assert.deepEqual(layers({ model_name: 'densenet121' }), [6, 12, 24, 16]);
  assert.deepEqual(layers({ model_name: 'densenet169' }), [6, 12, 32, 32]);
  assert.deepEqual(layers({ model_name: 'densenet201' }), [6, 12, 48, 32]);
  assert.deepEqual(layers({ model_name: 'densenet264' }), [6, 12, 64, 48]);
  assert.deepEqual(layers({ model_name: 'densenet264', block_config: '1,2,3,4' }), [1, 2, 3, 4]);
});

const refusals: Record<string, { given: Record<string, unknown>; imageSize?: number[]; message: RegExp }> = {
  'levels that do not match': {
    given: { model_name: 'segresnet', blocks_up: '1,1' },
    message: /4 levels down and 2 up/,
  },
  'groups that do not divide the channels': {
    given: { model_name: 'segresnet', init_filters: 12 },
    message: /12 channels cannot be shared evenly among 8 groups/,
  },
  "another network's activation": { given: { model_name: 'segresnet', act: 'prelu' }, message: /cannot have.* prelu/ },
  'a stride too many': { given: { model_name: 'unet', channels: '4,8' }, message: /strides are 4, its channels 2/ },
  'an even kernel': { given: { model_name: 'unet', kernel_size: 2 }, message: /kernel_size is 2,2,2/ },
  'a kernel of too few axes': {
    given: { model_name: 'unet', up_kernel_size: '3,3' },
    message: /up_kernel_size is 3,3/,
  },
  'a feature size that is no multiple of 12': {
    given: { model_name: 'swinunetr', feature_size: 32 },
    message: /feature_size is 32/,
  },
  'heads that do not divide the width': {
    given: { model_name: 'swinunetr', num_heads: 5 },
    message: /feature_size 24 cannot be shared evenly among 5 heads/,
  },
  'sides that are not halved twice': {
    given: { model_name: 'vit_conv' },
    imageSize: [30, 32],
    message: /multiples of 4; these are 30 x 32/,
  },
  'a width that its heads do not divide': {
    given: { model_name: 'vit_conv', hidden_size: 100 },
    imageSize: [32, 32],
    message: /hidden_size 100 .* 8 heads/,
  },
  'images where it takes volumes': {
    given: { model_name: 'unet' },
    imageSize: [32, 32],
    message: /is to see volumes, the data are images/,
  },
  'volumes where it takes images': { given: { model_name: 'vit' }, message: /is to see images, the data are volumes/ },
};

for (const [what, { given, imageSize, message }] of Object.entries(refusals)) {
  test(`${given.model_name} refuses ${what}`, () => {
    assert.throws(
      () => built(given, imageSize),
      (error) => error instanceof UserError && message.test(error.message),
    );
  });
}

for (const [name, sides, message] of [
  ['segresnet', [32, 36, 32], /multiples of 8; these are 32 x 36 x 32/],
  ['unet', [32, 32, 24], /multiples of 16; these are 32 x 32 x 24/],
  ['swinunetr', [32, 48, 32], /multiples of 32; these are 32 x 48 x 32/],
] as const) {
  test(`${name} refuses sides that it cannot halve`, async () => {
    const { runtime, model } = await drawn(built({ model_name: name }));
    await assert.rejects(infer(runtime, model, imagesOf(sides, 1)), message);
    runtime.dispose();
  });
}
