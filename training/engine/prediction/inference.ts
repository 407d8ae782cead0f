// What a model says of images: logits for batches, metrics over a data set.
import type { Program, Runtime, Values } from '../../compiler/runtime';
import type { Batch, Loader } from '../../data/loader';
import { UserError } from '../../errors';
import type { Explanation } from '../../models/network';
import { ClassificationCounter, type ClassificationMetrics } from '../metrics/classification';
import type { Averages, Model } from '../model';
import type { NetworkInput } from './preprocessing';

/** The inference program of a model: samples in, logits out. */
export class Inference {
  private program: Program<'images', 'logits'> | undefined;
  private explaining: Program<'images', 'logits' | 'maps'> | undefined;
  private readonly sample: readonly number[];
  private readonly prepare: NetworkInput['prepare'];

  constructor(
    private readonly runtime: Runtime,
    private readonly model: Model,
    { sample, prepare }: NetworkInput,
    private readonly averages?: Averages,
  ) {
    this.sample = sample;
    this.prepare = prepare;
  }

  /** Records the program, which the first run does otherwise. */
  record(): Program<'images', 'logits'> {
    this.program ??= this.runtime.program(
      { images: { dtype: 'float32', shape: [-1, ...this.sample] } },
      ({ images }) => ({ logits: this.model.infer(this.prepare(images), this.averages) }),
    );
    return this.program;
  }

  /** @param samples [count, ...sample] @returns logits, [count, classes] of images, [count, I, J, K, classes] of volumes */
  async run(samples: Float32Array, count: number): Promise<Float32Array> {
    const { logits } = await this.record().run({ images: { shape: [count, ...this.sample], data: samples } });
    return logits.data as Float32Array;
  }

  /** What the network's maps are of; undefined where it has none. */
  get explanation(): Explanation['kind'] | undefined {
    return this.model.network.explanation?.kind;
  }

  /**
   * Logits, and where the network has looked; prepared on the first call, for few ask for it.
   *
   * @returns logits [count, classes] and maps [count, ...coarser, classes or 1]
   */
  async explain(samples: Float32Array, count: number): Promise<{ logits: Values; maps: Values }> {
    this.explaining ??= this.runtime.program(
      { images: { dtype: 'float32', shape: [-1, ...this.sample] } },
      ({ images }) => this.model.explain(this.prepare(images)),
    );
    return this.explaining.run({ images: { shape: [count, ...this.sample], data: samples } });
  }

  /** @param images [count, H, W, C] @returns logits of each image */
  async logits(images: Float32Array, count: number): Promise<number[][]> {
    const logits = await this.run(images, count);
    const classes = logits.length / count;
    return Array.from({ length: count }, (_, row) => Array.from(logits.subarray(row * classes, (row + 1) * classes)));
  }
}

/**
 * Counts a model's predictions over all images of a loader.
 *
 * @throws UserError when there is none that can be read
 */
export async function evaluate(
  inference: Inference,
  loader: Loader,
  classes: readonly string[],
  options: { classWeights?: readonly number[]; onBatch?: (batch: Batch, logits: readonly number[][]) => void } = {},
): Promise<ClassificationMetrics> {
  const counter = new ClassificationCounter(classes, options.classWeights);
  for await (const batch of loader.epoch(0)) {
    const logits = await inference.logits(batch.images, batch.count);
    logits.forEach((row, i) => {
      counter.add(row, batch.labels[i] as number);
    });
    options.onBatch?.(batch, logits);
  }
  const metrics = counter.result();
  if (metrics.count === 0)
    throw new UserError(
      `none of the ${loader.bad.size} images to evaluate on could be read.`,
      'check the files, and that they are PNG or JPEG.',
    );
  return metrics;
}
