// Where classifiers have looked: class activation maps of those that end in a mean, and attention of transformers.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { globalAveragePool } from '../ops/convolution';
import { reshape, slice } from '../ops/layout';
import { linear, type SeeAttention } from '../ops/linear';
import { dense, sequential } from './layers';
import type { Explanation, Layer, Network, Pass, Scope } from './network';

/**
 * A classifier that ends in a global mean and a fully connected layer: so each place's share in a class can be told, by the same weights
 * without the mean (Zhou et al., https://arxiv.org/abs/1512.04150, section 2; the bias belongs to no place).
 *
 * @param body gives features [N, ...spatial, channels]
 * @param scope of the fully connected layer
 */
export function pooledClassifier(
  body: Layer,
  scope: Scope,
  channels: number,
  classes: number,
): Pick<Network, 'forward' | 'explanation'> {
  const head = sequential(
    globalAveragePool,
    dense(scope, channels, classes, { biasInitial: { kind: 'constant', value: 0 } }),
  );
  const weight = scope.nameOf('weight');
  return {
    forward: sequential(body, head),
    explanation: {
      kind: 'class activation',
      forward: (x, pass) => {
        const features = body(x, pass);
        return { logits: head(features, pass), maps: linear(features, pass.parameter(weight)) };
      },
    },
  };
}

/**
 * How much the first token heeds each of the others, the mean over the heads: [N, heads, 1, 1 + tokens] -> [N, ...grid, 1]
 */
function attentionOfFirst(weights: Tensor, grid: readonly number[]): Tensor {
  const [, heads, , length] = weights.shape as [number, number, number, number];
  const ofFirst = slice(weights, [0, 0, 1], [heads, 1, length - 1]);
  return reshape(ofFirst.mean(1), [-1, ...grid, 1]);
}

/** Where a transformer has looked, by what its class token heeds. @param classify tells of the weights of its last block */
export function explainByAttention(
  classify: (x: Tensor, pass: Pass, see: SeeAttention) => Tensor,
  grid: readonly number[],
): Explanation {
  return {
    kind: 'attention',
    forward: (x, pass) => {
      let weights: Tensor | undefined;
      const logits = classify(x, pass, (seen) => {
        weights = seen;
      });
      return { logits, maps: attentionOfFirst(weights as Tensor, grid) };
    },
  };
}
