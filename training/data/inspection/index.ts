// Inspects a data set, of volumes or of images.
import { extname, join } from 'node:path';
import { UserError } from '../../errors';
import { isFolder, type PartFolders, visible } from '../parts';
import { isListed } from '../volumes/dataset-json';
import { NIFTI_FILE } from '../volumes/nifti';
import { readSubject } from '../volumes/read-subject';
import { listSubjects } from '../volumes/subjects';
import type { DataReport } from './findings';
import { checkImages } from './images';
import { type PictureOptions, picture } from './picture';
import { checkVolumes, type VolumeCheck } from './volumes';

export type { DataReport, Finding, Progress } from './findings';

const IMAGE = /^\.(png|jpe?g)$/i;

type Kind = 'volumes' | 'images';

/** What lies in a folder, or else what lies below it. */
function kindWithin(folder: string): Kind | undefined {
  const files = visible(folder).filter((name) => !isFolder(join(folder, name)));
  const ofVolumes = files.some((name) => NIFTI_FILE.test(name) || extname(name).toLowerCase() === '.dcm');
  return ofVolumes ? 'volumes' : files.some((name) => IMAGE.test(extname(name))) ? 'images' : kindBelow(folder);
}

/** What the first folder that holds something holds. */
function kindBelow(folder: string): Kind | undefined {
  for (const name of visible(folder).filter((inside) => isFolder(join(folder, inside)))) {
    const kind = kindWithin(join(folder, name));
    if (kind !== undefined) return kind;
  }
  return undefined;
}

/** What a data set is of. @throws UserError where there is neither */
export function kindOf(folder: string): Kind {
  if (!isFolder(folder)) throw new UserError(`there is no folder ${folder}.`, 'check the path.');
  // a picture beside the parts says nothing of what they are
  const kind = isListed(folder)
    ? 'volumes'
    : kindBelow(isFolder(join(folder, 'train')) ? join(folder, 'train') : folder);
  if (kind !== undefined) return kind;
  throw new UserError(
    `${folder} holds neither volumes (NIfTI, .dcm) nor images (PNG, JPEG).`,
    'lay out volumes as train/SUBJECT/{img,label}.nii.gz, images as train/CLASS/*.png.',
  );
}

/**
 * Everything that is wrong with a data set, and what there is.
 *
 * @throws UserError when there is nothing to look at
 */
export function checkData(folder: string, options: VolumeCheck): Promise<DataReport> {
  const folders: PartFolders = { data: folder };
  return kindOf(folder) === 'volumes' ? checkVolumes(folders, options) : checkImages(folders, options);
}

/**
 * A picture of a subject, and its name.
 *
 * @param id the subject's name @default the first
 * @throws UserError when there is no such subject, or it cannot be read
 */
export async function showSubject(
  folder: string,
  id: string | undefined,
  modalities?: readonly string[],
): Promise<{ id: string; png: Buffer }> {
  if (kindOf(folder) === 'images')
    throw new UserError(`${folder} holds images; volumes are shown.`, 'open the images with any viewer.');
  const { samples, modalities: names, classes } = listSubjects({ data: folder }, modalities);
  const all = Object.values(samples).flat();
  const subject = id === undefined ? all[0] : all.find((candidate) => candidate.id === id);
  if (subject === undefined) {
    const known = all.slice(0, 10).map((candidate) => candidate.id);
    throw new UserError(
      `${folder} has no subject ${id ?? 'at all'} (it has: ${known.join(', ')}${all.length > 10 ? ', ...' : ''}).`,
      'give one of these to --subject.',
    );
  }
  const options: PictureOptions = { title: subject.id, modalities: names, ...(classes && { classes }) };
  try {
    return { id: subject.id, png: await picture(await readSubject(subject), options) };
  } catch (error) {
    throw new UserError(
      `the subject ${subject.id} cannot be shown: ${(error as Error).message}.`,
      'see `scanline data check`.',
    );
  }
}
