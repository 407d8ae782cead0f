// Self-attention with Scanline's own kernel, which keeps no weights, against the same of TensorFlow's ops, and by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { selfAttention } from '../../../training/ops/linear';
import { float32, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, assertGradientsAreSlopes, evaluate, largest, normal } from './gradients';
import { rounded, runKernel } from './kernel';

native.setKernelThreads(2);

// one token; fewer than a strip, a few panels and one more; heads that are no whole tiles, strips or pairs, and more than a panel
const SHAPES = [
  { samples: 2, tokens: 1, heads: 1, size: 4 },
  { samples: 1, tokens: 13, heads: 2, size: 5 },
  { samples: 2, tokens: 50, heads: 3, size: 20 },
  { samples: 2, tokens: 65, heads: 2, size: 32 },
  { samples: 1, tokens: 257, heads: 2, size: 64 },
  { samples: 1, tokens: 40, heads: 2, size: 36 },
];

for (const { samples, tokens, heads, size } of SHAPES) {
  const what = `attention of ${heads} heads of ${size} over ${tokens} tokens`;

  test(`${what} is what TensorFlow's ops give, with its gradient`, () => {
    const qkv = normal([samples, tokens, 3 * heads * size], 1, 0, 1.5);
    const dy = normal([samples, tokens, heads * size], 2);
    const attention = (x: Tensor) => selfAttention(x, heads);
    const expected = withTensorflowOpsOnly(() => evaluate(attention, [qkv], dy));
    assertAlike(evaluate(attention, [qkv], dy), expected, 5e-6);
  });

  test(`${what} in bfloat16 is that in float32, but for the rounding of its factors`, async () => {
    const qkv = normal([samples, tokens, 3, heads, size], 3);
    const dy = normal([samples, tokens, heads, size], 4);
    const [y, level] = ops('ScanlineAttention', [qkv], { T: float32 }, 2) as [Tensor, Tensor];
    const kernels = {
      ScanlineAttention: [rounded(qkv)],
      ScanlineAttentionGrad: [rounded(dy), rounded(qkv), rounded(y), level],
    };
    for (const [name, given] of Object.entries(kernels)) {
      const full = await runKernel(name, given, {}, 'float32');
      const half = await runKernel(name, given, {}, 'bfloat16');
      for (const [i, values] of half.values.entries()) {
        const expected = full.values[i] as Float32Array;
        const worst = largest(values.map((value, j) => value - (expected[j] as number)));
        assert.ok(
          worst <= 2 ** -6 * Math.max(1, largest(expected)),
          `${name}, output ${i}: ${worst} of ${largest(expected)}`,
        );
      }
    }
  });
}

test('the gradient of attention is the slope of its value', () => {
  assertGradientsAreSlopes((x: Tensor) => selfAttention(x, 2), [normal([1, 3, 12], 5)]);
});

test('scores that are far apart give the largest all of the weight', () => {
  const values = [1, 2, 3];
  // of each token: its query, its key, its value
  const qkv = tf.tensor3d(
    values.flatMap((value, i) => [100, 100 * i, value]),
    [1, 3, 3],
  );
  assert.deepEqual([...selfAttention(qkv, 1).dataSync()], [3, 3, 3]);
});

test('a NaN in a query is one in what it finds, and nowhere else', () => {
  const qkv = tf.tensor3d([Number.NaN, 1, 1, 1, 1, 2], [1, 2, 3]);
  const y = selfAttention(qkv, 1).dataSync();
  assert.deepEqual(Array.from(y, Number.isNaN), [true, false]);
});

const [qkv, y, level] = [tf.ones([2, 5, 3, 1, 4]), tf.ones([2, 5, 1, 4]), tf.ones([2, 5, 1])];
for (const [name, inputs, message] of [
  ['ScanlineAttention', [tf.ones([2, 5, 12])], /qkv is to be queries, keys and values/],
  ['ScanlineAttention', [tf.ones([2, 5, 2, 1, 4])], /qkv is to be queries, keys and values/],
  ['ScanlineAttentionGrad', [tf.ones([2, 4, 1, 4]), qkv, y, level], /dy has 8 x 4 values; it takes 10 x 4/],
  ['ScanlineAttentionGrad', [y, qkv, tf.ones([2, 5, 1, 3]), level], /y has 10 x 3 values; it takes 10 x 4/],
  ['ScanlineAttentionGrad', [y, qkv, y, tf.ones([2, 5, 2])], /level has 10 x 2 values; it takes 10 x 1/],
] as const) {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    assert.throws(() => ops(name, inputs, { T: float32 }, name === 'ScanlineAttention' ? 2 : 1), message);
  });
}
