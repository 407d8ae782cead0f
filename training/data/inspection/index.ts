// Inspects a data set, of volumes or of images.
import { UserError } from '../../errors';
import { kindOf } from '../kind';
import type { PartFolders } from '../parts';
import { readSubject } from '../volumes/read-subject';
import { listSubjects } from '../volumes/subjects';
import type { DataReport } from './findings';
import { checkImages } from './images';
import { type PictureOptions, picture } from './picture';
import { checkVolumes, type VolumeCheck } from './volumes';

export type { DataReport, Finding, Progress } from './findings';

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
