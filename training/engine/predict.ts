// Predictions for image files, by a classifier in a folder.
import { statSync } from 'node:fs';
import { CompiledRuntime } from '../compiler/compiled';
import { imagesBelow } from '../data/image-folders';
import { DecodePool, Loader, type OnBadFile } from '../data/loader';
import { UserError } from '../errors';
import { inspectMachine } from '../native/machine';
import { backend, native } from '../native/tensorflow';
import { type OpenClassifier, openClassifier } from './artifact';
import { argmax, softmax } from './metrics/classification';

export interface Prediction {
  readonly path: string;
  /** Name of the most probable class. */
  readonly label: string;
  /** By name of the class. */
  readonly probabilities: Readonly<Record<string, number>>;
}

/** Label and probabilities from logits. */
export function interpret(logits: readonly number[], classes: readonly string[]): Omit<Prediction, 'path'> {
  const probabilities = softmax(logits);
  return {
    label: classes[argmax(logits)] as string,
    probabilities: Object.fromEntries(classes.map((name, i) => [name, probabilities[i] as number])),
  };
}

/** A classifier on all cores of this machine, or on its GPU. */
export async function openForInference(folder: string): Promise<OpenClassifier & { close(): void }> {
  const threads = inspectMachine().cores;
  native.setKernelThreads(threads);
  const runtime = new CompiledRuntime({ threads, gpu: backend.binding.isUsingGpuDevice() });
  return { ...(await openClassifier(folder, runtime)), close: () => runtime.dispose() };
}

/** Images of a batch: large enough to fill the cores, small enough to give results soon. */
const BATCH = 32;

/**
 * Predictions for an image, or for all images below a folder, in the order of their paths.
 *
 * @throws UserError when there is no model or no image
 */
export async function* predict(
  modelFolder: string,
  data: string,
  options: { workers: number; onBadFile: OnBadFile; report: (path: string, reason: string) => void },
): AsyncGenerator<Prediction> {
  const isFile = statSync(data, { throwIfNoEntry: false })?.isFile();
  if (isFile === undefined) throw new UserError(`there is no image or folder ${data}.`, 'check the path.');
  const paths = isFile ? [data] : imagesBelow(data).images;
  if (paths.length === 0)
    throw new UserError(`${data} holds no PNG or JPEG image.`, 'give an image, or a folder of images.');
  const { config, inference, close } = await openForInference(modelFolder);
  const pool = new DecodePool(options.workers);
  try {
    const samples = paths.map((path) => ({ path, label: 0 }));
    const loader = new Loader({
      samples,
      size: config.image,
      batchSize: BATCH,
      pool,
      onBadFile: options.onBadFile,
      report: options.report,
    });
    for await (const batch of loader.epoch(0)) {
      const logits = await inference.logits(batch.images, batch.count);
      for (const [i, index] of batch.indices.entries())
        yield { path: paths[index] as string, ...interpret(logits[i] as number[], config.classes) };
    }
  } finally {
    await pool.close();
    close();
  }
}
