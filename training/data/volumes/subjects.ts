// Finds the subjects of a data set of volumes: folders of subjects, or what a dataset.json lists; and holds some out where none validate.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../../errors';
import { LABEL_FILE, parseLabels, SPLIT_FILE } from '../labels';
import { isFolder, locateParts, PARTS, type Part, type PartFolders, visible } from '../parts';
import { randomSource, shuffled } from '../random';
import {
  DATASET_FILE,
  isListed,
  type LabelClass,
  type ListedSubject,
  pairFolders,
  readDatasetList,
  stemOf,
} from './dataset-json';
import { NIFTI_FILE } from './nifti';

export interface Subject {
  readonly id: string;
  /** NIfTI files or folders of DICOM slices, one for each modality. */
  readonly images: readonly string[];
  readonly label?: string;
}

/** What is wrong with the data: where, what, and how to mend it. */
export interface Defect {
  readonly where: string;
  readonly problem: string;
  readonly fix: string;
}

export interface VolumeFolders {
  /** Names of the modalities, in the order of each subject's images. */
  readonly modalities: readonly string[];
  /** Where a file names them; else the label volumes tell. */
  readonly classes?: readonly LabelClass[];
  readonly samples: Readonly<Record<Part, readonly Subject[]>>;
  /** What a person should know of how the data was read. */
  readonly notes: readonly string[];
}

export interface SubjectOptions {
  /** Share of the training subjects held out where there is no validation part. */
  readonly validFraction: number;
  readonly seed: number;
  /** Which modalities to read, in this order. @default all, sorted */
  readonly modalities?: readonly string[];
}

const LAYOUT =
  'lay the subjects out as train/subject_001/{img.nii.gz,label.nii.gz}, and valid/ and test/ likewise; or as a dataset.json with imagesTr/ and labelsTr/.';

const LABEL = /(^|[_-])(labels?|seg|segmentation|mask)$/i;

/** A modality's name: img_t1 is t1, case7_flair of case7 is flair, img alone is image. */
function modalityOf(stem: string, id: string): string {
  const rest = stem.startsWith(`${id}_`) ? stem.slice(id.length + 1) : stem;
  return rest.replace(/^(img|image)[_-]?/i, '') || 'image';
}

interface NamedImage {
  readonly modality: string;
  readonly path: string;
}

/** A subject before it is known which of its images are wanted. */
interface Candidate {
  readonly id: string;
  readonly where: string;
  readonly images: readonly NamedImage[];
  readonly labels: readonly string[];
}

/** The files and DICOM folders of a subject's folder; slices that lie in it directly are one image. */
function candidate(folder: string): Candidate {
  const id = basename(folder);
  const inside = visible(folder);
  const volumes = inside.filter((name) => NIFTI_FILE.test(name) || isFolder(join(folder, name)));
  const labels = volumes.filter((name) => LABEL.test(stemOf(name)));
  const images = volumes
    .filter((name) => !labels.includes(name))
    .map((name) => ({ modality: modalityOf(stemOf(name), id), path: join(folder, name) }));
  const slices = images.length === 0 && inside.some((name) => !NIFTI_FILE.test(name));
  return {
    ...{ id, where: folder, labels: labels.map((name) => join(folder, name)) },
    images: slices ? [{ modality: 'image', path: folder }] : images,
  };
}

function fromList({ id, images, label }: ListedSubject, names: readonly string[] | undefined): Candidate {
  const modality = (n: number) => (images.length > 1 ? (names?.[n] ?? String(n).padStart(4, '0')) : 'image');
  return {
    ...{ id, where: images[0] ?? id, labels: label === undefined ? [] : [label] },
    images: images.map((path, n) => ({ modality: modality(n), path })),
  };
}

/** The subjects of a part's folder: images/ and labels/, or a folder for each. */
function candidatesIn(folder: string, notes: string[]): Candidate[] {
  const [images, labels] = [join(folder, 'images'), join(folder, 'labels')];
  if (isFolder(images)) return pairFolders(images, labels).map((listed) => fromList(listed, undefined));
  const inside = visible(folder);
  const others = inside.filter((name) => !isFolder(join(folder, name)) && ![LABEL_FILE, SPLIT_FILE].includes(name));
  if (others.length > 0)
    notes.push(
      `ignored in ${folder}: ${others.length} ${others.length === 1 ? 'file' : 'files'} beside the subjects' folders`,
    );
  return inside.filter((name) => isFolder(join(folder, name))).map((name) => candidate(join(folder, name)));
}

/** The subject with the wanted modalities alone; tells what it lacks. */
function choose(
  found: Candidate,
  modalities: readonly string[],
  asked: boolean,
  labelled: boolean,
  defects: Defect[],
): Subject {
  const { id, where, images, labels } = found;
  const tell = (problem: string, fix: string) => defects.push({ where, problem, fix });
  const names = images.map(({ modality }) => modality);
  const missing = modalities.filter((name) => !names.includes(name));
  const extra = names.filter((name) => !modalities.includes(name));
  if (images.length === 0) tell('it has no image', 'add img.nii.gz, or remove the subject.');
  else if (missing.length > 0)
    tell(
      `it has no ${missing.join(' and no ')} (it has ${names.join(', ')})`,
      'add what is missing, or choose --modalities that all have.',
    );
  else if (extra.length > 0 && !asked)
    tell(
      `it has ${extra.join(', ')}, which the first subject has not`,
      `choose --modalities ${modalities.join()}, or add it to all.`,
    );
  if (labels.length > 1)
    tell(`it has ${labels.length} labels: ${labels.map((path) => basename(path)).join(', ')}`, 'leave one.');
  if (labels.length === 0 && labelled) tell('it has no label', 'add label.nii.gz, or remove the subject.');
  const wanted = modalities.flatMap((name) => images.filter(({ modality }) => modality === name).slice(0, 1));
  const [label] = labels;
  const subject = { id, images: wanted.map(({ path }) => path), ...(label !== undefined && { label }) };
  for (const path of [...subject.images, ...(label === undefined ? [] : [label])])
    if (!existsSync(path)) tell(`there is no ${path}`, `correct ${DATASET_FILE}, or add the file.`);
  return subject;
}

function classesBeside(folders: readonly string[]): LabelClass[] | undefined {
  const path = folders.map((folder) => join(folder, LABEL_FILE)).find((candidatePath) => existsSync(candidatePath));
  return path === undefined
    ? undefined
    : parseLabels(readFileSync(path, 'utf8'), path).map((name, value) => ({ name, value }));
}

/** All subjects, and everything that is wrong with how they are laid out; nothing is held out yet. */
export function listSubjects(
  folders: PartFolders,
  wanted: readonly string[] | undefined,
): Omit<VolumeFolders, 'notes'> & { notes: string[]; defects: Defect[] } {
  const notes: string[] = [];
  const root = [folders.data, folders.train].find((folder) => folder !== undefined && isListed(folder));
  const list = root === undefined ? undefined : readDatasetList(root);
  const parts = list ? {} : locateParts(folders, LAYOUT, notes);
  if (list && list.parts.train === undefined) throw new UserError(`${root} lists no training subjects.`, LAYOUT);
  const candidates = (part: Part): Candidate[] => {
    const folder = list ? (part === 'train' ? undefined : folders[part]) : parts[part];
    if (folder !== undefined) {
      if (isListed(folder))
        return (readDatasetList(folder).parts.train ?? []).map((listed) => fromList(listed, list?.modalities));
      return candidatesIn(folder, notes);
    }
    return (list?.parts[part] ?? []).map((listed) => fromList(listed, list?.modalities));
  };
  const found = { train: candidates('train'), valid: candidates('valid'), test: candidates('test') };
  const all = PARTS.flatMap((part) => found[part]);
  const modalities =
    wanted ?? all.find(({ images }) => images.length > 0)?.images.map(({ modality }) => modality) ?? [];
  const defects: Defect[] = [];
  const chosen = (part: Part) =>
    found[part].map((each) => choose(each, modalities, wanted !== undefined, part !== 'test', defects));
  const samples = { train: chosen('train'), valid: chosen('valid'), test: chosen('test') };
  const classes =
    list?.classes ?? classesBeside([folders.data, ...Object.values(parts)].filter((folder) => folder !== undefined));
  return { modalities, ...(classes && { classes }), samples, notes, defects };
}

/** The defects as one error. */
export function refuse(defects: readonly Defect[]): never {
  const shown = defects.slice(0, 20).map(({ where, problem }) => `  - ${where}: ${problem}`);
  const more = defects.length > shown.length ? [`  - and ${defects.length - shown.length} more`] : [];
  throw new UserError(
    `the data has ${defects.length === 1 ? 'a defect' : `${defects.length} defects`}:\n${[...shown, ...more].join('\n')}`,
    `${defects[0]?.fix} \`scanline data check\` lists all, also those within the files.`,
  );
}

/**
 * Finds the subjects and a validation part: where there is none, a share of the training subjects is held out.
 *
 * @throws UserError naming every subject that lacks an image, a modality or a label
 */
export function findSubjects(folders: PartFolders, { validFraction, seed, modalities }: SubjectOptions): VolumeFolders {
  const { defects, ...found } = listSubjects(folders, modalities);
  if (defects.length > 0) refuse(defects);
  let { train, valid } = found.samples;
  if (train.length < (valid.length > 0 ? 1 : 2))
    throw new UserError(
      `the training part has ${train.length} subjects; ${valid.length > 0 ? 1 : 2} are the least.`,
      LAYOUT,
    );
  if (valid.length === 0) {
    const count = Math.min(train.length - 1, Math.max(1, Math.round(train.length * validFraction)));
    const held = new Set(shuffled(train, randomSource(seed)).slice(0, count));
    found.notes.push(
      `no validation part: ${count} of ${train.length} training subjects held out (valid_fraction ${validFraction})`,
    );
    [train, valid] = [train.filter((subject) => !held.has(subject)), train.filter((subject) => held.has(subject))];
  }
  return { ...found, samples: { ...found.samples, train, valid } };
}

/**
 * The subjects to predict: a NIfTI file, a subject's folder, a folder of DICOM slices, of NIfTI files, or of subjects. Labels are taken
 * along where there are some.
 *
 * @throws UserError when there is none, or one lacks a modality
 */
export function subjectsToPredict(folder: string, modalities?: readonly string[]): Subject[] {
  if (NIFTI_FILE.test(folder) && existsSync(folder)) return [{ id: stemOf(folder), images: [folder] }];
  if (!isFolder(folder)) throw new UserError(`there is no folder ${folder}.`, 'check the path.');
  const inside = visible(folder);
  const files = inside.filter((name) => NIFTI_FILE.test(name));
  const named = files.some((name) => /^(img|image)/i.test(name) || LABEL.test(stemOf(name)));
  const slices = files.length === 0 && inside.length > 0 && inside.every((name) => !isFolder(join(folder, name)));
  const found =
    named || slices
      ? [candidate(folder)]
      : files.length > 0
        ? pairFolders(folder, join(dirname(folder), 'labels')).map((listed) => fromList(listed, undefined))
        : candidatesIn(folder, []);
  const wanted = modalities ?? found[0]?.images.map(({ modality }) => modality) ?? [];
  const defects: Defect[] = [];
  const subjects = found.map((each) => choose(each, wanted, modalities !== undefined, false, defects));
  if (defects.length > 0) refuse(defects);
  if (subjects.length === 0)
    throw new UserError(`${folder} holds no volumes.`, 'give a folder of subjects, of NIfTI files, or a file.');
  return subjects;
}

/** How many subjects every part has, a line each. */
export function describeSubjects({ modalities, samples }: Pick<VolumeFolders, 'modalities' | 'samples'>): string[] {
  return PARTS.filter((part) => samples[part].length > 0).map(
    (part) => `${part}: ${samples[part].length} subjects (${modalities.join(', ')})`,
  );
}
