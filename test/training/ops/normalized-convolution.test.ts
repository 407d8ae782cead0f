// Batch normalisation, ReLU and convolution in one against the three by TensorFlow's ops, and its kernels by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { normalizedConv2d } from '../../../training/ops/normalized-convolution';
import { float, float32, int, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

/** Value, gradients of x, scale, offset and weight, new mean and new variance. */
function trained(
  size: readonly number[],
  channels: number,
  filters: number,
  { kernel = 3, spread = 1 },
): Float32Array[] {
  let statistics: Float32Array[] = [];
  const running = { mean: normal([channels], 1), variance: normal([channels], 2).square() };
  const convolve = (x: Tensor, scale: Tensor, offset: Tensor, weight: Tensor) =>
    normalizedConv2d(x, { scale, offset }, running, weight, {
      padding: (kernel - 1) / 2,
      update: ({ mean, variance }) => {
        statistics = [mean.dataSync() as Float32Array, variance.dataSync() as Float32Array];
      },
    });
  const inputs: [Tensor, Tensor, Tensor, Tensor] = [
    ...[normal([...size, channels], 3, 2, 3).mul(spread), normal([channels], 4, 1, 0.5)],
    ...[normal([channels], 5), normal([kernel, kernel, channels, filters], 6)],
  ] as [Tensor, Tensor, Tensor, Tensor];
  return [...evaluate(convolve, inputs, normal([...size, filters], 7)), ...statistics];
}

// as in convolution.test.ts; one of values whose variance is a tenth of epsilon; and one that the own kernels leave to TensorFlow
for (const [size, channels, filters, options] of [
  [[2, 8, 8], 32, 16, {}],
  [[2, 70, 66], 16, 32, {}],
  [[3, 13, 7], 80, 48, {}],
  [[2, 9, 10], 16, 16, { spread: 3e-4 }],
  [[2, 9, 8], 12, 16, { kernel: 5 }],
] as const) {
  test(`a normalised convolution of [${size}] pixels, ${channels} channels to ${filters}, is what TensorFlow's ops give`, () => {
    const expected = withTensorflowOpsOnly(() => trained(size, channels, filters, options));
    assertAlike(trained(size, channels, filters, options), expected, 2e-5);
  });
}

test('the kernels of a normalised convolution in bfloat16 are those in float32, rounded', async () => {
  const [x, dy] = [rounded(normal([3, 13, 7, 32], 1)), rounded(normal([3, 13, 7, 16], 2))];
  const [filter, a, b] = [normal([3, 3, 32, 16], 3), normal([32], 4), normal([32], 5)];
  await assertSameInBfloat16('ScanlineActivatedConvolution', [x, filter, a, b]);
  await assertSameInBfloat16('ScanlineActivatedConvolutionGradInput', [dy, filter, a, b, x, normal([32], 6)]);
  await assertSameInBfloat16('ScanlineActivatedConvolutionGradFilter', [dy, x, filter, a, b]);
  const lists = [[x], [normal([32], 7)], [normal([32], 8).square()]];
  const coefficients = { epsilon: float(1e-5), momentum: float(0.1) };
  await assertSameInBfloat16('ScanlineBatchNormCoefficients', [a, b, a, b, ...lists], coefficients);
  const sums = [normal([32], 9), normal([32], 10)];
  await assertSameInBfloat16('ScanlineBatchNormGradFromSums', [x, ...sums, a, b, ...lists], { epsilon: float(1e-5) });
});

function refuses(name: string, attributes: Parameters<typeof ops>[2], inputs: Tensor[], message: RegExp): void {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    assert.throws(() => ops(name, inputs, { T: float32, ...attributes }, 4), message);
  });
}

const [x, dy, filter] = [tf.ones([1, 2, 3, 32]), tf.ones([1, 2, 3, 16]), tf.ones([3, 3, 32, 16])];
const [each, fewer] = [tf.ones([32]), tf.ones([16])];
refuses('ScanlineActivatedConvolution', {}, [x, filter, fewer, each], /a has 16 values; .* 32 channels/);
refuses('ScanlineActivatedConvolution', {}, [x, filter, each, fewer], /b has 16 values; .* 32 channels/);
const grad = 'ScanlineActivatedConvolutionGradInput';
refuses(grad, {}, [x, filter, each, each, x, each], /dy has 6 x 32 values; it takes 6 x 16/);
refuses(grad, {}, [dy, filter, each, each, x, fewer], /mean has 16 values/);
refuses(grad, {}, [dy, filter, fewer, each, x, each], /\ba has 16 values/);
refuses('ScanlineActivatedConvolutionGradFilter', {}, [dy, x, filter, each, fewer], /b has 16 values/);
const one = { N: int(1), epsilon: float(1e-5) };
const fromSums = 'ScanlineBatchNormGradFromSums';
refuses(fromSums, one, [dy, each, each, each, each, x, each, each], /g has 6 x 16 values; it takes 6 x 32/);
refuses(fromSums, one, [x, fewer, each, each, each, x, each, each], /sum has 16 values/);
refuses(fromSums, one, [x, each, fewer, each, each, x, each, each], /product has 16 values/);
const momentum = { ...one, momentum: float(0.1) };
refuses('ScanlineBatchNormCoefficients', momentum, [fewer, each, each, each, x, each, each], /scale has 16 values/);
