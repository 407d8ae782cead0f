// The fully connected layer with Scanline's own kernels against the same of TensorFlow's ops, and by themselves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { native, tf } from '../../../training/native/tensorflow';
import { linear } from '../../../training/ops/linear';
import { float32, ops } from '../../../training/ops/op';
import { withTensorflowOpsOnly } from '../../../training/ops/own-kernels';
import { assertAlike, assertGradientsAreSlopes, evaluate, largest, normal } from './gradients';
import { rounded, runKernel } from './kernel';

native.setKernelThreads(2);

// one row; no whole tiles, panels, strips or pairs; rows that need not be packed, of whole pairs and not; more rows than inputs and outputs,
// and fewer; sums in several parts; of odd sizes that Strassen's algorithm takes
const SHAPES = [
  { rows: [1], inputs: 5, outputs: 2 },
  { rows: [2, 19], inputs: 51, outputs: 67 },
  { rows: [4, 7], inputs: 51, outputs: 70 },
  { rows: [3], inputs: 33, outputs: 100 },
  { rows: [4, 257], inputs: 24, outputs: 48 },
  { rows: [3, 1100], inputs: 16, outputs: 31 },
  { rows: [20], inputs: 3100, outputs: 40 },
  { rows: [1, 653], inputs: 1601, outputs: 647 },
  { rows: [1310], inputs: 645, outputs: 650 },
];

for (const { rows, inputs, outputs } of SHAPES) {
  for (const gelu of [false, true]) {
    const what = `linear of [${rows}] rows of ${inputs}${gelu ? ', after a GELU,' : ''} to ${outputs}`;
    const tensors = (): [Tensor, Tensor, Tensor] => [
      normal([...rows, inputs], 1),
      normal([outputs, inputs], 2, 0, inputs ** -0.5),
      normal([outputs], 3),
    ];
    const dy = normal([...rows, outputs], 4);

    test(`${what} is what TensorFlow's ops give, with its gradients`, () => {
      const layer = (x: Tensor, weight: Tensor, bias: Tensor) => linear(x, weight, bias, { gelu, training: true });
      const expected = withTensorflowOpsOnly(() => evaluate(layer, tensors(), dy));
      assertAlike(evaluate(layer, tensors(), dy), expected, 5e-6);
    });

    test(`${what} in bfloat16 is that in float32, but for the rounding of its factors`, async () => {
      const [x, weight, bias] = tensors();
      const kernels = {
        ScanlineLinear: [rounded(x), weight, bias],
        ScanlineLinearGradInput: [rounded(dy), weight, rounded(x)],
        ScanlineLinearGradWeight: [rounded(dy), rounded(x)],
      };
      for (const [name, given] of Object.entries(kernels)) {
        const attributes = { gelu, ...(name === 'ScanlineLinear' && { training: true }) };
        const full = await runKernel(name, given, attributes, 'float32');
        const half = await runKernel(name, given, attributes, 'bfloat16');
        for (const [i, values] of half.values.entries()) {
          const expected = full.values[i] as Float32Array;
          const worst = largest(values.map((value, j) => value - (expected[j] as number)));
          assert.ok(worst < 2 ** -6 * largest(expected), `${name}, output ${i}: ${worst} of ${largest(expected)}`);
        }
      }
    });
  }
}

test("linear without a bias is what TensorFlow's ops give, with its gradients", () => {
  const layer = (x: Tensor, weight: Tensor) => linear(x, weight);
  const tensors = (): [Tensor, Tensor] => [normal([2, 7, 20], 1), normal([18, 20], 2)];
  const dy = normal([2, 7, 18], 3);
  const expected = withTensorflowOpsOnly(() => evaluate(layer, tensors(), dy));
  assertAlike(evaluate(layer, tensors(), dy), expected, 2e-6);
});

for (const gelu of [false, true]) {
  test(`the gradients of linear${gelu ? ' after a GELU' : ''} are the slopes of its value`, () => {
    const layer = (x: Tensor, weight: Tensor, bias: Tensor) => linear(x, weight, bias, { gelu });
    assertGradientsAreSlopes(layer, [normal([3, 5], 5), normal([4, 5], 6), normal([4], 7)]);
  });
}

test('a NaN in x is one in all that follows from it', () => {
  for (const gelu of [false, true]) {
    const x = tf.tensor2d([Number.NaN, 1, 2, 3], [2, 2]);
    const y = linear(x, tf.ones([3, 2]), tf.zeros([3]), { gelu }).dataSync();
    assert.deepEqual(Array.from(y, Number.isNaN), [true, true, true, false, false, false]);
  }
});

test('linear of no rows has none, and its gradients are 0', () => {
  const y = linear(tf.zeros([0, 5]), tf.ones([3, 5]), tf.ones([3]));
  assert.deepEqual(y.shape, [0, 3]);
  const [dweight, dbias] = ops(
    'ScanlineLinearGradWeight',
    [tf.zeros([0, 3]), tf.zeros([0, 5])],
    { T: float32, gelu: false },
    2,
  );
  assert.deepEqual([...(dweight as Tensor).dataSync(), ...(dbias as Tensor).dataSync()], new Array(18).fill(0));
});

/** Layers that Strassen's algorithm takes in training. */
const LARGE = { rows: 700, inputs: 701, outputs: 660 };

test('a row of a large linear layer is the same beside any others, but where the network is trained', () => {
  const { rows, inputs, outputs } = LARGE;
  const weight = normal([outputs, inputs], 1);
  const first = normal([rows / 2, inputs], 2);
  const rowsBeside = (seed: number, training: boolean) => {
    const x = tf.concat([first, normal([rows / 2, inputs], seed)]);
    return linear(x, weight, undefined, { training })
      .slice([0, 0], [rows / 2, outputs])
      .dataSync();
  };
  assert.deepEqual(rowsBeside(3, false), rowsBeside(4, false));
  // the sums of Strassen's algorithm are of rows of both halves
  assert.notDeepEqual(rowsBeside(3, true), rowsBeside(4, true));
});

test('a large linear layer in training rounds less than twice as much as one that is not', () => {
  const { rows, inputs, outputs } = LARGE;
  const [x, weight] = [normal([rows, inputs], 1), normal([outputs, inputs], 2)];
  const [left, right] = [x.dataSync(), weight.dataSync()];
  const errors = (training: boolean) => {
    const y = linear(x, weight, undefined, { training }).dataSync();
    // a value of each row
    const squares = Array.from({ length: rows }, (_, row) => {
      const column = (row * 7) % outputs;
      let exact = 0;
      for (let k = 0; k < inputs; k++)
        exact += (left[row * inputs + k] as number) * (right[column * inputs + k] as number);
      return ((y[row * outputs + column] as number) - exact) ** 2;
    });
    return Math.sqrt(squares.reduce((sum, square) => sum + square) / rows);
  };
  const [strassen, plain] = [errors(true), errors(false)];
  assert.ok(strassen < 2 * plain, `${strassen} against ${plain}`);
  assert.ok(strassen !== plain);
});

for (const [name, inputs, message] of [
  ['ScanlineLinear', [tf.ones([2, 4]), tf.ones([3, 5]), tf.ones([3])], /weight has 3 x 5 values; it takes 3 x 4/],
  ['ScanlineLinear', [tf.ones([2, 4]), tf.ones([3, 4]), tf.ones([4])], /bias has 4 values; .* 3 outputs/],
  ['ScanlineLinearGradInput', [tf.ones([2, 3]), tf.ones([3, 5]), tf.ones([2, 4])], /weight has 3 x 5 values/],
  [
    'ScanlineLinearGradInput',
    [tf.ones([2, 5]), tf.ones([3, 4]), tf.ones([2, 4])],
    /dy has 2 x 5 values; it takes 2 x 3/,
  ],
  ['ScanlineLinearGradWeight', [tf.ones([3, 5]), tf.ones([2, 4])], /dy has 3 x 5 values; it takes 2 x 5/],
] as const) {
  test(`${name} refuses inputs that do not agree: ${message.source}`, () => {
    const outputs = name === 'ScanlineLinearGradWeight' ? 2 : 1;
    const attributes = { T: float32, gelu: false, ...(name === 'ScanlineLinear' && { training: false }) };
    assert.throws(() => ops(name, inputs, attributes, outputs), message);
  });
}
