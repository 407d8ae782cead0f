// A dense block by its own kernels against the same layers by TensorFlow's ops, and the kernels by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { convolve } from '../../../training/ops/convolution';
import { type DenseLayer, denseBlock, type TrainedNorm } from '../../../training/ops/dense-block';
import { batchNorm, type Statistics } from '../../../training/ops/normalization';
import { float, float32, int, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, evaluate, largest, normal } from './gradients';
import { rounded, runKernel } from './kernel';

native.setKernelThreads(2);

interface Shape {
  /** [N, H, W] */
  readonly size: readonly number[];
  readonly channels: number;
  readonly bottleneck: number;
  readonly growth: number;
  readonly layers: number;
}

type Block = typeof denseBlock;

/** The layers one after the other, by TensorFlow's ops. */
const layerByLayer: Block = (x, layers, closing) =>
  withTensorflowOpsOnly(() => {
    const normalize = (x: readonly Tensor[], { affine, running, update }: TrainedNorm) =>
      batchNorm(x, affine, running, { relu: true, update });
    const features = [x];
    for (const { norm1, weight1, norm2, weight2 } of layers) {
      const z = convolve(normalize(features, norm1), weight1);
      features.push(convolve(normalize([z], norm2), weight2, { padding: 1 }));
    }
    return normalize(features, closing);
  });

/** Value, gradients of x and of all parameters, new means and variances, in order. */
function trained(block: Block, { size, channels, bottleneck, growth, layers }: Shape): Float32Array[] {
  const statistics: Float32Array[] = [];
  let seed = 1;
  const update = ({ mean, variance }: Statistics) => {
    statistics.push(mean.dataSync() as Float32Array, variance.dataSync() as Float32Array);
  };
  const inputs: Tensor[] = [normal([...size, channels], seed++, 2, 3)];
  const running: Statistics[] = [];
  const declareNorm = (width: number) => {
    inputs.push(normal([width], seed++, 1, 0.5), normal([width], seed++));
    running.push({ mean: normal([width], seed++), variance: normal([width], seed++).square() });
  };
  for (let layer = 0; layer < layers; layer++) {
    const width = channels + layer * growth;
    declareNorm(width);
    inputs.push(normal([1, 1, width, bottleneck], seed++, 0, width ** -0.5));
    declareNorm(bottleneck);
    inputs.push(normal([3, 3, bottleneck, growth], seed++, 0, (9 * bottleneck) ** -0.5));
  }
  const all = channels + layers * growth;
  declareNorm(all);
  const norm = (scale: Tensor, offset: Tensor, place: number): TrainedNorm => {
    return { affine: { scale, offset }, running: running[place] as Statistics, update };
  };
  const run = (x: Tensor, ...parameters: Tensor[]) => {
    const list = Array.from({ length: layers }, (_, i): DenseLayer => {
      const [scale1, offset1, weight1, scale2, offset2, weight2] = parameters.slice(6 * i) as [
        ...[Tensor, Tensor, Tensor],
        ...[Tensor, Tensor, Tensor],
      ];
      return { norm1: norm(scale1, offset1, 2 * i), weight1, norm2: norm(scale2, offset2, 2 * i + 1), weight2 };
    });
    return block(x, list, norm(parameters.at(-2) as Tensor, parameters.at(-1) as Tensor, 2 * layers));
  };
  const found = evaluate(run as (...x: Tensor[]) => Tensor, inputs, normal([...size, all], 99));
  return [...found, ...statistics];
}

// one, and more than one block of rows; odd rows; panels that are half full; several chunks of channels
for (const shape of [
  { size: [2, 8, 8], channels: 32, bottleneck: 64, growth: 32, layers: 2 },
  { size: [3, 13, 7], channels: 48, bottleneck: 80, growth: 16, layers: 3 },
  { size: [1, 70, 66], channels: 16, bottleneck: 16, growth: 32, layers: 1 },
  { size: [2, 5, 9], channels: 528, bottleneck: 32, growth: 16, layers: 2 },
]) {
  const { size, channels, growth, layers } = shape;
  test(`a dense block of [${size}] pixels, ${channels} channels and ${layers} times ${growth} more is what TensorFlow's ops give`, () => {
    assertAlike(trained(denseBlock, shape), trained(layerByLayer, shape), 5e-5);
  });
}

/** Inputs of the kernels: two features with their moments, 48 channels to 32 filters. */
function kernelInputs() {
  const vector = (seed: number, length: number) => normal([length], seed);
  const size = [3, 13, 7];
  const [x, y] = [rounded(normal([...size, 32], 1)), rounded(normal([...size, 16], 2))];
  const lists = [
    [x, y],
    [vector(3, 32), vector(4, 16)],
    [vector(5, 32).square(), vector(6, 16).square()],
  ] as const;
  const [g, z, d] = [
    normal([...size, 32], 7),
    normal([...size, 32], 8),
    [normal([...size, 32], 9), normal([...size, 16], 10)],
  ];
  const weight = normal([1, 1, 48, 32], 11);
  const affine = [vector(12, 48), vector(13, 48)] as const;
  return { vector, x, lists, g: rounded(g), z: rounded(z), d: d.map(rounded), weight, affine };
}

const EPSILON = { epsilon: float(1e-5) };

test('the products of a dense layer in bfloat16 are those in float32, but for the rounding of their factors', async () => {
  const { vector, lists, g, z, d, weight, affine } = kernelInputs();
  const running = [vector(14, 48), vector(15, 48).square()];
  const forward = [...affine, ...running, weight, ...lists];
  const backward = [
    g,
    z,
    vector(16, 32),
    vector(17, 32),
    vector(18, 32),
    weight,
    ...affine,
    vector(19, 64),
    vector(20, 64),
    ...lists,
    d,
  ];
  for (const [name, inputs, attributes] of [
    ['ScanlineNormalizedProduct', forward, { ...EPSILON, momentum: float(0.1), N: int(2) }],
    ['ScanlineNormalizedProductGrad', backward, { ...EPSILON, N: int(2) }],
  ] as const) {
    const full = await runKernel(name, inputs, attributes, 'float32');
    const half = await runKernel(name, inputs, attributes, 'bfloat16');
    for (const [i, values] of half.values.entries()) {
      const expected = full.values[i] as Float32Array;
      const squares = values.reduce((sum, value, j) => sum + (value - (expected[j] as number)) ** 2, 0);
      const error = Math.sqrt(squares / values.length) / largest(expected);
      assert.ok(error < 2 ** -9, `${name}, output ${i}: ${error} of the largest`);
    }
  }
});

function refuses(name: string, attributes: Parameters<typeof ops>[2], inputs: Tensor[], message: RegExp): void {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    assert.throws(() => ops(name, inputs, { T: float32, ...EPSILON, ...attributes }, 6), message);
  });
}

const x = tf.ones([1, 2, 3, 32]);
const [each, fewer, weight] = [tf.ones([32]), tf.ones([16]), tf.ones([1, 1, 32, 16])];
const one = { N: int(1), momentum: float(0.1) };
const forward = 'ScanlineNormalizedProduct';
refuses(
  forward,
  one,
  [each, each, each, each, tf.ones([1, 1, 16, 16]), x, each, each],
  /weight has 16 x 16 values; it takes 32 x 16/,
);
refuses(
  forward,
  one,
  [each, each, each, each, tf.ones([1, 1, 32, 8]), x, each, each],
  /multiples of 16 channels and filters/,
);
refuses(forward, one, [each, fewer, each, each, weight, x, each, each], /offset has 16 values/);
const backward = (changed: Readonly<Record<number, Tensor>>): Tensor[] => {
  const g = tf.ones([1, 2, 3, 16]);
  const inputs = [g, g, fewer, fewer, fewer, weight, each, each, each, each, x, each, each, x];
  return inputs.map((input, i) => changed[i] ?? input);
};
const grad = 'ScanlineNormalizedProductGrad';
refuses(grad, { N: int(1) }, backward({ 1: x }), /z has 6 x 32 values; it takes 6 x 16/);
refuses(grad, { N: int(1) }, backward({ 3: each }), /a, k or l has 32 values/);
refuses(grad, { N: int(1) }, backward({ 8: fewer }), /k or l has fewer values/);
refuses(grad, { N: int(1) }, backward({ 13: tf.ones([1, 2, 2, 32]) }), /d has 4 x 32 values; it takes 6 x 32/);
refuses('ScanlineBatchNormGradCoefficients', { N: int(1) }, [fewer, each, each, each, x, each, each], /has 16 values/);

test('ScanlineAddMultiple refuses fewer factors than channels', () => {
  const add = (k: Tensor, l: Tensor) => ops('ScanlineAddMultiple', [x, x, k, l], { T: float32 }, 1);
  assert.throws(() => add(fewer, fewer), /k has fewer values/);
  assert.throws(() => add(each, fewer), /l has 16 values/);
});
