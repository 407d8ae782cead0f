// The exact GELU and softmax with Scanline's own kernels against the same of TensorFlow's ops, and by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { gelu, softmax } from '../../../training/ops/activation';
import { float32, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, assertGradientsAreSlopes, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

// more values than two of gelu's blocks, more rows than six of softmax's
const SHAPE = [2, 4, 53, 163];

const cases: Readonly<Record<string, { op: (x: Tensor) => Tensor; kernel: string }>> = {
  gelu: { op: gelu, kernel: 'ScanlineGeluGrad' },
  softmax: { op: softmax, kernel: 'ScanlineSoftmaxGrad' },
};

for (const [name, { op, kernel }] of Object.entries(cases)) {
  test(`${name} is what TensorFlow's ops give, with its gradient`, () => {
    const [x, dy] = [normal(SHAPE, 1, 0, 3), normal(SHAPE, 2)];
    const expected = withTensorflowOpsOnly(() => evaluate(op, [x], dy));
    assertAlike(evaluate(op, [x], dy), expected, 2e-6);
  });

  test(`${name}'s gradient is the slope of its value`, () => {
    assertGradientsAreSlopes(op, [normal([3, 5], 3)]);
  });

  test(`${kernel} in bfloat16 is that in float32, rounded`, async () => {
    await assertSameInBfloat16(kernel, [rounded(normal(SHAPE, 4)), rounded(normal(SHAPE, 5))]);
  });

  test(`${kernel} refuses a gradient of another shape than the value`, () => {
    const inputs = [tf.ones([2, 6]), tf.ones([3, 4])];
    assert.throws(() => ops(kernel, inputs, { T: float32 }, 1), /dy has 2 x 6 values; it takes 3 x 4/);
  });
}

test('ScanlineGelu in bfloat16 is that in float32, rounded', async () => {
  await assertSameInBfloat16('ScanlineGelu', [rounded(normal(SHAPE, 6, 0, 3))]);
});
