// Segmentation of volumes: subjects found, split into folds, cut down where asked, loaded, and counted.
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foldsOf } from '../../data/folds';
import { fingerprint } from '../../data/image-folders';
import type { Part } from '../../data/parts';
import { randomSource, shuffled } from '../../data/random';
import { grouper, parseGroupKey } from '../../data/split';
import { DATASET_FILE, type LabelClass } from '../../data/volumes/dataset-json';
import { channelsOf, findClasses, VolumeLoader, type VolumeLoaderOptions, VolumePool } from '../../data/volumes/loader';
import { askedModalities, augmentTransforms, cacheOptions, prepareTransforms } from '../../data/volumes/recipe';
import { describeSubjects, findSubjects, type Subject, type VolumeFolders } from '../../data/volumes/subjects';
import { shapeOf } from '../../data/volumes/volume';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { type Loss, makeLoss } from '../../losses';
import type { Image } from '../../tracking/events';
import { contactSheet } from '../../tracking/pictures';
import { ignoredNumber, type SegmenterConfig } from '../artifact';
import type { FitOptions } from '../fit';
import type { Inference } from '../prediction/inference';
import { readableLabels } from '../prediction/predict-volumes';
import { evaluateVolumes } from '../prediction/segmentation';
import { type Scores, scoresOfClasses, type Task, type TaskBatch, type Validation } from './task';

/** @throws UserError for data or settings that the user must mend */
export async function segmentation(options: FitOptions, line: (text: string) => void): Promise<Task> {
  const { hyperparameters: h } = options;
  const modalities = askedModalities(h);
  const found = findSubjects(options.folders, {
    validFraction: h.valid_fraction,
    seed: h.seed,
    ...(modalities && { modalities }),
  });
  const folders = cutDown(h.num_folds > 1 ? inFolds(found, h) : found, options);
  for (const text of [...folders.notes, ...describeSubjects(folders)]) line(text);
  const pool = new VolumePool(h.num_workers);
  try {
    return await withPool(options, folders, pool, line);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function withPool(
  options: FitOptions,
  folders: VolumeFolders,
  pool: VolumePool,
  line: (text: string) => void,
): Promise<Task> {
  const { hyperparameters: h } = options;
  const { samples } = folders;
  const known = [...samples.train, ...samples.valid];
  const { classes, ignored } = whatCounts(folders.classes ?? (await findClasses(known, pool)), h);
  const not = ignored === undefined ? '' : `; ${ignored} does not count`;
  line(`classes: ${classes.map(({ name, value }) => `${name} (${value})`).join(', ')}${not}`);
  const channels = await channelsOf(samples.train[0] as Subject);
  if (h.in_channels !== 'auto' && Number(h.in_channels) !== channels)
    throw new UserError(
      `in_channels is ${h.in_channels}; the subjects have ${channels} channels: ${folders.modalities.join(', ')}.`,
      'leave out in_channels, and choose --modalities where fewer are wanted.',
    );
  const config: SegmenterConfig = {
    ...{ format: 'scanline-segmenter', version: 1, hyperparameters: h },
    window: { shape: shapeOf(h.roi_size), channels },
    modalities: folders.modalities,
    classes: classes.map(({ name }) => name),
    labels: classes.map(({ value }) => value),
    ...(ignored !== undefined && { ignored }),
  };
  const cache = cacheOptions(h, join(tmpdir(), 'scanline-volumes'));
  const common: Omit<VolumeLoaderOptions, 'subjects'> = {
    ...{ channels, batchSize: h.batch_size, pool, classes: readableLabels(config), prepare: prepareTransforms(h) },
    onBadFile: options.onBadFile ?? 'fail',
    report: (id, reason) => line(`left out: ${id} cannot be read (${reason})`),
  };
  const cached = { ...common, ...(cache && { cache }) };
  const train = new VolumeLoader({
    ...cached,
    subjects: samples.train,
    random: { seed: h.seed, augment: augmentTransforms(options.overfitBatches ? unchanging(h) : h) },
  });
  const valid = new VolumeLoader({ ...cached, subjects: samples.valid });
  const labelled = samples.test.filter(({ label }) => label !== undefined);
  const test = labelled.length > 0 ? new VolumeLoader({ ...common, subjects: labelled }) : undefined;
  const score = async (inference: Inference, loader: VolumeLoader, surfaces: boolean): Promise<Validation> => {
    const result = await evaluateVolumes(inference, loader.volumes(), config, { surfaces });
    const told = result.classes.map(({ name, dice }) => `${name} ${dice.toFixed(4)}`);
    line(`Dice: ${told.slice(1).join(', ')}`);
    const { loss, dice, iou, hausdorff95, surfaceDistance } = result;
    return {
      overall: existing({ loss, dice, iou, hausdorff95, surface_distance: surfaceDistance }),
      ofClasses: scoresOfClasses(result.classes, ['dice', 'iou', 'precision', 'recall']),
    };
  };
  return {
    config,
    samples: 'volumes',
    fingerprint: fingerprint(
      known.flatMap(({ images, label = '' }) => [...images, label].map((path) => ({ path, label: 0 }))),
      options.folders.train ?? options.folders.data ?? '',
    ),
    train,
    loss: lossOf(h, config),
    monitor: 'valid_dice',
    validate: (inference) => score(inference, valid, false),
    test: test && ((inference) => score(inference, test, true)),
    picture: (batch) => middleSlices(batch, config),
    leftOut: () => new Set([...train.bad, ...valid.bad]).size,
    close: () => pool.close(),
  };
}

/** The scores that are numbers. */
function existing(scores: Readonly<Record<string, number | undefined>>): Scores {
  return Object.fromEntries(
    Object.entries(scores).filter((entry): entry is [string, number] => Number.isFinite(entry[1])),
  );
}

/**
 * The classes that the network tells apart, and the label value that does not count: what ignore_index says, else dataset.json. The
 * background stays a class: masks need a value for what is nothing else.
 *
 * @throws UserError where the two name different values
 */
function whatCounts(
  all: readonly LabelClass[],
  { ignore_index: asked = -1 }: Hyperparameters,
): { classes: readonly LabelClass[]; ignored: number | undefined } {
  const named = all.find((each) => each.ignored)?.value;
  if (asked >= 0 && named !== undefined && asked !== named)
    throw new UserError(
      `ignore_index is ${asked}; ${DATASET_FILE} calls the label ${named} ignore.`,
      `leave out ignore_index, or correct ${DATASET_FILE}.`,
    );
  const ignored = asked >= 0 ? asked : named;
  return { classes: all.filter(({ value }) => value === 0 || value !== ignored), ignored };
}

function lossOf(h: Hyperparameters, config: SegmenterConfig): Loss {
  const { classes } = config;
  const weights = h.class_weights;
  if (weights === 'balanced') {
    throw new UserError(
      'class_weights is balanced, which is for images that have a class.',
      'give one number for each class, or use the loss dice_ce, which weighs each region alike.',
    );
  }
  if (weights !== 'none' && weights.length !== classes.length) {
    throw new UserError(
      `class_weights has ${weights.length} numbers; there are ${classes.length} classes: ${classes.join(', ')}.`,
      'give one number for each class, in this order.',
    );
  }
  return makeLoss({
    name: h.loss === 'auto' ? 'dice_ce' : h.loss,
    classWeights: weights === 'none' ? undefined : weights,
    includeBackground: h.include_background,
    squaredPred: h.squared_pred,
    batch: h.batch_dice,
    labelSmoothing: h.label_smoothing,
    gamma: h.focal_gamma,
    alpha: h.tversky_alpha,
    beta: h.tversky_beta,
    ignoreIndex: ignoredNumber(config),
  });
}

/** A few subjects are to be learned by heart: their crops move, and nothing else changes. */
function unchanging(h: Hyperparameters): Hyperparameters {
  const still = Object.keys(h).filter((name) => name.endsWith('_prob') && name !== 'augment_prob');
  return { ...h, ...Object.fromEntries(still.map((name) => [name, 0])) };
}

/** The training part split anew: one fold to validate on, the others to train on. */
function inFolds(found: VolumeFolders, h: Hyperparameters): VolumeFolders {
  const fold = Number(h.fold);
  if (!(fold < h.num_folds)) {
    throw new UserError(
      `fold is ${h.fold}; with num_folds ${h.num_folds} it is a whole number from 0 to ${h.num_folds - 1}.`,
      'give one of these, or all to `scanline train`.',
    );
  }
  const all = [...found.samples.train, ...found.samples.valid].sort((a, b) => (a.id < b.id ? -1 : 1));
  const groupOf = h.fold_group_by === '' ? undefined : grouper(parseGroupKey(h.fold_group_by));
  const folds = foldsOf(all, {
    ...{ count: h.num_folds, seed: h.seed },
    ...(groupOf && { groupOf: ({ id }: Subject) => groupOf(id) ?? id }),
  });
  const heldOut = new Set(folds[fold]);
  const note = `cross-validation: fold ${fold} of ${h.num_folds} (0 to ${h.num_folds - 1}) of the subjects is validated on`;
  return {
    ...found,
    notes: [...found.notes.filter((text) => !text.startsWith('no validation part')), note],
    samples: {
      ...found.samples,
      train: all.filter((subject) => !heldOut.has(subject)),
      valid: all.filter((subject) => heldOut.has(subject)),
    },
  };
}

function cutDown(
  folders: VolumeFolders,
  { hyperparameters: h, overfitBatches, fastDevRun }: FitOptions,
): VolumeFolders {
  const { samples } = folders;
  const few = (part: Part, count: number) =>
    shuffled(samples[part], randomSource(h.seed, samples[part].length)).slice(0, count);
  if (fastDevRun) {
    const [train, valid, test] = [few('train', h.batch_size), few('valid', 1), few('test', 1)];
    return { ...folders, samples: { train, valid, test } };
  }
  if (!overfitBatches) return folders;
  const train = few('train', overfitBatches * h.batch_size);
  const note = `overfitting: trained and validated on the same ${train.length} subjects, without augmentation`;
  return { ...folders, notes: [...folders.notes, note], samples: { train, valid: train, test: [] } };
}

/** The middle of each crop along k, its first modality, with its labels. */
function middleSlices({ images, labels, count }: TaskBatch, { window }: SegmenterConfig): Promise<Image> {
  const [height, width, depth] = window.shape;
  const middle = Math.floor(depth / 2);
  const pick = (values: ArrayLike<number>, channels: number) =>
    Float32Array.from(
      { length: count * height * width },
      (_, pixel) => values[(pixel * depth + middle) * channels] as number,
    );
  const slices = { values: pick(images, window.channels), labels: pick(labels, 1) };
  return contactSheet({ ...slices, count, height, width, channels: 1 });
}
