// A trained classifier as the server sees it: images in, labels and probabilities out.
import { decodeImage, type ImageSize } from '../data/decode';
import { interpret, openClassifier, type Prediction } from '../engine/predict';
import { Refusal } from './refusal';
import type { Instance, ServedModel } from './served-model';

const FILES = ['image/png', 'image/jpeg', 'application/x-image', 'application/octet-stream'];

type Result = Omit<Prediction, 'path'>;

/** Numbers of a nested list, as many on each level as the shape says. @throws Refusal where there are others */
function flatten(values: unknown, shape: readonly number[], into: Float32Array, offset: number, where: string): number {
  const [size = 0, ...inner] = shape;
  if (!Array.isArray(values) || values.length !== size)
    throw new Refusal(
      `${where} must be a list of ${size}; it is ${Array.isArray(values) ? `one of ${values.length}` : typeof values}.`,
    );
  let end = offset;
  for (const [i, value] of values.entries()) {
    if (inner.length > 0) end = flatten(value, inner, into, end, `${where}[${i}]`);
    else if (typeof value === 'number' && Number.isFinite(Math.fround(value))) into[end++] = value;
    else throw new Refusal(`${where}[${i}] must be a finite number; it is ${JSON.stringify(value)}.`);
  }
  return end;
}

function pixelsOf(pixels: unknown, { height, width, channels }: ImageSize): Float32Array {
  const numbers = new Float32Array(height * width * channels);
  const isFlat =
    channels === 1 && Array.isArray(pixels) && Array.isArray(pixels[0]) && typeof pixels[0][0] === 'number';
  flatten(pixels, isFlat ? [height, width] : [height, width, channels], numbers, 0, 'pixels');
  return numbers;
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Opens a classifier.
 *
 * @param maxPixels of an image before it is resized
 * @throws UserError when the folder holds none, or it is damaged
 */
export async function serveClassifier(folder: string, maxPixels: number): Promise<ServedModel<Float32Array, Result>> {
  const { config, inference, close } = await openClassifier(folder);
  const { image, classes } = config;
  const length = image.height * image.width * image.channels;
  const read = async (instance: Instance): Promise<Float32Array> => {
    if (instance.kind === 'pixels') return pixelsOf(instance.pixels, image);
    const pixels = await decodeImage(instance.bytes, image, maxPixels).catch((error: Error) => {
      throw new Refusal(`the image cannot be read: ${error.message}`);
    });
    return Float32Array.from(pixels);
  };
  const run = async (inputs: readonly Float32Array[]) => {
    const batch = new Float32Array(inputs.length * length);
    for (const [i, pixels] of inputs.entries()) batch.set(pixels, i * length);
    const logits = await inference.logits(batch, inputs.length);
    return logits.map((row) => interpret(row, classes));
  };
  const write = (results: readonly Result[], type: string, single: boolean) => {
    if (type === 'text/csv') {
      const rows = results.map(({ label, probabilities }) =>
        [csvField(label), ...Object.values(probabilities)].join(','),
      );
      return Buffer.from(`${rows.join('\n')}\n`);
    }
    if (type === 'application/jsonlines')
      return Buffer.from(`${results.map((result) => JSON.stringify(result)).join('\n')}\n`);
    return Buffer.from(JSON.stringify(single ? results[0] : { predictions: results }));
  };
  const description = {
    name: config.hyperparameters.model_name,
    task: 'image classification',
    classes,
    input: image,
    accepts: [...FILES, 'application/json', 'application/jsonlines'],
    produces: ['application/json', 'application/jsonlines', 'text/csv'],
  };
  const warm = async () => {
    await run([new Float32Array(length)]);
  };
  return { description, warm, read, run, write, close };
}
