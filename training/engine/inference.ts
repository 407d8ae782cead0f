// What a model says of images: logits for batches, metrics over a data set.
import type { Program, Runtime } from '../compiler/runtime';
import type { ImageSize } from '../data/decode';
import type { Batch, Loader } from '../data/loader';
import { UserError } from '../errors';
import { ClassificationCounter, type ClassificationMetrics } from './metrics/classification';
import type { Averages, Model } from './model';
import { type Normalization, normalize } from './preprocessing';

/** The inference program of a model: raw pixel values in, logits out. */
export class Inference {
  private readonly program: Program<'images', 'logits'>;

  constructor(
    runtime: Runtime,
    model: Model,
    private readonly image: ImageSize,
    normalization: Normalization,
    averages?: Averages,
  ) {
    const shape = [-1, image.height, image.width, image.channels];
    this.program = runtime.program({ images: { dtype: 'float32', shape } }, ({ images }) => ({
      logits: model.infer(normalize(images, normalization), averages),
    }));
  }

  /** @param images raw pixel values, [count, height, width, channels] @returns logits of each image */
  async logits(images: Float32Array, count: number): Promise<number[][]> {
    const { height, width, channels } = this.image;
    const { logits } = await this.program.run({ images: { shape: [count, height, width, channels], data: images } });
    const classes = logits.shape[1] as number;
    return Array.from({ length: count }, (_, row) =>
      Array.from(logits.data.slice(row * classes, (row + 1) * classes) as Float32Array),
    );
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
