// Whether a folder holds images or volumes, told by what lies in it.
import { extname, join } from 'node:path';
import { UserError } from '../errors';
import { isFolder, visible } from './parts';
import { isListed } from './volumes/dataset-json';
import { NIFTI_FILE } from './volumes/nifti';

const IMAGE = /^\.(png|jpe?g)$/i;

export type Kind = 'volumes' | 'images';

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

/** What a data set is of; undefined where there is neither. */
export function findKind(folder: string): Kind | undefined {
  if (!isFolder(folder)) return undefined;
  // a picture beside the parts says nothing of what they are
  if (isListed(folder)) return 'volumes';
  return kindBelow(isFolder(join(folder, 'train')) ? join(folder, 'train') : folder);
}

/** What a data set is of. @throws UserError where there is neither */
export function kindOf(folder: string): Kind {
  if (!isFolder(folder)) throw new UserError(`there is no folder ${folder}.`, 'check the path.');
  const kind = findKind(folder);
  if (kind !== undefined) return kind;
  throw new UserError(
    `${folder} holds neither volumes (NIfTI, .dcm) nor images (PNG, JPEG).`,
    'lay out volumes as train/SUBJECT/{img,label}.nii.gz, images as train/CLASS/*.png.',
  );
}
