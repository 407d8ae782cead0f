// A trained classifier as the server sees it: images in, labels and probabilities out.
import { decodeImage, type ImageSize } from '../data/decode';
import { decodeDicomImage } from '../data/dicom-image';
import { isDicomFile } from '../data/volumes/dicom-file';
import type { OpenClassifier } from '../engine/artifact';
import { interpret, type Prediction } from '../engine/prediction/predict';
import { onlyFile, writeJson } from './answers';
import { mapOf, overlay, rowsOf } from './explanations';
import { Refusal } from './refusal';
import type { Asked, Instance, ServedModel } from './served-model';

/** The answer that is a picture: of where the model has looked. */
const PICTURE = 'image/png';

const FILES = ['image/png', 'image/jpeg', 'application/dicom', 'application/x-image', 'application/octet-stream'];

interface Input {
  /** [height, width, channels] */
  readonly pixels: Float32Array;
  readonly asked: Asked;
}

/** Where the model has looked. */
interface Explained {
  readonly kind: string;
  /** The class that a class activation map is of: the most probable one. */
  readonly class: string;
  /** Rows of a grid over the whole image. */
  readonly map: readonly (readonly number[])[];
}

interface Output {
  readonly result: Omit<Prediction, 'path'> & { readonly explanation?: Explained };
  readonly file?: Buffer;
}

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

/** How the files begin that are handed to the decoder; what else it knows, SVG above all, could make it read other files or never end. */
const PICTURES = [Buffer.from('89504e470d0a1a0a', 'hex'), Buffer.from('ffd8ff', 'hex')];

/** The pixels of a file at the network's size. @throws Refusal where it cannot be read */
async function pixelsOfFile(bytes: Buffer, size: ImageSize, maxPixels: number): Promise<Float32Array> {
  try {
    if (isDicomFile(bytes)) return await decodeDicomImage(bytes, size, maxPixels);
    if (!PICTURES.some((magic) => bytes.subarray(0, magic.length).equals(magic)))
      throw new Error('it is neither PNG nor JPEG nor DICOM');
    return Float32Array.from(await decodeImage(bytes, size, maxPixels));
  } catch (error) {
    throw new Refusal(`the image cannot be read: ${(error as Error).message}`);
  }
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * Serves a classifier.
 *
 * @param maxPixels of an image before it is resized
 */
export function serveClassifier(
  { config, inference, close }: OpenClassifier & { close(): void },
  maxPixels: number,
): ServedModel<Input, Output> {
  const { image, classes } = config;
  const length = image.height * image.width * image.channels;
  const { explanation } = inference;
  const read = async (instance: Instance, asked: Asked): Promise<Input> => {
    if (asked.explain && explanation === undefined)
      throw new Refusal(`${config.hyperparameters.model_name} cannot say where it has looked; ask without explain.`);
    if (instance.kind === 'pixels') return { pixels: pixelsOf(instance.pixels, image), asked };
    return { pixels: await pixelsOfFile(instance.bytes, image, maxPixels), asked };
  };
  const stacked = (inputs: readonly Input[]) => {
    const batch = new Float32Array(inputs.length * length);
    for (const [i, { pixels }] of inputs.entries()) batch.set(pixels, i * length);
    return batch;
  };
  const classify = async (inputs: readonly Input[]): Promise<Output[]> => {
    const logits = await inference.logits(stacked(inputs), inputs.length);
    return logits.map((row) => ({ result: interpret(row, classes) }));
  };
  const explain = async (inputs: readonly Input[]): Promise<Output[]> => {
    const { logits, maps } = await inference.explain(stacked(inputs), inputs.length);
    const rows = logits.data as Float32Array;
    return Promise.all(
      inputs.map(async ({ pixels, asked }, i) => {
        const result = interpret(Array.from(rows.subarray(i * classes.length, (i + 1) * classes.length)), classes);
        const map = mapOf(maps, i, classes.indexOf(result.label));
        if (asked.type === PICTURE) return { result, file: await overlay(pixels, image, map) };
        return {
          result: { ...result, explanation: { kind: explanation as string, class: result.label, map: rowsOf(map) } },
        };
      }),
    );
  };
  /** Those that ask for an explanation run apart from the others, whose graph is smaller. */
  const run = async (inputs: readonly Input[]): Promise<Output[]> => {
    const isExplained = ({ asked }: Input) => asked.explain || asked.type === PICTURE;
    const [explained, plain] = [inputs.filter(isExplained), inputs.filter((input) => !isExplained(input))];
    const answered = new Map<Input, Output>();
    for (const [some, answer] of [
      [explained, explain],
      [plain, classify],
    ] as const)
      if (some.length > 0)
        for (const [i, output] of (await answer(some)).entries()) answered.set(some[i] as Input, output);
    return inputs.map((input) => answered.get(input) as Output);
  };
  const write = (outputs: readonly Output[], type: string, single: boolean) => {
    const results = outputs.map(({ result }) => result);
    if (type === PICTURE)
      return onlyFile(
        outputs.map(({ file }) => file),
        type,
      );
    if (type !== 'text/csv') return writeJson(results, type, single);
    const rows = results.map(({ label, probabilities }) =>
      [csvField(label), ...Object.values(probabilities)].join(','),
    );
    return Buffer.from(`${rows.join('\n')}\n`);
  };
  const description = {
    name: config.hyperparameters.model_name,
    task: 'image classification',
    classes,
    input: image,
    ...(explanation && { explanation }),
    accepts: [...FILES, 'application/json', 'application/jsonlines'],
    produces: ['application/json', 'application/jsonlines', 'text/csv', ...(explanation ? [PICTURE] : [])],
  };
  const warm = async () => {
    await inference.logits(new Float32Array(length), 1);
  };
  return { description, warm, read, run, write, close };
}
