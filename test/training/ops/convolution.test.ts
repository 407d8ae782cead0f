// 3 x 3 convolutions with Scanline's own kernels against the same of TensorFlow's ops, and by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { convolve as convolveIn, transposedConvolve } from '../../../training/ops/convolution';
import { float32, int, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

const convolve = (x: Tensor, weight: Tensor) => convolveIn(x, weight, { padding: 1 });

// 612 tiles of 4 x 4 are more than one range of the filter's gradient, 80 channels more than one of its groups; 13 x 7 and 1 x 2 pixels
// are no whole number of tiles, and 48 filters none of pairs of strips
for (const [size, channels, filters] of [
  [[2, 8, 8], 32, 16],
  [[2, 70, 66], 16, 32],
  [[3, 13, 7], 80, 48],
  [[1, 1, 2], 16, 16],
] as const) {
  test(`a convolution of [${size}] pixels, ${channels} channels to ${filters}, is what TensorFlow's ops give`, () => {
    const inputs: [Tensor, Tensor] = [normal([...size, channels], 1, 0.5), normal([3, 3, channels, filters], 2)];
    const dy = normal([...size, filters], 3);
    const expected = withTensorflowOpsOnly(() => evaluate(convolve, inputs, dy));
    assertAlike(evaluate(convolve, inputs, dy), expected, 5e-6);
  });
}

// 18 slices make two runs, 20 tiles of 4 x 4 in 24 slices more than one range of the filter's gradient
for (const [size, channels, filters] of [
  [[2, 8, 8, 8], 32, 16],
  [[1, 18, 13, 7], 80, 48],
  [[1, 24, 18, 14], 16, 32],
  [[2, 1, 2, 3], 16, 16],
] as const) {
  test(`a convolution of [${size}] voxels, ${channels} channels to ${filters}, is what TensorFlow's ops give`, () => {
    const inputs: [Tensor, Tensor] = [normal([...size, channels], 1, 0.5), normal([3, 3, 3, channels, filters], 2)];
    const dy = normal([...size, filters], 3);
    const expected = withTensorflowOpsOnly(() => evaluate(convolve, inputs, dy));
    assertAlike(evaluate(convolve, inputs, dy), expected, 5e-6);
  });
}

// 80 and 96 channels are more than one panel of a product, 80 no whole number of them
for (const [size, kernel, stride, padding] of [
  [[2, 7, 8, 6], [3, 3, 3], 2, 1],
  [[1, 4, 6, 5], [2, 2, 2], 2, 0],
  [
    [1, 3, 8, 9],
    [1, 3, 5],
    [1, 2, 3],
    [0, 1, 2],
  ],
  [[1, 2, 3, 2], [5, 5, 5], 1, 2],
] as const) {
  const name = `[${size}] voxels by a filter of [${kernel}], stride ${stride}, padding ${padding}`;
  for (const [channels, filters] of [
    [80, 32],
    [16, 96],
  ] as const) {
    test(`a convolution of ${name}, ${channels} channels to ${filters}, is what TensorFlow's ops give`, () => {
      const body = (x: Tensor, weight: Tensor) => convolveIn(x, weight, { stride, padding });
      const inputs: [Tensor, Tensor] = [normal([...size, channels], 1, 0.5), normal([...kernel, channels, filters], 2)];
      const dy = normal(body(...inputs).shape, 3);
      const expected = withTensorflowOpsOnly(() => evaluate(body, inputs, dy));
      assertAlike(evaluate(body, inputs, dy), expected, 5e-6);
    });

    test(`a transposed convolution of ${name}, ${channels} channels to ${filters}, is what TensorFlow's ops give`, () => {
      const body = (x: Tensor, weight: Tensor) => transposedConvolve(x, weight, { stride, padding, outputPadding });
      const outputPadding = typeof stride === 'number' ? stride - 1 : stride.map((step) => step - 1);
      const inputs: [Tensor, Tensor] = [normal([...size, channels], 1, 0.5), normal([...kernel, filters, channels], 2)];
      const dy = normal(body(...inputs).shape, 3);
      const expected = withTensorflowOpsOnly(() => evaluate(body, inputs, dy));
      assertAlike(evaluate(body, inputs, dy), expected, 5e-6);
    });
  }
}

test('a convolution of no images is one, with a gradient of zeros', () => {
  const inputs: [Tensor, Tensor] = [tf.zeros([0, 8, 8, 16]), normal([3, 3, 16, 16], 1)];
  const [y, dx, dweight] = evaluate(convolve, inputs, tf.zeros([0, 8, 8, 16])) as [Float32Array, ...Float32Array[]];
  assert.deepEqual([y.length, dx?.length, dweight?.some((value) => value !== 0)], [0, 0, false]);
});

test('a convolution in bfloat16 is that in float32, rounded', async () => {
  const [x, dy, filter] = [normal([3, 13, 7, 32], 1), normal([3, 13, 7, 16], 2), normal([3, 3, 32, 16], 3)];
  await assertSameInBfloat16('ScanlineConvolution', [rounded(x), filter]);
  await assertSameInBfloat16('ScanlineConvolutionGradInput', [rounded(dy), filter]);
  await assertSameInBfloat16('ScanlineConvolutionGradFilter', [rounded(dy), rounded(x), filter]);
});

test('a convolution of volumes in bfloat16 is that in float32, rounded', async () => {
  const [x, dy] = [normal([1, 5, 6, 7, 32], 1), normal([1, 5, 6, 7, 16], 2)];
  const filter = normal([3, 3, 3, 32, 16], 3);
  await assertSameInBfloat16('ScanlineConvolution', [rounded(x), filter]);
  await assertSameInBfloat16('ScanlineConvolutionGradInput', [rounded(dy), filter]);
  await assertSameInBfloat16('ScanlineConvolutionGradFilter', [rounded(dy), rounded(x), filter]);
  const [stride, padding] = [int([1, 1, 1]), int([1, 1, 1])];
  const attributes = { sides: int([5, 6, 7]), stride, padding };
  await assertSameInBfloat16('ScanlineVolumeConvolution', [rounded(x), filter], attributes);
  await assertSameInBfloat16('ScanlineVolumeConvolutionTransposed', [rounded(dy), filter], attributes);
  const inputs = [rounded(x), rounded(dy), filter];
  await assertSameInBfloat16('ScanlineVolumeConvolutionGradFilter', inputs, { stride, padding });
});

function refuses(name: string, inputs: Tensor[], message: RegExp): void {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    assert.throws(() => ops(name, inputs, { T: float32 }, 1), message);
  });
}

const [x, dy, filter] = [tf.ones([1, 2, 3, 32]), tf.ones([1, 2, 3, 16]), tf.ones([3, 3, 32, 16])];
const kernel = /takes images \[N, H, W, C\] and a filter \[3, 3, C, F\]/;
refuses('ScanlineConvolution', [x, tf.ones([5, 5, 32, 16])], kernel);
refuses('ScanlineConvolution', [tf.ones([6, 32]), filter], kernel);
refuses('ScanlineConvolution', [x, tf.ones([3, 3, 32, 24])], /multiples of 16 channels and filters/);
refuses('ScanlineConvolution', [dy, filter], /x has 6 x 16 values; it takes 6 x 32/);
refuses('ScanlineConvolutionGradInput', [x, filter], /dy has 6 x 32 values; it takes 6 x 16/);
refuses('ScanlineConvolutionGradFilter', [dy, dy, filter], /x has 6 x 16 values; it takes 6 x 32/);
refuses('ScanlineConvolutionGradFilter', [x, x, filter], /dy has 6 x 32 values; it takes 6 x 16/);
