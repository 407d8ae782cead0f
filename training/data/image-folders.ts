// Finds the images of a data set: folders of classes under train/, valid/ and test/, or one SageMaker channel for each of these.
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { UserError } from '../errors';
import { LABEL_FILE, readLabels, SPLIT_FILE } from './labels';
import { isFolder, locateParts, PARTS, type Part, type PartFolders, visible } from './parts';
import { randomSource, shuffled } from './random';

export type { Part, PartFolders };

export interface Sample {
  readonly path: string;
  /** Number of its class. */
  readonly label: number;
}

export interface ImageFolders {
  /** Names of the classes, by number. */
  readonly classes: readonly string[];
  readonly samples: Readonly<Record<Part, readonly Sample[]>>;
  /** The training part as it was given, before any of it was held out. */
  readonly train: readonly Sample[];
  /** How many images each part was given with. */
  readonly given: Readonly<Record<Part, number>>;
  /** What a person should know of how the data was read. */
  readonly notes: readonly string[];
}

const IMAGE = /^\.(png|jpe?g)$/i;

const LAYOUT =
  'lay the images out as train/CLASS/*.png, and valid/ and test/ likewise where there are such parts; `scanline split` makes that of CLASS/*.png.';

/** All images below a folder, in order, and how many other files there are. */
export function imagesBelow(folder: string): { images: string[]; others: number } {
  const images: string[] = [];
  let others = 0;
  for (const name of visible(folder)) {
    const path = join(folder, name);
    if (isFolder(path)) {
      const inside = imagesBelow(path);
      images.push(...inside.images);
      others += inside.others;
    } else if (IMAGE.test(extname(name))) images.push(path);
    else others++;
  }
  return { images, others };
}

/** The images of each class folder of a part. */
function imagesByClass(folder: string, notes: string[]): Map<string, string[]> {
  const result = new Map<string, string[]>();
  let others = 0;
  for (const name of visible(folder)) {
    const path = join(folder, name);
    if (!isFolder(path)) {
      if (name !== LABEL_FILE && name !== SPLIT_FILE) others++;
      continue;
    }
    const found = imagesBelow(path);
    others += found.others;
    result.set(name, found.images);
  }
  if (others > 0)
    notes.push(`ignored in ${folder}: ${others} ${others === 1 ? 'file that is' : 'files that are'} not PNG or JPEG`);
  return result;
}

function chooseClasses(
  folders: readonly Map<string, string[]>[],
  labelPaths: readonly string[],
  notes: string[],
): readonly string[] {
  const found = [...new Set(folders.flatMap((folder) => [...folder.keys()]))].sort();
  const labels = readLabels(labelPaths);
  if (labels === undefined) return found;
  notes.push(`classes as in ${labels.path}`);
  const unknown = found.filter((name) => !labels.classes.includes(name));
  if (unknown.length > 0) {
    throw new UserError(
      `${labels.path} does not name the class folders ${unknown.join(', ')}.`,
      'add them to it, or remove the folders.',
    );
  }
  return labels.classes;
}

/** Takes a share of each class out of `samples`, seeded. */
function holdOut(samples: readonly Sample[], fraction: number, seed: number): { kept: Sample[]; held: Sample[] } {
  const held = new Set<Sample>();
  for (const label of new Set(samples.map((sample) => sample.label))) {
    const ofClass = samples.filter((sample) => sample.label === label);
    const count = Math.min(ofClass.length - 1, Math.max(1, Math.round(ofClass.length * fraction)));
    for (const sample of shuffled(ofClass, randomSource(seed, label)).slice(0, count)) held.add(sample);
  }
  return {
    kept: samples.filter((sample) => !held.has(sample)),
    held: [...held].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/**
 * Finds the images, their classes, and a validation part: where there is none, a share of train is held out, stratified by class.
 *
 * @throws UserError when there is nothing to train on, or the classes contradict each other
 */
export function findImages(
  folders: PartFolders,
  options: { validFraction: number; seed: number; labelPaths?: readonly string[] },
): ImageFolders {
  const notes: string[] = [];
  const parts = locateParts(folders, LAYOUT, notes);
  const byPart = new Map(Object.entries(parts).map(([part, folder]) => [part as Part, imagesByClass(folder, notes)]));
  const labelFolders = [folders.data, ...Object.values(parts)].filter((folder) => folder !== undefined);
  const labelPaths = [...labelFolders.map((folder) => join(folder, LABEL_FILE)), ...(options.labelPaths ?? [])];
  const classes = chooseClasses([...byPart.values()], labelPaths, notes);
  const samplesOf = (part: Part): Sample[] =>
    classes.flatMap((name, label) => (byPart.get(part)?.get(name) ?? []).map((path) => ({ path, label })));

  let [train, valid] = [samplesOf('train'), samplesOf('valid')];
  const test = samplesOf('test');
  const whole = train;
  const given = { train: train.length, valid: valid.length, test: test.length };
  const counts = classes.map((_, label) => train.filter((sample) => sample.label === label).length);
  const empty = classes.filter((_, label) => counts[label] === 0);
  if (classes.length < 2 || empty.length > 0) {
    throw new UserError(
      classes.length < 2
        ? `${parts.train} holds ${classes.length} class folders; two are the least.`
        : `${parts.train} has no images of ${empty.join(', ')}.`,
      'put the PNG or JPEG files of each class into a folder of its own: train/CLASS/*.png.',
    );
  }
  if (valid.length === 0) {
    const { kept, held } = holdOut(train, options.validFraction, options.seed);
    notes.push(
      `no validation part: ${held.length} of ${train.length} training images held out, stratified by class (valid_fraction ${options.validFraction})`,
    );
    [train, valid] = [kept, held];
  }
  return { classes, samples: { train, valid, test }, train: whole, given, notes };
}

/**
 * The images of class folders whose classes are known, e.g. to a model.
 *
 * @throws UserError for a folder that is none of the classes, or when there is no image
 */
export function labelledImages(folder: string, classes: readonly string[]): Sample[] {
  if (!isFolder(folder)) throw new UserError(`there is no folder ${folder}.`, 'check the path.');
  const byClass = imagesByClass(folder, []);
  const unknown = [...byClass.keys()].filter((name) => !classes.includes(name));
  if (unknown.length > 0) {
    throw new UserError(
      `${folder} has the class folders ${unknown.join(', ')}; the model knows ${classes.join(', ')}.`,
      'rename or remove them.',
    );
  }
  const samples = classes.flatMap((name, label) => (byClass.get(name) ?? []).map((path) => ({ path, label })));
  if (samples.length === 0)
    throw new UserError(`${folder} holds no PNG or JPEG images in class folders.`, 'lay them out as CLASS/*.png.');
  return samples;
}

/** How many images of each class every part has, a line each. */
export function describeImages({ classes, samples }: ImageFolders): string[] {
  return PARTS.filter((part) => samples[part].length > 0).map((part) => {
    const counts = classes.map(
      (name, label) => `${name} ${samples[part].filter((sample) => sample.label === label).length}`,
    );
    return `${part}: ${samples[part].length} images (${counts.join(', ')})`;
  });
}

/** A name for the very samples, in order: equal for equal names, classes and sizes of files, wherever they lie. */
export function fingerprint(samples: readonly Sample[], root: string): string {
  const hash = createHash('sha256');
  for (const { path, label } of samples) hash.update(`${relative(root, path)}\0${label}\0${statSync(path).size}\n`);
  return hash.digest('hex').slice(0, 16);
}
