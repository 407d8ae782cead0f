// The dataset.json of MONAI, nnU-Net and the Medical Segmentation Decathlon: which file is whose image, label and part.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { UserError } from '../../errors';
import { isFolder, type Part, visible } from '../parts';
import { NIFTI_FILE } from './nifti';
import type { Labels } from './volume';

export const DATASET_FILE = 'dataset.json';

/** A value of the label volumes and its name. */
export interface LabelClass {
  readonly name: string;
  readonly value: number;
  /** Whether voxels of this value do not count: nobody has said what they are. @default false */
  readonly ignored?: true;
}

/** Numbers of classes as the values that label files hold: what a network says, to be written. */
export function toValues(numbers: ArrayLike<number>, classes: readonly LabelClass[]): Labels {
  const values = classes.map(({ value }) => value);
  const result = Math.max(...values) < 256 ? new Uint8Array(numbers.length) : new Int16Array(numbers.length);
  for (let n = 0; n < result.length; n++) result[n] = values[numbers[n] as number] as number;
  return result;
}

/** A subject as a list names it; paths may be wrong. */
export interface ListedSubject {
  readonly id: string;
  readonly images: readonly string[];
  readonly label?: string;
}

export interface DatasetList {
  readonly parts: Readonly<Partial<Record<Part, readonly ListedSubject[]>>>;
  readonly classes?: readonly LabelClass[];
  /** Names of the channels, in order. */
  readonly modalities?: readonly string[];
}

/** The name of a file without .nii or .nii.gz. */
export const stemOf = (path: string) => basename(path).replace(NIFTI_FILE, '');

/** nnU-Net numbers the channels of a case, each a file of its own: case_0000.nii.gz, case_0001.nii.gz. */
const CHANNEL = /_(\d{4})$/;

const FOLDERS: Readonly<Record<Part, readonly [images: string, labels: string]>> = {
  train: ['imagesTr', 'labelsTr'],
  valid: ['imagesVal', 'labelsVal'],
  test: ['imagesTs', 'labelsTs'],
};

/** What the lists are called: the Decathlon's is test, MONAI's testing. */
const LISTS: Readonly<Record<Part, readonly string[]>> = {
  train: ['training'],
  valid: ['validation'],
  test: ['test', 'testing'],
};

/** Whether a folder is laid out as these programs do. */
export function isListed(folder: string): boolean {
  return existsSync(join(folder, DATASET_FILE)) || isFolder(join(folder, FOLDERS.train[0]));
}

/** The images of a folder, those of a case together, with the label of the same name. */
export function pairFolders(images: string, labels: string): ListedSubject[] {
  const cases = new Map<string, string[]>();
  for (const name of visible(images).filter((file) => NIFTI_FILE.test(file))) {
    const id = stemOf(name).replace(CHANNEL, '');
    cases.set(id, [...(cases.get(id) ?? []), join(images, name)]);
  }
  const byStem = new Map((isFolder(labels) ? visible(labels) : []).map((name) => [stemOf(name), join(labels, name)]));
  return [...cases].map(([id, paths]) => {
    const label = byStem.get(id);
    return { id, images: paths, ...(label !== undefined && { label }) };
  });
}

/** The channels of a case that a list names without their numbers. */
function withChannels(path: string): string[] {
  if (existsSync(path) || !isFolder(dirname(path))) return [path];
  const numbered = visible(dirname(path)).filter((name) => stemOf(name).replace(CHANNEL, '') === stemOf(path));
  return numbered.length > 0 ? numbered.map((name) => join(dirname(path), name)) : [path];
}

/** Names that differ: of the file, or where several have the same (a folder for each subject), of its folder too. */
function distinct(subjects: readonly ListedSubject[]): ListedSubject[] {
  const folderOf = ({ images }: ListedSubject) => basename(dirname(images[0] as string));
  const names: ((subject: ListedSubject) => string)[] = [
    ({ id }) => id,
    folderOf,
    (each) => `${folderOf(each)}_${each.id}`,
  ];
  const name = names.find((candidate) => new Set(subjects.map(candidate)).size === subjects.length);
  return name ? subjects.map((subject) => ({ ...subject, id: name(subject) })) : [...subjects];
}

type Entry = string | { readonly image?: unknown; readonly label?: unknown };

function readEntry(entry: Entry, root: string, where: string): ListedSubject {
  const { image, label } = typeof entry === 'string' ? { image: entry, label: undefined } : (entry ?? {});
  const names = Array.isArray(image) ? image : [image];
  if (names.length === 0 || names.some((name) => typeof name !== 'string'))
    throw new UserError(
      `${where} names no image.`,
      'write each as {"image": "imagesTr/a.nii.gz", "label": "labelsTr/a.nii.gz"}.',
    );
  const images = (names as string[]).flatMap((name) => withChannels(resolve(root, name)));
  const id = stemOf(images[0] as string).replace(CHANNEL, '');
  return { id, images, ...(typeof label === 'string' && { label: resolve(root, label) }) };
}

/** What nnU-Net calls the label of voxels that do not count. */
const IGNORED = 'ignore';

/** `{"0": "background", "1": "tumour"}`, or nnU-Net's `{"background": 0, "tumour": 1}`; its `ignore` is none of the classes. */
function readClasses(labels: unknown, path: string): LabelClass[] | undefined {
  if (typeof labels !== 'object' || labels === null) return undefined;
  const classes = Object.entries(labels).map(([key, value]): LabelClass => {
    const named = typeof value === 'number' ? { name: key, value } : { name: String(value), value: Number(key) };
    return named.name === IGNORED ? { ...named, ignored: true } : named;
  });
  const values = new Set(classes.map(({ value }) => value));
  const whole = classes.every(({ value }) => Number.isInteger(value) && value >= 0 && value < 2 ** 15);
  if (whole && values.size === classes.length && values.has(0)) return classes.sort((a, b) => a.value - b.value);
  throw new UserError(
    `${path}: its labels are ${JSON.stringify(labels)}; each class needs a whole number of its own, and one is 0, the background.`,
    'write them as {"background": 0, "tumour": 1}; regions of several numbers are not understood.',
  );
}

function readNames(names: unknown): string[] | undefined {
  if (typeof names !== 'object' || names === null) return undefined;
  return Object.keys(names)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => String((names as Record<string, unknown>)[key]));
}

function parse(path: string): Record<string, unknown> {
  let contents: unknown;
  try {
    contents = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  } catch (error) {
    throw new UserError(`${path} is not JSON: ${(error as Error).message}.`, 'mend the file.');
  }
  if (typeof contents === 'object' && contents !== null) return contents as Record<string, unknown>;
  throw new UserError(`${path} is no object.`, 'see the Medical Segmentation Decathlon for its form.');
}

/**
 * The subjects that a folder's dataset.json lists, or that lie in its imagesTr/, imagesVal/ and imagesTs/.
 *
 * @throws UserError when the file is not JSON or names no images
 */
export function readDatasetList(root: string): DatasetList {
  const path = join(root, DATASET_FILE);
  const contents = parse(path);
  const parts: Partial<Record<Part, ListedSubject[]>> = {};
  for (const part of ['train', 'valid', 'test'] as const) {
    const key = LISTS[part].find((name) => name in contents) ?? part;
    const listed = contents[key];
    const [images, labels] = FOLDERS[part].map((name) => join(root, name)) as [string, string];
    if (Array.isArray(listed) && listed.length > 0)
      parts[part] = distinct(listed.map((entry: Entry, n) => readEntry(entry, root, `${path}: ${key}[${n}]`)));
    else if (isFolder(images)) parts[part] = pairFolders(images, labels);
  }
  const [classes, modalities] = [
    readClasses(contents.labels, path),
    readNames(contents.channel_names ?? contents.modality),
  ];
  return { parts, ...(classes && { classes }), ...(modalities && { modalities }) };
}
