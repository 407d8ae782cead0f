// Where the parts of a data set lie: train/, valid/ and test/ in one folder, or one SageMaker channel for each of these.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../errors';

export type Part = 'train' | 'valid' | 'test';

/** Where the parts are: a folder that holds them, or a folder for each. */
export interface PartFolders {
  readonly data?: string;
  readonly train?: string;
  readonly valid?: string;
  readonly test?: string;
}

/** Names under which the parts are looked for, ours first. */
const PART_NAMES: Readonly<Record<Part, readonly string[]>> = {
  train: ['train'],
  valid: ['valid', 'val', 'validation'],
  test: ['test'],
};

export const PARTS: readonly Part[] = ['train', 'valid', 'test'];

/** How many of a folder's names are told. */
const MOST_NAMES = 8;

/** What a folder holds, in order, without hidden files. */
export function visible(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** The first of some names, and how many more there are. */
function listed(names: readonly string[]): string {
  const more = names.length > MOST_NAMES ? `, and ${names.length - MOST_NAMES} more` : '';
  return names.length === 0 ? 'nothing' : `${names.slice(0, MOST_NAMES).join(', ')}${more}`;
}

/**
 * The folder of each part that there is.
 *
 * @param layout how the data is to be laid out, told where there is no training part
 * @param notes gets what was passed over
 * @throws UserError when a folder that was given is not there, or there is no training part
 */
export function locateParts(
  { data, ...given }: PartFolders,
  layout: string,
  notes: string[],
): Partial<Record<Part, string>> {
  const missing = Object.values({ data, ...given }).filter((folder) => folder !== undefined && !isFolder(folder));
  if (missing.length > 0) throw new UserError(`there is no folder ${missing.join(' and no ')}.`, 'check the path.');
  const parts: Partial<Record<Part, string>> = Object.fromEntries(
    Object.entries(given).filter(([, folder]) => folder !== undefined),
  );
  if (data !== undefined) {
    const inside = visible(data).filter((name) => isFolder(join(data, name)));
    for (const part of PARTS) {
      const name = PART_NAMES[part].find((candidate) => inside.includes(candidate));
      if (name !== undefined) parts[part] ??= join(data, name);
    }
    const taken = Object.values(parts);
    const unknown = inside.filter((name) => !taken.includes(join(data, name)));
    if (unknown.length > 0) notes.push(`ignored in ${data}: ${unknown.map((name) => `${name}/`).join(', ')}`);
  }
  if (parts.train === undefined) {
    const where =
      data === undefined
        ? 'no training part is given'
        : `${data} has no folder train/ (it has: ${listed(visible(data))})`;
    throw new UserError(`${where}.`, layout);
  }
  return parts;
}
