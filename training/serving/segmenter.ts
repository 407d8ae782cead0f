// A trained segmenter as the server sees it: volumes in, masks, pictures of them and the classes' volumes out.
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { picture } from '../data/inspection/picture';
import { encodeNifti } from '../data/volumes/nifti';
import { prepareTransforms } from '../data/volumes/recipe';
import { applyTransforms } from '../data/volumes/transforms';
import { type Sample, spacingOf, voxels } from '../data/volumes/volume';
import type { OpenModel, SegmenterConfig } from '../engine/artifact';
import { labelClasses, type Mask, maskOf } from '../engine/prediction/predict-volumes';
import { onlyFile, writeJson } from './answers';
import { Refusal } from './refusal';
import type { Asked, Instance, ServedModel } from './served-model';
import { readVolumeFile } from './volume-files';

/** Bytes that each byte of a compressed file may unpack to: far more than an image's do, and a quarter of what gzip can. */
const MOST_UNPACKED = 256;

interface Request {
  readonly bytes: Buffer;
  readonly asked: Asked;
}

interface Result {
  /** Millilitres of each class but the background. */
  readonly volumes: Mask['volumes'];
  /** What stands for each class in masks, which the headers of a NIfTI file have no room for. */
  readonly labels: Readonly<Record<string, number>>;
  /** Voxels along i, j and k, and their distance, mm. */
  readonly shape: readonly number[];
  readonly spacing: readonly number[];
}

/** What is kept of a volume until the others of its request are done: no more than was asked for. */
interface Output {
  readonly result: Result;
  readonly file?: Buffer;
}

type Model = OpenModel<SegmenterConfig>;

/** Values at another spacing; a header may claim voxels of any size. */
function valuesAt({ shape, affine, channels }: Sample, pixdim: readonly number[]): number {
  const spacing = spacingOf(affine);
  return shape.reduce((product, length, axis) => {
    const wanted = pixdim[axis] || (spacing[axis] as number);
    return product * (1 + ((length - 1) * (spacing[axis] as number)) / wanted);
  }, channels);
}

/** @throws Refusal where it would have more values than allowed, or cannot be prepared */
function prepare(raw: Sample, { config }: Model, maxValues: number, signal: AbortSignal): Sample {
  let sample = raw;
  for (const spec of prepareTransforms(config.hyperparameters)) {
    signal.throwIfAborted();
    if (spec.name === 'Spacing' && valuesAt(sample, spec.pixdim) > maxValues)
      throw new Refusal(
        `the volume would have more than ${maxValues} values at the spacing of the training, ${spec.pixdim.join(' x ')} mm.`,
        413,
      );
    try {
      [sample] = applyTransforms(sample, [spec]) as [Sample];
    } catch (error) {
      throw new Refusal(`the volume cannot be prepared: ${(error as Error).message}.`);
    }
  }
  return sample;
}

async function fileOf(raw: Sample, mask: Mask, { type }: Asked, { config }: Model): Promise<Buffer | undefined> {
  if (type === 'application/x-nifti') return encodeNifti(mask.labels, raw);
  if (type === 'application/gzip') return promisify(gzip)(await encodeNifti(mask.labels, raw));
  if (type !== 'image/png') return undefined;
  const { modalities } = config;
  const classes = labelClasses(config);
  return picture({ ...raw, label: mask.labels }, { title: config.hyperparameters.model_name, modalities, classes });
}

async function segmentOne({ bytes, asked }: Request, model: Model, maxValues: number): Promise<Output> {
  const { modalities, window } = model.config;
  const { signal } = asked;
  // it may have waited too long for the volumes before it
  signal.throwIfAborted();
  const limits = { mostValues: maxValues, mostUnpacked: MOST_UNPACKED };
  const raw = await readVolumeFile(bytes, { modalities, channels: window.channels }, limits);
  const { image, ...grid } = prepare(raw, model, maxValues, signal);
  const mask = await maskOf(model, { ...grid, images: image, source: raw }, signal);
  const labels = Object.fromEntries(labelClasses(model.config).map(({ name, value }) => [name, value]));
  const result = { volumes: mask.volumes, labels, shape: raw.shape, spacing: spacingOf(raw.affine) };
  const file = await fileOf(raw, mask, asked, model);
  return { result, ...(file && { file }) };
}

/**
 * Serves a segmenter, one volume after the other, for a volume may take all the memory that there is for it.
 *
 * @param maxValues of a volume, all its channels together, as it is sent and as it is prepared
 */
export function serveSegmenter(model: Model & { close(): void }, maxValues: number): ServedModel<Request, Output> {
  const { config, inference, close } = model;
  const { window, modalities, classes, labels } = config;
  const description = {
    name: config.hyperparameters.model_name,
    task: 'segmentation of volumes',
    ...{ classes, labels, input: { window: window.shape, channels: window.channels, modalities } },
    accepts: [
      ...['application/x-nifti', 'application/gzip', 'application/x-gzip', 'application/dicom', 'application/x-tar'],
      ...['application/octet-stream', 'application/json', 'application/jsonlines'],
    ],
    produces: ['application/json', 'application/jsonlines', 'application/x-nifti', 'application/gzip', 'image/png'],
  };
  const read = async (instance: Instance, asked: Asked): Promise<Request> => {
    if (instance.kind === 'file') return { bytes: instance.bytes, asked };
    throw new Refusal('the model takes volumes: send the base64 of a file as `image`, and no `pixels`.');
  };
  const warm = async () => {
    const { sw_batch_size: count } = config.hyperparameters;
    await inference.run(new Float32Array(count * voxels(window.shape) * window.channels), count);
  };
  const write = (outputs: readonly Output[], type: string, single: boolean): Buffer =>
    type.startsWith('application/json')
      ? writeJson(
          outputs.map(({ result }) => result),
          type,
          single,
        )
      : onlyFile(
          outputs.map(({ file }) => file),
          type,
        );
  const run = async ([request]: readonly Request[]) => [await segmentOne(request as Request, model, maxValues)];
  return { description, maxBatch: 1, read, warm, run, write, close };
}
