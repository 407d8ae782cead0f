// Masks of volumes, by a segmenter in a folder, in the space of the files that were given.
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type LabelClass, toValues } from '../../data/volumes/dataset-json';
import {
  channelsOf,
  VolumeLoader,
  type VolumeLoaderOptions,
  VolumePool,
  type WholeVolume,
} from '../../data/volumes/loader';
import { writeNifti } from '../../data/volumes/nifti';
import { prepareTransforms } from '../../data/volumes/recipe';
import { type Subject, subjectsToPredict } from '../../data/volumes/subjects';
import { labelsOnGrid } from '../../data/volumes/transforms/resample';
import { type Labels, spacingOf } from '../../data/volumes/volume';
import { UserError } from '../../errors';
import type { OpenModel, SegmenterConfig } from '../artifact';
import { segment } from './segmentation';

export interface VolumePrediction {
  readonly subject: string;
  /** The image's file, or its folder of DICOM slices; of several modalities the first. */
  readonly path: string;
  /** The mask's file. */
  readonly mask: string;
  /** The file of the label that lies beside the image. */
  readonly label?: string;
  /** Millilitres of each class but the background, by its name. */
  readonly volumes: Readonly<Record<string, number>>;
}

/** What a segmenter says of a volume, on the grid of its files. */
export interface Mask {
  /** Label values of the training, [I, J, K]. */
  readonly labels: Labels;
  /** Millilitres of each class but the background, by its name. */
  readonly volumes: Readonly<Record<string, number>>;
}

/** The values that stand for the classes in label volumes. */
export function labelClasses({ classes, labels }: SegmenterConfig): LabelClass[] {
  return classes.map((name, i) => ({ name, value: labels[i] as number }));
}

/** What label volumes may hold, in the order of the numbers that it becomes: the classes, then what does not count. */
export function readableLabels(config: SegmenterConfig): LabelClass[] {
  const { ignored, labels } = config;
  const beyond = ignored === undefined || labels.includes(ignored) ? [] : [{ name: 'ignored', value: ignored }];
  return [...labelClasses(config), ...beyond];
}

/**
 * The mask of a prepared volume, on the grid of its `source`.
 *
 * @param signal ends it between two windows, by throwing its reason
 */
export async function maskOf(
  { config, inference }: OpenModel<SegmenterConfig>,
  volume: Pick<WholeVolume, 'images' | 'shape' | 'affine' | 'source'>,
  signal?: AbortSignal,
): Promise<Mask> {
  const classes = labelClasses(config);
  const { predicted } = await segment(inference, volume, config, signal);
  const labels = labelsOnGrid(toValues(predicted, classes), volume, volume.source);
  const millilitres = spacingOf(volume.source.affine).reduce((product, length) => product * length, 1e-3);
  const voxels = new Map<number, number>();
  for (const label of labels) voxels.set(label, (voxels.get(label) ?? 0) + 1);
  const volumes = classes.slice(1).map(({ name, value }) => [name, (voxels.get(value) ?? 0) * millilitres]);
  return { labels, volumes: Object.fromEntries(volumes) };
}

export interface PredictVolumesOptions extends Pick<VolumeLoaderOptions, 'onBadFile' | 'report'> {
  /** Gets {subject}/pred.nii.gz. */
  readonly out: string;
  readonly workers: number;
}

/** Subjects with the very channels that the network takes. @throws UserError naming one that has others */
async function requireChannels(subjects: readonly Subject[], { window, modalities }: SegmenterConfig): Promise<void> {
  for (const subject of subjects) {
    const channels = await channelsOf(subject);
    if (channels === window.channels) continue;
    throw new UserError(
      `the subject ${subject.id} has ${channels} channels; the model takes ${window.channels}: ${modalities.join(', ')}.`,
      'give the images that the model was trained on.',
    );
  }
}

/** How the volumes of a model are read: as in its training, without what is random. */
export function inferenceLoader(
  config: SegmenterConfig,
  options: Pick<VolumeLoaderOptions, 'subjects' | 'pool' | 'onBadFile' | 'report'>,
): VolumeLoader {
  const { hyperparameters, window } = config;
  return new VolumeLoader({
    ...options,
    ...{ channels: window.channels, batchSize: 1, prepare: prepareTransforms(hyperparameters) },
    classes: readableLabels(config),
  });
}

/**
 * Writes a mask for a volume, a subject, or each subject of a folder, with the label values of the training, on the grid of the image.
 *
 * @throws UserError when there is no volume, or one that does not fit the model
 */
export async function* predictVolumes(
  model: OpenModel<SegmenterConfig>,
  data: string,
  { out, workers, ...reading }: PredictVolumesOptions,
): AsyncGenerator<VolumePrediction> {
  const { config } = model;
  const isNamed = config.modalities.join() !== 'image';
  const found = subjectsToPredict(data, isNamed ? config.modalities : undefined);
  // what is predicted is not to fail for a label that cannot be read
  const subjects = found.map(({ label: _, ...subject }) => subject);
  await requireChannels(subjects, config);
  mkdirSync(out, { recursive: true });
  const pool = new VolumePool(workers);
  try {
    for await (const volume of inferenceLoader(config, { subjects, pool, ...reading }).volumes()) {
      const { labels, volumes } = await maskOf(model, volume);
      const { id } = volume.subject;
      const mask = join(out, id, 'pred.nii.gz');
      mkdirSync(dirname(mask), { recursive: true });
      await writeNifti(mask, labels, volume.source);
      const label = found[volume.index]?.label;
      yield { subject: id, path: volume.subject.images[0] as string, mask, ...(label && { label }), volumes };
    }
  } finally {
    await pool.close();
  }
}
