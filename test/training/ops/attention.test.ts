// Self-attention with Scanline's own kernel, which keeps no weights, against the same of TensorFlow's ops, and by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { selfAttention } from '../../../training/ops/linear';
import { float32, int, ops } from '../../../training/ops/op';
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
  // the first tokens alone: one, and a panel and more
  { samples: 2, tokens: 65, heads: 2, size: 32, queries: 1 },
  { samples: 2, tokens: 65, heads: 2, size: 20, queries: 35 },
];

for (const { samples, tokens, heads, size, queries = tokens } of SHAPES) {
  const what = `attention of ${heads} heads of ${size}, by ${queries} of ${tokens} tokens,`;

  test(`${what} is what TensorFlow's ops give, with its gradient`, () => {
    const qkv = normal([samples, tokens, 3 * heads * size], 1, 0, 1.5);
    const dy = normal([samples, queries, heads * size], 2);
    const attention = (x: Tensor) => selfAttention(x, heads, { queries });
    const expected = withTensorflowOpsOnly(() => evaluate(attention, [qkv], dy));
    assertAlike(evaluate(attention, [qkv], dy), expected, 5e-6);
  });

  test(`${what} in bfloat16 is that in float32, but for the rounding of its factors`, async () => {
    const qkv = normal([samples, tokens, 3, heads, size], 3);
    const dy = normal([samples, queries, heads, size], 4);
    const asked = { queries: int(queries) };
    const [y, level] = ops('ScanlineAttention', [qkv], { T: float32, ...asked }, 2) as [Tensor, Tensor];
    const kernels = [
      { name: 'ScanlineAttention', given: [rounded(qkv)], attributes: asked },
      { name: 'ScanlineAttentionGrad', given: [rounded(dy), rounded(qkv), rounded(y), level], attributes: {} },
    ];
    for (const { name, given, attributes } of kernels) {
      const full = await runKernel(name, given, attributes, 'float32');
      const half = await runKernel(name, given, attributes, 'bfloat16');
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

for (const queries of [3, 1]) {
  test(`the gradient of attention is the slope of its value, by ${queries} of 3 tokens`, () => {
    assertGradientsAreSlopes((x: Tensor) => selfAttention(x, 2, { queries }), [normal([1, 3, 12], 5)]);
  });
}

test('what the first tokens find does not depend on how many others ask', () => {
  const qkv = normal([2, 20, 3 * 8], 6);
  const all = selfAttention(qkv, 2);
  assert.deepEqual(selfAttention(qkv, 2, { queries: 1 }).dataSync(), all.slice([0, 0, 0], [2, 1, 8]).dataSync());
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
  ['ScanlineAttentionGrad', [tf.ones([2, 5, 1, 3]), qkv, y, level], /dy has 10 x 3 values; it takes 10 x 4/],
  ['ScanlineAttentionGrad', [y, qkv, tf.ones([2, 5, 1, 3]), level], /y has 10 x 3 values; it takes 10 x 4/],
  ['ScanlineAttentionGrad', [y, qkv, y, tf.ones([2, 5, 2])], /level has 10 x 2 values; it takes 10 x 1/],
] as const) {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    const isGrad = name === 'ScanlineAttentionGrad';
    const attributes = { T: float32, ...(!isGrad && { queries: int(5) }) };
    assert.throws(() => ops(name, inputs, attributes, isGrad ? 1 : 2), message);
  });
}

for (const queries of [0, 6]) {
  test(`${queries} of 5 tokens cannot ask`, () => {
    const ask = () => ops('ScanlineAttention', [qkv], { T: float32, queries: int(queries) }, 2);
    assert.throws(ask, new RegExp(`${queries} tokens are to ask; of 5 it can be 1 to 5`));
  });
}
