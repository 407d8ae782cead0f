// One step of training as one program: forward, backward, update.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { type Program, type Runtime, scalar } from '../compiler/runtime';
import type { ImageSize } from '../data/decode';
import type { Batch } from '../data/loader';
import { crossEntropy, type Loss } from '../losses';
import { tf } from '../native/tensorflow';
import type { Model } from './model';
import type { Optimizer } from './optimization/optimizers';
import { type UpdateInput, type UpdateOptions, Updater } from './optimization/updater';
import { type Normalization, normalize } from './preprocessing';

export interface StepOptions extends UpdateOptions {
  readonly image: ImageSize;
  readonly normalize: Normalization;
  /** @default the cross-entropy */
  readonly loss?: Loss;
  /** Of the random numbers that the network draws. */
  readonly seed: number;
}

export interface StepResult {
  readonly loss: number;
  /** Images of the batch that were classified right, before the update. */
  readonly correct: number;
  /** Whether the weights were to be moved: not, while gradients are summed over batches. */
  readonly updated: boolean;
  /** Whether the weights stayed as they were, for the gradients overflowed. */
  readonly skipped: boolean;
}

/** Where in a training a step stands. */
export interface StepPlace {
  /** Updates of the weights so far. @default the number of the step */
  readonly update?: number;
  /** Whether it is the last of its epoch: gradients are not summed any further. @default false */
  readonly last?: boolean;
}

type Input = 'pixels' | 'labels' | 'step' | UpdateInput;

/** How many rows have their largest logit at their label: for the body of a program. */
function countCorrect(logits: Tensor, labels: Tensor): Tensor {
  return tf.argMax(logits, 1).equal(labels).cast('float32').sum();
}

export class TrainingStep {
  readonly updater: Updater;
  private readonly program: Program<Input, 'loss' | 'correct' | 'finite'>;

  constructor(
    runtime: Runtime,
    model: Model,
    optimizer: Optimizer,
    private readonly options: StepOptions,
  ) {
    const { image, loss = crossEntropy, seed, normalize: normalization, ...updates } = options;
    const updater = new Updater(runtime, model.trained, optimizer, updates);
    this.updater = updater;
    this.program = runtime.program(
      {
        pixels: { dtype: 'float32', shape: [-1, image.height, image.width, image.channels] },
        labels: { dtype: 'int32', shape: [-1] },
        step: { dtype: 'int32', shape: [] },
        ...updater.inputs,
      },
      ({ pixels, labels, step, ...numbers }) => {
        let result: { loss: Tensor; correct: Tensor } | undefined;
        const { gradients } = model.gradients(
          normalize(pixels, normalization),
          (site) => ({ seed, site, step }),
          (logits) => {
            const value = loss(logits, labels);
            // kept: what is made inside a gradient's function is otherwise gone after it
            result = { loss: tf.keep(value.clone()), correct: tf.keep(countCorrect(logits, labels)) };
            return updater.scale(value, numbers.scale);
          },
        );
        const finite = updater.take(gradients, numbers);
        return { ...(result as { loss: Tensor; correct: Tensor }), finite };
      },
    );
  }

  /** @param step 0 for the first of the training; dropout draws by it */
  async run(batch: Batch, learningRate: number, step: number, place: StepPlace = {}): Promise<StepResult> {
    const { height, width, channels } = this.options.image;
    const { update = step, last = false } = place;
    const { loss, correct, finite } = await this.program.run({
      pixels: { shape: [batch.count, height, width, channels], data: batch.images },
      labels: { shape: [batch.count], data: batch.labels },
      step: scalar.int(step),
      ...this.updater.feeds(learningRate, update, batch.count),
    });
    const moved = await this.updater.settle(finite.data[0] !== 0, { learningRate, update, images: batch.count, last });
    return { loss: loss.data[0] as number, correct: correct.data[0] as number, ...moved };
  }
}
