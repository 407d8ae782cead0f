// Losses and their gradients against MONAI's and PyTorch's (test/oracle/training/loss_fixtures.py, torch_fixtures.py).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { CompiledRuntime } from '../../../training/compiler/compiled';
import { ClassificationCounter } from '../../../training/engine/metrics/classification';
import { crossEntropy, diceLoss, focalLoss, type LossOptions, makeLoss } from '../../../training/losses';
import { hasBf16, inspectMachine } from '../../../training/native/machine';
import { tf } from '../../../training/native/tensorflow';
import { convolve } from '../../../training/ops/convolution';
import { assertClose } from '../assert-close';
import { readFixture } from '../fixture';

interface Case {
  readonly input: string;
  readonly options: LossOptions;
  readonly loss: number;
  readonly gradient: number[];
}
interface Input {
  readonly shape: number[];
  readonly logits: number[];
  readonly labels: number[];
  readonly ignoring: number[];
}
const { inputs, cases } = readFixture<{ inputs: Record<string, Input>; cases: Record<string, Case> }>('losses.json');

for (const [title, { input, options, loss, gradient }] of Object.entries(cases)) {
  const { shape, logits, ...labels } = inputs[input] as Input;
  const chosen = options.ignoreIndex === undefined ? labels.labels : labels.ignoring;

  test(`${title}: loss and gradient are MONAI's or PyTorch's, in a graph of unknown batch size`, async () => {
    const runtime = new CompiledRuntime({ threads: 1 });
    const program = runtime.program(
      {
        logits: { dtype: 'float32', shape: [-1, ...shape.slice(1)] },
        labels: { dtype: 'int32', shape: [-1, ...shape.slice(1, -1)] },
      },
      (given) => {
        const { value, grad } = tf.valueAndGrad((x: Tensor) => makeLoss(options)(x, given.labels))(given.logits);
        return { loss: value, gradient: grad };
      },
    );
    const found = await program.run({
      logits: { shape, data: Float32Array.from(logits) },
      labels: { shape: shape.slice(0, -1), data: Int32Array.from(chosen) },
    });
    runtime.dispose();
    assertClose(found.loss.data, [loss], 2e-6 * Math.max(1, loss), 'loss');
    assertClose(found.gradient.data, gradient, 1e-6, 'gradient');
  });
}

const { logits, labels, weights, weighted } = readFixture<{
  loss: { logits: number[][]; labels: number[]; weights: number[]; weighted: { loss: number } };
}>('torch.json').loss;

test('the weighted loss that is counted over a data set is that of PyTorch, for logits far apart too', () => {
  const counter = new ClassificationCounter(['a', 'b', 'c'], weights);
  for (const [i, row] of logits.entries()) counter.add(row, labels[i] as number);
  assertClose([counter.result().loss], [weighted.loss], 1e-6 * weighted.loss, 'loss');
});

test('where every label is ignored the cross-entropy and its gradient are 0', () => {
  const { value, grad } = tf.valueAndGrad((x: Tensor) =>
    crossEntropy(x, tf.tensor1d([9, 9], 'int32'), { ignoreIndex: 9, classWeights: [1, 2] }),
  )(tf.tensor2d([1, 2, 3, 4], [2, 2]));
  assertClose([...value.dataSync(), ...grad.dataSync()], [0, 0, 0, 0, 0], 0, 'loss and gradient');
});

test('the losses of logits far apart are finite, and so are their gradients', () => {
  const far = tf.tensor3d([500, -500, -500, 500, 0, 0], [1, 3, 2]);
  for (const name of ['cross_entropy', 'dice', 'dice_ce', 'focal', 'tversky'] as const) {
    for (const activation of ['softmax', 'sigmoid'] as const) {
      const loss = makeLoss({ name, activation, gamma: 0.5 });
      const { value, grad } = tf.valueAndGrad((x: Tensor) => loss(x, tf.tensor2d([[1, 1, 0]], [1, 3], 'int32')))(far);
      const numbers = [...value.dataSync(), ...grad.dataSync()];
      assert.ok(numbers.every(Number.isFinite), `${name} of ${activation}: ${numbers}`);
    }
  }
});

test('class weights of another number than the classes, and a softmax of one class, are refused', () => {
  const [two, one] = [tf.zeros([1, 4, 2]), tf.zeros([1, 4, 1])];
  const zeros = tf.zeros([1, 4], 'int32');
  assert.throws(() => crossEntropy(two, zeros, { classWeights: [1] }), /1 class weights for 2 classes/);
  assert.throws(() => diceLoss(two, zeros, { classWeights: [1, 2, 3] }), /3 class weights for 2 classes/);
  assert.throws(() => diceLoss(one, zeros), /needs the activation sigmoid/);
  assert.throws(() => focalLoss(one, zeros), /needs the activation sigmoid/);
});

const withoutBf16 = hasBf16(inspectMachine()) ? false : 'this processor has no bfloat16 instructions';
const [SIDE, CHANNELS] = [256, 4];

/** Loss of 2 x 256 x 256 logits that a convolution makes, and its gradient by the kernel. */
async function throughConvolution(options: LossOptions, precision: 'fp32' | 'bf16') {
  const runtime = new CompiledRuntime({ threads: 2, precision });
  const program = runtime.program(
    {
      images: { dtype: 'float32', shape: [-1, SIDE, SIDE, CHANNELS] },
      kernel: { dtype: 'float32', shape: [3, 3, CHANNELS, 3] },
      labels: { dtype: 'int32', shape: [-1, SIDE, SIDE] },
    },
    ({ images, kernel, labels }) => {
      const loss = (weight: Tensor) => makeLoss(options)(convolve(images, weight, { padding: 1 }), labels);
      const { value, grad } = tf.valueAndGrad(loss)(kernel);
      return { loss: value, gradient: grad };
    },
  );
  const values = (length: number, of: (i: number) => number) => Float32Array.from({ length }, (_, i) => of(i));
  const count = 2 * SIDE * SIDE;
  const { loss, gradient } = await program.run({
    images: { shape: [2, SIDE, SIDE, CHANNELS], data: values(count * CHANNELS, (i) => Math.sin(i * i)) },
    kernel: { shape: [3, 3, CHANNELS, 3], data: values(9 * CHANNELS * 3, (i) => Math.cos(3 * i) / 3) },
    labels: { shape: [2, SIDE, SIDE], data: Int32Array.from({ length: count }, (_, i) => (i >> 3) % 3) },
  });
  runtime.dispose();
  return { loss: loss.data[0] as number, gradient: gradient.data as Float32Array };
}

for (const name of ['cross_entropy', 'dice', 'dice_ce', 'focal', 'tversky'] as const) {
  test(`${name} of bfloat16 logits is summed in float32`, { skip: withoutBf16 }, async () => {
    const [exact, mixed] = [await throughConvolution({ name }, 'fp32'), await throughConvolution({ name }, 'bf16')];
    assertClose([mixed.loss], [exact.loss], 1e-3 * exact.loss, 'loss');
    const largest = Math.max(...exact.gradient.map(Math.abs));
    assertClose(mixed.gradient, exact.gradient, 0.02 * largest, 'gradient');
  });
}
