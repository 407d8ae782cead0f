// Subjects with their volumes, to be split; each becomes SUBJECT/{img,label}.nii.gz, whatever lists it now.
import { readdirSync } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { UserError } from '../../errors';
import { isFolder, PARTS } from '../parts';
import { isListed } from '../volumes/dataset-json';
import { NIFTI_FILE } from '../volumes/nifti';
import { listSubjects, refuse, type Subject } from '../volumes/subjects';
import type { SplitOptions } from './index';
import { type Collected, grouped, type Item } from './item';

const suffix = (path: string) => NIFTI_FILE.exec(path)?.[0] ?? extname(path);

/** The files of a subject's folder keep their names; those of a list get the names of such a folder. */
function filesOf({ id, images, label }: Subject, modalities: readonly string[], listed: boolean): Item['files'] {
  const [first = ''] = images;
  // DICOM slices that lie in the subject's folder directly
  if (!listed && basename(first) === id && isFolder(first)) return [{ from: first, to: id }];
  const named = (path: string, name: string) => join(id, listed ? `${name}${suffix(path)}` : basename(path));
  const imageName = (modality = 'image') => (modality === 'image' ? 'img' : `img_${modality}`);
  return [
    ...images.map((path, n) => ({ from: path, to: named(path, imageName(modalities[n])) })),
    ...(label === undefined ? [] : [{ from: label, to: named(label, 'label') }]),
  ];
}

/** The files of an image: itself, or its slices. */
const slices = (path: string) => (isFolder(path) ? readdirSync(path).map((name) => join(path, name)) : [path]);

/** @throws UserError when there is no subject, or one lacks an image, a modality, a label or a group */
export function collectSubjects({ input, groupBy }: Pick<SplitOptions, 'input' | 'groupBy'>): Collected {
  const inParts = isListed(input) || isFolder(join(input, 'train'));
  const { samples, modalities, classes, notes, defects } = listSubjects(
    inParts ? { data: input } : { train: input },
    undefined,
  );
  if (defects.length > 0) refuse(defects);
  const unlabelled = samples.test.filter(({ label }) => label === undefined).length;
  if (unlabelled > 0)
    notes.push(`left out: ${unlabelled} test subjects without a label, which nothing can be measured on`);
  const items = PARTS.flatMap((part) =>
    samples[part]
      .filter(({ label }) => label !== undefined)
      .map((subject) => ({
        ...{ name: subject.id, className: 'subject', ...(inParts && { given: part }) },
        files: filesOf(subject, modalities, !subject.images.some((path) => isInFolderOf(subject, path))),
        pictures: subject.images.flatMap(slices),
      })),
  );
  if (items.length === 0)
    throw new UserError(`${input} holds no subjects.`, 'lay them out as SUBJECT/{img.nii.gz,label.nii.gz}.');
  const known = classes?.every(({ value }, number) => value === number);
  if (classes && !known)
    notes.push('the names of the classes are left behind: their values are not 0, 1, 2, ... without gaps');
  return {
    ...{ samples: 'subjects', items: grouped(items, groupBy, 'subjects'), classes: [], notes },
    ...(known && classes && { labels: classes.map(({ name }) => name) }),
  };
}

/** Whether an image lies in the folder of its subject, or is it. */
function isInFolderOf({ id }: Subject, path: string): boolean {
  return basename(dirname(path)) === id || (isFolder(path) && basename(path) === id);
}
