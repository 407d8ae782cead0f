// What the fit loop needs to know of a task: batches to learn from, what is minimised, and how good the model is.
import type { Loss } from '../../losses';
import type { Image } from '../../tracking/events';
import type { ModelConfig } from '../artifact';
import type { Inference } from '../prediction/inference';

/** Samples that are learned from together. */
export interface TaskBatch {
  /** Its number in the epoch, from 0. */
  readonly number: number;
  readonly count: number;
  /** [count, ...sample], as the config's sample shape is. */
  readonly images: Float32Array;
  /** Numbers of the classes: [count] for images, [count, I, J, K] for volumes. */
  readonly labels: Int32Array;
}

export interface TaskLoader {
  /** Batches of an epoch. */
  readonly batches: number;
  /** The batches of an epoch, from the given one on. */
  epoch(epoch: number, firstBatch: number): AsyncIterable<TaskBatch>;
}

/** Metrics by their names, without the part's: loss, accuracy, dice. */
export type Scores = Readonly<Record<string, number>>;

/** How good a model is on a part of the data. */
export interface Validation {
  readonly overall: Scores;
  /** Of each class, as `dice/grey matter`. */
  readonly ofClasses: Scores;
}

export interface Task {
  readonly config: ModelConfig;
  /** What samples are, for people. */
  readonly samples: 'images' | 'volumes';
  /** What identifies the training and validation data: a training is resumed on the same alone. */
  readonly fingerprint: string;
  readonly train: TaskLoader;
  readonly loss: Loss;
  /** The metric that tells which model is the best, where none is asked for. */
  readonly monitor: string;
  validate(inference: Inference): Promise<Validation>;
  /** What the network sees of a batch, for people. */
  picture(batch: TaskBatch): Promise<Image>;
  /** Undefined where there is no test part. */
  readonly test: ((inference: Inference) => Promise<Validation>) | undefined;
  /** Samples that could not be read so far, and were left out. */
  leftOut(): number;
  close(): Promise<void>;
}

/** Metrics of classes by `metric/class`, those that exist. */
export function scoresOfClasses(classes: readonly { readonly name: string }[], metrics: readonly string[]): Scores {
  const all = classes.flatMap((scores) =>
    metrics.map((metric): [string, unknown] => [
      `${metric}/${scores.name}`,
      (scores as Record<string, unknown>)[metric],
    ]),
  );
  return Object.fromEntries(all.filter((entry): entry is [string, number] => Number.isFinite(entry[1])));
}
