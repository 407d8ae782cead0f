// Classification of images in class folders: found, split into folds, cut down where asked, loaded, and counted.
import { join, relative } from 'node:path';
import { probeChannels } from '../../data/decode';
import { foldsOf } from '../../data/folds';
import {
  describeImages,
  findImages,
  fingerprint,
  type ImageFolders,
  type Part,
  type Sample,
} from '../../data/image-folders';
import { DecodePool, Loader, type LoaderOptions } from '../../data/loader';
import { randomSource, shuffled } from '../../data/random';
import { grouper, parseGroupKey } from '../../data/split';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { type Loss, makeLoss } from '../../losses';
import { pair } from '../../models';
import { inspectMachine } from '../../native/machine';
import { contactSheet } from '../../tracking/pictures';
import type { FitOptions } from '../fit';
import { evaluate, type Inference } from '../prediction/inference';
import { scoresOfClasses, type Task } from './task';

/** Images that are shown of a batch. */
const SHOWN = 16;

/** Share of the machine's memory that the decoded images of a part may take. */
const CACHE_SHARE = 0.125;

/** @throws UserError for data or settings that the user must mend */
export async function classification(options: FitOptions, line: (text: string) => void): Promise<Task> {
  const { hyperparameters: h } = options;
  const found = findImages(options.folders, {
    validFraction: h.valid_fraction,
    seed: h.seed,
    labelPaths: options.labelPaths,
  });
  const folders = cutDown(h.num_folds > 1 ? inFolds(found, options) : found, options);
  for (const text of [...folders.notes, ...describeImages(folders)]) line(text);
  const { samples, classes } = folders;
  const [height, width] = pair(h.img_size);
  const channels =
    h.in_channels === 'auto' ? await probeChannels(samples.train.map(({ path }) => path)) : Number(h.in_channels);
  const image = { height, width, channels };
  const pool = new DecodePool(h.num_workers);
  const common: Omit<LoaderOptions, 'samples'> = {
    size: image,
    batchSize: h.batch_size,
    pool,
    onBadFile: options.onBadFile ?? 'fail',
    report: (path, reason) => line(`left out: ${path} cannot be read (${reason})`),
  };
  const cacheBytes = inspectMachine().memory * CACHE_SHARE;
  const random = { seed: h.seed, augmentation: augmentationOf(options) };
  const train = new Loader({ ...common, cacheBytes, samples: samples.train, random });
  const valid = new Loader({ ...common, cacheBytes, samples: samples.valid });
  const test = samples.test.length > 0 ? new Loader({ ...common, samples: samples.test }) : undefined;
  const classWeights = classWeightsOf(h.class_weights, found);
  const score = async (inference: Inference, loader: Loader) => {
    const metrics = await evaluate(inference, loader, classes, { classWeights });
    const { loss, accuracy, f1, auc } = metrics;
    return {
      overall: { loss, accuracy, f1, ...(Number.isFinite(auc) && { auc }) },
      ofClasses: scoresOfClasses(metrics.classes, ['precision', 'recall', 'f1', 'auc']),
    };
  };
  return {
    config: { format: 'scanline-classifier', version: 1, hyperparameters: h, image, classes },
    samples: 'images',
    fingerprint: fingerprint([...samples.train, ...samples.valid], options.folders.train ?? options.folders.data ?? ''),
    train,
    loss: lossOf(h, classWeights),
    monitor: 'valid_loss',
    validate: (inference) => score(inference, valid),
    test: test && ((inference) => score(inference, test)),
    picture: ({ images, count }) => contactSheet({ values: images, count: Math.min(count, SHOWN), ...image }),
    leftOut: () => new Set([...train.bad, ...valid.bad]).size,
    close: () => pool.close(),
  };
}

/** @throws UserError for a loss that is for segmentation */
function lossOf(h: Hyperparameters, classWeights: readonly number[] | undefined): Loss {
  const name = h.loss === 'auto' ? 'cross_entropy' : h.loss;
  if (name !== 'cross_entropy' && name !== 'focal') {
    throw new UserError(
      `loss is ${h.loss}, which compares regions: it is for segmentation.`,
      'choose cross_entropy or focal for classes.',
    );
  }
  return makeLoss({ name, classWeights, labelSmoothing: h.label_smoothing, gamma: h.focal_gamma });
}

/** A few batches are to be learned by heart: then they always look the same. */
function augmentationOf({ hyperparameters: h, overfitBatches }: FitOptions) {
  if (overfitBatches) return { flip: 'none', rotate: 0, zoom: 0, intensity: 0, probability: 0 } as const;
  const { flip, rotate, zoom, intensity, augment_prob: probability } = h;
  return { flip, rotate, zoom, intensity, probability };
}

/** The training part split anew: one fold to validate on, the others to train on. */
function inFolds(found: ImageFolders, { hyperparameters: h, folders }: FitOptions): ImageFolders {
  const fold = Number(h.fold);
  if (!(fold < h.num_folds)) {
    throw new UserError(
      `fold is ${h.fold}; with num_folds ${h.num_folds} it is a whole number from 0 to ${h.num_folds - 1}.`,
      'give one of these, or all to `scanline train`.',
    );
  }
  const root = folders.train ?? join(folders.data as string, 'train');
  const groupOf = h.fold_group_by === '' ? undefined : grouper(parseGroupKey(h.fold_group_by));
  const group = groupOf && (({ path }: Sample) => groupOf(relative(root, path)) ?? missingGroup(path));
  const folds = foldsOf(found.train, {
    count: h.num_folds,
    seed: h.seed,
    stratumOf: ({ label }) => label,
    ...(group && { groupOf: group }),
  });
  const heldOut = new Set(folds[fold]);
  const notes = [...found.notes.filter((note) => !note.startsWith('no validation part')), foldNote(h, found)];
  const samples = {
    ...found.samples,
    train: found.train.filter((sample) => !heldOut.has(sample)),
    valid: found.train.filter((sample) => heldOut.has(sample)),
  };
  return { ...found, samples, notes };
}

function missingGroup(path: string): never {
  throw new UserError(`fold_group_by finds no group for ${path}.`, 'correct it so that it fits every image.');
}

function foldNote({ fold, num_folds: count }: Hyperparameters, { given }: ImageFolders): string {
  const unused = given.valid > 0 ? `; the ${given.valid} images of the validation part are not used` : '';
  return `cross-validation: fold ${fold} of ${count} (0 to ${count - 1}) of the training part is validated on${unused}`;
}

/** The first of the samples in a random order that is always the same. */
function few(samples: readonly Sample[], count: number, seed: number): readonly Sample[] {
  return shuffled(samples, randomSource(seed, samples.length)).slice(0, count);
}

function cutDown(folders: ImageFolders, { hyperparameters: h, overfitBatches, fastDevRun }: FitOptions): ImageFolders {
  const { samples } = folders;
  if (fastDevRun) {
    const one = (part: Part) => few(samples[part], h.batch_size, h.seed);
    return { ...folders, samples: { train: one('train'), valid: one('valid'), test: one('test') } };
  }
  if (!overfitBatches) return folders;
  const train = few(samples.train, overfitBatches * h.batch_size, h.seed);
  const note = `overfitting: trained and validated on the same ${train.length} images, without augmentation`;
  return { ...folders, notes: [...folders.notes, note], samples: { train, valid: train, test: [] } };
}

/** The weights of the classes in the loss: balanced ones give every class the same sum, and 1 on average over the images. */
function classWeightsOf(
  asked: Hyperparameters['class_weights'],
  { classes, samples }: ImageFolders,
): readonly number[] | undefined {
  if (asked === 'none') return undefined;
  if (asked === 'balanced') {
    return classes.map(
      (_, label) =>
        samples.train.length / classes.length / samples.train.filter((sample) => sample.label === label).length,
    );
  }
  if (asked.length === classes.length) return asked;
  throw new UserError(
    `class_weights has ${asked.length} numbers; there are ${classes.length} classes: ${classes.join(', ')}.`,
    'give one number for each class, in this order.',
  );
}
