// The cross-entropy and its gradient against PyTorch's, plain and weighted by class (test/oracle/torch_fixtures.py).
import { test } from 'node:test';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { ClassificationCounter } from '../../../training/engine/metrics';
import { tf } from '../../../training/native/tensorflow';
import { crossEntropy } from '../../../training/ops/loss';
import { assertClose } from '../assert-close';
import { readFixture } from '../fixture';

interface Expected {
  readonly loss: number;
  readonly gradient: number[][];
}
const { logits, labels, weights, plain, weighted } = readFixture<{
  loss: { logits: number[][]; labels: number[]; weights: number[]; plain: Expected; weighted: Expected };
}>('torch.json').loss;

const cases = {
  plain: { expected: plain, classWeights: undefined },
  weighted: { expected: weighted, classWeights: weights },
};

for (const [name, { expected, classWeights }] of Object.entries(cases)) {
  test(`the ${name} cross-entropy and its gradient are PyTorch's`, () => {
    const loss = (x: Tensor) => crossEntropy(x, tf.tensor1d(labels, 'int32'), classWeights);
    const { value, grad } = tf.valueAndGrad(loss)(tf.tensor2d(logits));
    assertClose(value.dataSync(), [expected.loss], 1e-6 * expected.loss, 'loss');
    assertClose(grad.dataSync(), expected.gradient.flat(), 1e-6, 'gradient');
  });

  test(`the ${name} loss that is counted over a data set is PyTorch's`, () => {
    const counter = new ClassificationCounter(['a', 'b', 'c'], classWeights);
    for (const [i, row] of logits.entries()) counter.add(row, labels[i] as number);
    assertClose([counter.result().loss], [expected.loss], 1e-6 * expected.loss, 'loss');
  });
}
