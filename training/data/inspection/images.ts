// Inspects class folders of images: every defect at once, and what there is.
import { createHash } from 'node:crypto';
import { join, relative } from 'node:path';
import sharp from 'sharp';
import { imagesBelow } from '../image-folders';
import { isFolder, locateParts, type PartFolders, visible } from '../parts';
import { type DataReport, duplicates, type Finding, inTurn, type Progress, table } from './findings';

interface Image {
  readonly path: string;
  /** Below the data's folder, for people. */
  readonly name: string;
  readonly part: string;
  readonly className: string;
  readonly hash?: string;
  readonly reason?: string;
  readonly size?: string;
}

const LAYOUT = 'lay the images out as train/CLASS/*.png, or as CLASS/*.png to be split.';

/** Decodes all of it: a header alone may be whole where the rest is not. */
async function look(image: Image): Promise<Image> {
  try {
    const { data, info } = await sharp(image.path, { failOn: 'error' }).raw().toBuffer({ resolveWithObject: true });
    const size = `${info.width} x ${info.height}`;
    return { ...image, size, hash: createHash('sha256').update(`${size} ${info.channels}`).update(data).digest('hex') };
  } catch (error) {
    return { ...image, reason: (error as Error).message.trim().split('\n')[0] as string };
  }
}

/** The parts, or the folder itself where it is not split yet. */
function partsOf(folders: PartFolders, notes: string[]): [part: string, folder: string][] {
  const { data } = folders;
  const unsplit = data !== undefined && folders.train === undefined && !isFolder(join(data, 'train'));
  return unsplit && isFolder(data) ? [['all', data]] : Object.entries(locateParts(folders, LAYOUT, notes));
}

function defectsOfClasses(images: readonly Image[], parts: readonly [string, string][]): Finding[] {
  const classesOf = (part: string, folder: string) => {
    const names = visible(folder).filter((name) => isFolder(join(folder, name)));
    const filled = new Set(images.filter((image) => image.part === part).map(({ className }) => className));
    return { names, empty: names.filter((name) => !filled.has(name)), filled };
  };
  const findings: Finding[] = [];
  const [[first = '', folder = ''] = []] = parts;
  const training = classesOf(first, folder);
  if (training.filled.size < 2)
    findings.push({
      ...{ severity: 'error', where: folder, fix: LAYOUT },
      problem: `it has images of ${training.filled.size === 0 ? 'no class' : `one class alone, ${[...training.filled]}`}; two are the least`,
    });
  for (const [part, path] of parts) {
    const { empty, filled } = part === first ? training : classesOf(part, path);
    for (const name of empty)
      findings.push({
        severity: 'error',
        where: join(path, name),
        problem: 'it has no images',
        fix: 'fill or remove it.',
      });
    for (const name of [...filled].filter((known) => !training.names.includes(known)))
      findings.push({
        severity: 'error',
        where: join(path, name),
        problem: `${first} has no class of this name`,
        fix: 'rename or remove it.',
      });
  }
  return findings;
}

function defectsBetween(images: readonly Image[]): Finding[] {
  return duplicates(images).map(([first, again]) => {
    const how =
      first.className !== again.className
        ? { severity: 'error' as const, problem: `it is the same image as ${first.name}, of another class` }
        : first.part !== again.part
          ? {
              severity: 'error' as const,
              problem: `it is the same image as ${first.name}: what is learnt in one part is tested in the other`,
            }
          : { severity: 'warning' as const, problem: `it is the same image as ${first.name}` };
    return { ...how, where: again.name, fix: 'remove one of them.' };
  });
}

/**
 * Decodes every image and tells everything that is wrong.
 *
 * @throws UserError when a folder is not there
 */
export async function checkImages(
  folders: PartFolders,
  options: { workers: number; progress?: Progress },
): Promise<DataReport> {
  const notes: string[] = [];
  const parts = partsOf(folders, notes);
  const found = parts.flatMap(([part, folder]) =>
    visible(folder)
      .filter((name) => isFolder(join(folder, name)))
      .flatMap((className) =>
        imagesBelow(join(folder, className)).images.map(
          (path): Image => ({ path, name: relative(folders.data ?? folder, path), part, className }),
        ),
      ),
  );
  const images = await inTurn(found, options.workers, look, options.progress);
  const unreadable = images.flatMap(({ name, reason }): Finding[] =>
    reason === undefined
      ? []
      : [{ severity: 'error', where: name, problem: `it cannot be read: ${reason}`, fix: 'replace or remove it.' }],
  );
  const classes = [...new Set(images.map(({ className }) => className))].sort();
  const rows = parts.map(([part]) => {
    const own = images.filter((image) => image.part === part);
    const sizes = [...new Set(own.flatMap(({ size }) => (size === undefined ? [] : [size])))];
    const counts = classes.map((name) => String(own.filter(({ className }) => className === name).length));
    return [part, String(own.length), sizes.length > 2 ? `${sizes.length} sizes` : sizes.join(', '), ...counts];
  });
  return {
    findings: [...unreadable, ...defectsOfClasses(images, parts), ...defectsBetween(images)],
    summary: [...notes.map((note) => `note: ${note}`), ...table(['part', 'images', 'pixels', ...classes], rows)],
  };
}
