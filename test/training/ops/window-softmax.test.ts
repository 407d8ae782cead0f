// The softmax of attention within windows with Scanline's own kernel: against TensorFlow's ops, in bfloat16, and by itself.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { native, tf } from '../../../training/native/tensorflow';
import { float32, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { windowSoftmax } from '../../../training/ops/window-softmax';
import { assertAlike, assertGradientsAreSlopes, evaluate, normal } from './gradients';
import { assertSameInBfloat16, rounded } from './kernel';

native.setKernelThreads(2);

// 37 tokens are no whole number of lanes
const [HEADS, TOKENS] = [3, 37];
const bias = () => normal([HEADS, TOKENS, TOKENS], 1);
const scores = () => normal([4, HEADS, TOKENS, TOKENS], 2, 0, 3);

/** Two windows: one of one region, one of three. */
const regions = [0, 1].map((window) => Array.from({ length: TOKENS }, (_, token) => window * (token % 3)));

for (const [what, given] of [
  ['without a mask', undefined],
  ['with one', regions],
] as const) {
  test(`windowSoftmax ${what} is what TensorFlow's ops give, with its gradients`, () => {
    const op = (x: typeof tf.Tensor.prototype, b: typeof tf.Tensor.prototype) => windowSoftmax(x, b, given);
    const inputs: [ReturnType<typeof normal>, ReturnType<typeof normal>] = [scores(), bias()];
    const dy = normal(inputs[0].shape, 3);
    const expected = withTensorflowOpsOnly(() => evaluate(op, inputs, dy));
    assertAlike(evaluate(op, inputs, dy), expected, 2e-6);
  });
}

test('tokens of different regions do not see each other', () => {
  const weights = windowSoftmax(scores(), bias(), regions)
    .reshape([2, 2, HEADS, TOKENS, TOKENS])
    .arraySync() as number[][][][][];
  const seen = weights.map((sample) => (sample[1]?.[0]?.[0] ?? []).map((weight) => weight > 1e-30));
  for (const sample of seen)
    assert.deepEqual(
      sample,
      Array.from({ length: TOKENS }, (_, token) => token % 3 === 0),
    );
});

test("windowSoftmax's gradients are the slopes of its value", () => {
  const small = [[0, 0, 1]];
  assertGradientsAreSlopes((x, b) => windowSoftmax(x, b, small), [normal([2, 1, 3, 3], 4), normal([1, 3, 3], 5)]);
});

test('windowSoftmax in bfloat16 is that in float32, rounded', async () => {
  const table = tf.tensor2d(regions, [2, TOKENS], 'int32');
  await assertSameInBfloat16('ScanlineWindowSoftmax', [rounded(scores()), bias(), table]);
  await assertSameInBfloat16('ScanlineWindowSoftmaxGrad', [
    rounded(scores()),
    rounded(normal([4, HEADS, TOKENS, TOKENS], 6)),
  ]);
});

for (const [what, name, inputs, message] of [
  [
    'a bias of another shape',
    'ScanlineWindowSoftmax',
    [tf.ones([2, 1, 3, 3]), tf.ones([3, 4])],
    /bias has 3 x 4 values; it takes 3 x 3/,
  ],
  ['scores of three axes', 'ScanlineWindowSoftmax', [tf.ones([2, 3, 3]), tf.ones([3, 3])], /x is to be scores/],
  [
    'windows that do not divide',
    'ScanlineWindowSoftmax',
    [tf.ones([3, 1, 3, 3]), tf.ones([3, 3])],
    /3 windows .* of the 2/,
  ],
] as const) {
  test(`windowSoftmax refuses ${what}`, () => {
    const table = tf.zeros([2, 3], 'int32');
    assert.throws(() => ops(name, [...inputs, table], { T: float32 }, 1), message);
  });
}

test('its gradient refuses a gradient of another shape', () => {
  const inputs = [tf.ones([1, 1, 3, 4]), tf.ones([1, 1, 3, 3])];
  assert.throws(
    () => ops('ScanlineWindowSoftmaxGrad', inputs, { T: float32 }, 2),
    /dy has 3 x 4 values; it takes 3 x 3/,
  );
});
