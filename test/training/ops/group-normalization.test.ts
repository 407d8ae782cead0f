// Group normalisation, its activation and the product along an axis with Scanline's own kernels: against TensorFlow's ops, in bfloat16, and by
// themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { groupNorm } from '../../../training/ops/group-normalization';
import { float, float32, int, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { mapAxis } from '../../../training/ops/resize';
import { assertAlike, assertGradientsAreSlopes, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

const affineOf = (channels: number) => [normal([channels], 11, 1, 0.5), normal([channels], 12)] as const;

const learned =
  (groups: number) =>
  (x: Tensor, scale: Tensor, offset: Tensor, slope: Tensor): Tensor =>
    groupNorm(x, scale, offset, { groups, slope });

// more rows than a block, in rows that are no whole number of tiles; channels that are fewer, as many and more than a strip holds, and rows
// that can be seen as half as many of twice the width, and that cannot; and values whose variance is a tenth of epsilon
for (const { size, channels, groups, spread = 1 } of [
  { size: [2, 83, 97], channels: 16, groups: 8 },
  { size: [2, 83, 97], channels: 8, groups: 8 },
  { size: [3, 84, 98], channels: 4, groups: 2 },
  { size: [2, 40, 41], channels: 40, groups: 4 },
  { size: [2, 3, 2, 5], channels: 3, groups: 1 },
  { size: [2, 9, 10], channels: 6, groups: 3, spread: 5e-4 },
]) {
  for (const slope of [0, 1, 0.25]) {
    const what = `[${size}] x ${channels} in ${groups} groups, slope ${slope}, ${spread} times as large`;
    test(`groupNorm of ${what}, is what TensorFlow's ops give`, () => {
      const x = normal([...size, channels], 1, 3, 2).mul(spread);
      const inputs: [Tensor, Tensor, Tensor, Tensor] = [x, ...affineOf(channels), tf.scalar(slope)];
      const y = withTensorflowOpsOnly(() => learned(groups)(...inputs));
      // zero wherever rounding could decide whether a value is negative; else so that no sum is what rounding leaves of large terms
      const dy = normal(x.shape, 2, 0.5)
        .add(x.div(spread).sub(3).div(4))
        .mul(
          y
            .div(slope || 1)
            .abs()
            .greater(1e-3),
        );
      const expected = withTensorflowOpsOnly(() => evaluate(learned(groups), inputs, dy));
      assertAlike(evaluate(learned(groups), inputs, dy), expected, 3e-5);
    });
  }
}

test("groupNorm's gradients are the slopes of its value", () => {
  const inputs: [Tensor, Tensor, Tensor, Tensor] = [normal([2, 3, 2, 4], 21), ...affineOf(4), tf.scalar(0.3)];
  assertGradientsAreSlopes(
    (x, scale, offset) => groupNorm(x, scale, offset, { groups: 2 }),
    [inputs[0], inputs[1], inputs[2]],
  );
  assertGradientsAreSlopes((slope) => learned(2)(inputs[0], inputs[1], inputs[2], slope), [inputs[3]]);
});

test('group normalisation is exact with a mean 1,000 deviations from zero', () => {
  const x = normal([1, 50, 60, 8], 31, 1000);
  const y = groupNorm(x, tf.ones([8]), tf.zeros([8]), { groups: 2 });
  const parts = y.reshape([3000, 2, 4]);
  assertAlike([parts.mean([0, 2]).dataSync()], [Float32Array.of(0, 0)], 0.1);
  assertAlike([parts.square().mean([0, 2]).dataSync()], [Float32Array.of(1, 1)], 1e-3);
});

test('group normalisation and the product along an axis in bfloat16 are those in float32, rounded', async () => {
  const x = normal([2, 25, 30, 24], 41, 1, 2);
  const [scale, offset] = affineOf(24);
  const inputs = [rounded(x), scale, offset, tf.scalar(0.1)];
  await assertSameInBfloat16('ScanlineGroupNorm', inputs, { groups: int(4), epsilon: float(1e-5) });
  const saved = [normal([2, 24], 42), normal([2, 24], 43, 1, 0.1)];
  const gradient = [rounded(normal(x.shape, 44)), ...inputs, ...saved];
  await assertSameInBfloat16('ScanlineGroupNormGrad', gradient, { groups: int(4) });
  await assertSameInBfloat16('ScanlineAxisProduct', [rounded(normal([3, 5, 70], 45)), normal([7, 5], 46)]);
});

test('a map along an axis is the product with its matrix, whatever follows the axis', () => {
  const matrix = [
    [0, 2, 0],
    [1, 0, -1],
  ];
  // more values than a block, in rows that are no whole number of chunks
  for (const shape of [
    [2, 3, 5],
    [1, 3, 9, 1901],
    [700, 2, 3, 33],
  ]) {
    const axis = shape.lastIndexOf(3);
    const x = normal(shape, 51);
    const op = (x: Tensor) => mapAxis(x, axis, matrix);
    const dy = normal(op(x).shape, 52);
    const expected = withTensorflowOpsOnly(() => evaluate(op, [x], dy));
    assertAlike(evaluate(op, [x], dy), expected, 1e-6);
  }
});

function refuses(name: string, attributes: Parameters<typeof ops>[2], inputs: Tensor[], message: RegExp): void {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    const outputs = { ScanlineGroupNorm: 3, ScanlineGroupNormGrad: 4 }[name] ?? 1;
    assert.throws(() => ops(name, inputs, { T: float32, ...attributes }, outputs), message);
  });
}

const x = tf.ones([2, 3, 4]);
const [four, three, one, moments] = [tf.ones([4]), tf.ones([3]), tf.scalar(1), tf.ones([2, 4])];
const [norm, grad] = [{ groups: int(2), epsilon: float(1e-5) }, { groups: int(2) }];
refuses('ScanlineGroupNorm', norm, [x, three, four, one], /scale has 3 values; .* 4 channels/);
refuses('ScanlineGroupNorm', norm, [x, four, three, one], /offset has 3 values/);
refuses('ScanlineGroupNorm', norm, [x, four, four, three], /slope has 3 values/);
refuses('ScanlineGroupNorm', norm, [four, four, four, one], /x has 1 axes/);
refuses('ScanlineGroupNorm', { ...norm, groups: int(3) }, [x, four, four, one], /4 channels do not make 3 groups/);
refuses('ScanlineGroupNorm', norm, [tf.ones([0, 3, 4]), four, four, one], /no values/);
refuses(
  'ScanlineGroupNormGrad',
  grad,
  [moments, x, four, four, one, moments, moments],
  /dy has 2 x 4 values; .* 6 x 4/,
);
refuses('ScanlineGroupNormGrad', grad, [x, x, four, four, one, four, moments], /mean has 1 x 4 values; it takes 2 x 4/);
refuses('ScanlineGroupNormGrad', grad, [x, x, four, four, one, moments, four], /inverse has 1 x 4 values/);
refuses('ScanlineAxisProduct', {}, [x, four], /matrix two/);
refuses('ScanlineAxisProduct', {}, [x, tf.ones([5, 4])], /matrix has 5 x 4 values; it takes 5 x 3/);
