// One step of training as one program: forward, backward, update.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { type Program, type Runtime, scalar } from '../compiler/runtime';
import type { ImageSize } from '../data/decode';
import type { Batch } from '../data/loader';
import { crossEntropy } from '../losses/cross-entropy';
import { tf } from '../native/tensorflow';
import { allFinite, type LossScale, onlyIf } from './loss-scale';
import type { Model } from './model';
import type { Optimizer } from './optimizers';
import { type Normalization, normalize } from './preprocessing';

export interface StepOptions {
  readonly image: ImageSize;
  readonly normalize: Normalization;
  readonly classWeights?: readonly number[];
  /** Of the random numbers that the network draws. */
  readonly seed: number;
  /** Scales the loss, and skips steps whose gradients overflow; fp16 needs it. Compiled steps alone. @default none */
  readonly lossScale?: LossScale;
}

export interface StepResult {
  readonly loss: number;
  /** Images of the batch that were classified right, before the update. */
  readonly correct: number;
  /** Whether the weights stayed as they were, for the gradients overflowed. */
  readonly skipped: boolean;
}

type Input = 'images' | 'labels' | 'step' | 'rate' | 'epsilon' | 'decay' | 'scale';

/** How many rows have their largest logit at their label: for the body of a program. */
function countCorrect(logits: Tensor, labels: Tensor): Tensor {
  return tf.argMax(logits, 1).equal(labels).cast('float32').sum();
}

export class TrainingStep {
  private readonly program: Program<Input, 'loss' | 'correct' | 'finite'>;

  constructor(
    runtime: Runtime,
    model: Model,
    private readonly optimizer: Optimizer,
    private readonly options: StepOptions,
  ) {
    const { image, classWeights, seed, lossScale } = options;
    const number = { dtype: 'float32', shape: [] } as const;
    this.program = runtime.program(
      {
        images: { dtype: 'float32', shape: [-1, image.height, image.width, image.channels] },
        labels: { dtype: 'int32', shape: [-1] },
        step: { dtype: 'int32', shape: [] },
        ...{ rate: number, epsilon: number, decay: number, scale: number },
      },
      ({ images, labels, step, scale, ...coefficients }) => {
        const input = normalize(images, options.normalize);
        let correct: Tensor | undefined;
        const { loss, gradients } = model.gradients(
          input,
          (site) => ({ seed, site, step }),
          (logits) => {
            // kept: what is made inside a gradient's function is otherwise gone after it
            correct = tf.keep(countCorrect(logits, labels));
            const loss = crossEntropy(logits, labels, { classWeights });
            return lossScale ? loss.mul(scale) : loss;
          },
        );
        const result = { correct: correct as unknown as Tensor };
        if (lossScale === undefined) {
          optimizer.apply(gradients, coefficients);
          return { ...result, loss, finite: tf.scalar(1) };
        }
        const unscaled = [...gradients].map(([variable, gradient]) => [variable, gradient.div(scale)] as const);
        const finite = allFinite(unscaled.map(([, gradient]) => gradient));
        const { rate, epsilon, decay } = coefficients;
        optimizer.apply(new Map(unscaled.map(([variable, gradient]) => [variable, onlyIf(finite, gradient)])), {
          ...{ rate: onlyIf(finite, rate), epsilon: onlyIf(finite, epsilon), decay: onlyIf(finite, decay) },
        });
        return { ...result, loss: loss.div(scale), finite: finite.cast('float32') };
      },
    );
  }

  /** @param step 0 for the first of the training */
  async run(batch: Batch, learningRate: number, step: number): Promise<StepResult> {
    const { height, width, channels } = this.options.image;
    const { rate, epsilon, decay } = this.optimizer.coefficients(learningRate, step + 1);
    const { lossScale } = this.options;
    const { loss, correct, finite } = await this.program.run({
      images: { shape: [batch.count, height, width, channels], data: batch.images },
      labels: { shape: [batch.count], data: batch.labels },
      step: scalar.int(step),
      ...{ rate: scalar.float(rate), epsilon: scalar.float(epsilon), decay: scalar.float(decay) },
      scale: scalar.float(lossScale?.state.scale ?? 1),
    });
    const skipped = finite.data[0] === 0;
    lossScale?.update(!skipped);
    return { loss: loss.data[0] as number, correct: correct.data[0] as number, skipped };
  }
}
