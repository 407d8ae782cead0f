// Predictions for images or volumes, by a model in a folder.
import { statSync } from 'node:fs';
import { CompiledRuntime } from '../../compiler/compiled';
import { imagesBelow } from '../../data/image-folders';
import { DecodePool, Loader, type OnBadFile } from '../../data/loader';
import { UserError } from '../../errors';
import { inspectMachine } from '../../native/machine';
import { backend, native } from '../../native/tensorflow';
import { classifies, type OpenClassifier, type OpenModel, openModel, type SegmenterConfig } from '../artifact';
import { argmax, softmax } from '../metrics/classification';
import { predictVolumes, type VolumePrediction } from './predict-volumes';

/** What a classifier says of an image. */
export interface Prediction {
  /** Of the image, as it was given. */
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

/** A model on all cores of this machine, or on its GPU. */
export async function openForInference(folder: string): Promise<OpenModel & { close(): void }> {
  const threads = inspectMachine().cores;
  native.setKernelThreads(threads);
  const runtime = new CompiledRuntime({ threads, gpu: backend.binding.isUsingGpuDevice() });
  return { ...(await openModel(folder, runtime)), close: () => runtime.dispose() };
}

/** A classifier on all cores of this machine, or on its GPU. @throws UserError where the model is no classifier */
export async function openClassifier(folder: string): Promise<OpenClassifier & { close(): void }> {
  const model = await openForInference(folder);
  const { close } = model;
  if (classifies(model)) return { ...model, close };
  close();
  throw new UserError(`${folder} holds a model that segments volumes.`, 'give the model of a classifier.');
}

/** Images of a batch: large enough to fill the cores, small enough to give results soon. */
const BATCH = 32;

export interface PredictOptions {
  /** Threads that read files. */
  readonly workers: number;
  readonly onBadFile: OnBadFile;
  readonly report: (path: string, reason: string) => void;
  /** Gets the masks of volumes. */
  readonly out?: string;
}

/**
 * Predictions for an image or a volume, or for all below a folder, in the order of their paths; of volumes the masks are written.
 *
 * @throws UserError when there is no model, nothing to predict, or no folder for masks
 */
export async function* predict(
  modelFolder: string,
  data: string,
  { out, ...options }: PredictOptions,
): AsyncGenerator<Prediction | VolumePrediction> {
  const model = await openForInference(modelFolder);
  try {
    if (classifies(model)) {
      yield* predictImages(model, data, options);
      return;
    }
    if (out === undefined)
      throw new UserError('the model segments volumes, and there is no folder for the masks.', 'give one with --out.');
    yield* predictVolumes(model as OpenModel<SegmenterConfig>, data, { ...options, out });
  } finally {
    model.close();
  }
}

async function* predictImages(
  { config, inference }: OpenClassifier,
  data: string,
  options: Omit<PredictOptions, 'out'>,
): AsyncGenerator<Prediction> {
  const isFile = statSync(data, { throwIfNoEntry: false })?.isFile();
  if (isFile === undefined) throw new UserError(`there is no image or folder ${data}.`, 'check the path.');
  const paths = isFile ? [data] : imagesBelow(data).images;
  if (paths.length === 0)
    throw new UserError(`${data} holds no PNG or JPEG image.`, 'give an image, or a folder of images.');
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
  }
}
