// One step of training as one program: forward, backward, update.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { type Program, type Runtime, scalar } from '../compiler/runtime';
import { crossEntropy, deepSupervisionLoss, type Loss } from '../losses';
import { tf } from '../native/tensorflow';
import type { Model } from './model';
import type { UpdateInput, Updater } from './optimization/updater';
import type { NetworkInput } from './prediction/preprocessing';
import type { TaskBatch } from './tasks/task';

export interface StepOptions extends NetworkInput {
  /** @default the cross-entropy */
  readonly loss?: Loss;
  /** Of the random numbers that the network draws. */
  readonly seed: number;
  /** Whether parts of the network are computed again for their gradients, which takes time and saves memory. @default false */
  readonly checkpointing?: boolean;
}

export interface StepResult {
  readonly loss: number;
  /** Samples of the batch that were classified right before the update; of a volume the share of its voxels. */
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

/** How many samples have their largest logit at their label, each by its share of voxels: for the body of a program. */
function countCorrect(logits: Tensor, labels: Tensor): Tensor {
  const right = tf.argMax(logits, -1).equal(labels).cast('float32');
  const voxels = Array.from({ length: labels.rank - 1 }, (_, axis) => axis + 1);
  return (voxels.length === 0 ? right : right.mean(voxels)).sum();
}

export class TrainingStep {
  /** Of a sample: none for a class, a volume's for a segmentation. */
  private readonly labelShape: readonly number[];
  private readonly program: Program<Input, 'loss' | 'correct' | 'finite'>;

  constructor(
    runtime: Runtime,
    model: Model,
    readonly updater: Updater,
    private readonly options: StepOptions,
  ) {
    const { sample, loss = crossEntropy, seed, prepare, checkpointing } = options;
    this.labelShape = sample.length === 3 ? [] : sample.slice(0, -1);
    this.program = runtime.program(
      {
        pixels: { dtype: 'float32', shape: [-1, ...sample] },
        labels: { dtype: 'int32', shape: [-1, ...this.labelShape] },
        step: { dtype: 'int32', shape: [] },
        ...updater.inputs,
      },
      ({ pixels, labels, step, ...numbers }) => {
        let result: { loss: Tensor; correct: Tensor } | undefined;
        const { gradients } = model.gradients(
          prepare(pixels),
          (site) => ({ seed, site, step }),
          (logits, levels) => {
            const value = deepSupervisionLoss(loss, levels, labels);
            // kept: what is made inside a gradient's function is otherwise gone after it
            result = { loss: tf.keep(value.clone()), correct: tf.keep(countCorrect(logits, labels)) };
            return updater.scale(value, numbers.scale);
          },
          checkpointing,
        );
        const finite = updater.take(gradients, numbers);
        return { ...(result as { loss: Tensor; correct: Tensor }), finite };
      },
    );
  }

  /** @param step 0 for the first of the training; dropout draws by it */
  async run(
    batch: Omit<TaskBatch, 'number'>,
    learningRate: number,
    step: number,
    place: StepPlace = {},
  ): Promise<StepResult> {
    const { update = step, last = false } = place;
    const { loss, correct, finite } = await this.program.run({
      pixels: { shape: [batch.count, ...this.options.sample], data: batch.images },
      labels: { shape: [batch.count, ...this.labelShape], data: batch.labels },
      step: scalar.int(step),
      ...this.updater.feeds(learningRate, update, batch.count),
    });
    const moved = await this.updater.settle(finite.data[0] !== 0, { learningRate, update, images: batch.count, last });
    return { loss: loss.data[0] as number, correct: correct.data[0] as number, ...moved };
  }
}
