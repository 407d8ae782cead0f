// What tells the group of a sample, so that what belongs together (a patient, a block of slices) stays together.
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, sep } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { UserError } from '../../errors';

/** What tells the group of an image or a subject. */
export type GroupKey =
  /** The part of its file name, or of the subject's, that a pattern finds: its first capture, or all of it. */
  | { readonly kind: 'pattern'; readonly pattern: string }
  /** The folder below its class that it lies in. */
  | { readonly kind: 'folder' }
  /** A column of a CSV file, whose column `file` names the images by path or file name, or the subjects. */
  | { readonly kind: 'csv'; readonly path: string; readonly column: string };

/** @throws UserError for a text that is none of pattern:REGEX, folder, csv:FILE:COLUMN */
export function parseGroupKey(text: string): GroupKey {
  const [kind, ...rest] = text.split(':');
  if (kind === 'folder' && rest.length === 0) return { kind };
  if (kind === 'pattern' && rest.length > 0) return { kind, pattern: rest.join(':') };
  if (kind === 'csv' && rest.length >= 2)
    return { kind, path: rest.slice(0, -1).join(':'), column: rest.at(-1) as string };
  throw new UserError(
    `the group key is '${text}'; allowed are pattern:REGEX, folder and csv:FILE:COLUMN.`,
    "e.g. --group-by 'pattern:^(patient\\d+)_'",
  );
}

function byPattern(pattern: string): (path: string) => string | undefined {
  let regex: RegExp;
  try {
    regex = new RegExp(pattern);
  } catch (error) {
    throw new UserError(
      `the pattern '${pattern}' is not a regular expression: ${(error as Error).message}.`,
      'correct it.',
    );
  }
  return (path) => {
    const match = regex.exec(basename(path));
    return match ? (match[1] ?? match[0]) : undefined;
  };
}

function byCsv(file: string, column: string): (path: string) => string | undefined {
  if (!existsSync(file)) throw new UserError(`there is no CSV file ${file}.`, 'check the path after csv:.');
  const rows = parseCsv(readFileSync(file), { columns: true, trim: true, bom: true }) as Record<string, string>[];
  const missing = ['file', column].filter((name) => rows[0]?.[name] === undefined);
  if (missing.length > 0) {
    const present = Object.keys(rows[0] ?? {}).join(', ') || 'none';
    throw new UserError(
      `${file} has no column ${missing.join(' and no column ')}; its columns are ${present}.`,
      'name the columns `file` and the one of the group.',
    );
  }
  const groups = new Map<string, string>();
  for (const row of rows) {
    const [name, group] = [row.file as string, row[column] as string];
    if ((groups.get(name) ?? group) !== group) {
      throw new UserError(
        `${file} puts ${name} into two groups: ${groups.get(name)} and ${group}.`,
        'name each image once; by its path inside the data where file names are not unique.',
      );
    }
    groups.set(name, group);
  }
  return (path) => groups.get(path) ?? groups.get(basename(path));
}

/** The group of an image from its path inside the folder of the classes, or of a subject from its name; each is a group of its own where no key is given. */
export function grouper(key: GroupKey | undefined): (path: string) => string | undefined {
  if (key === undefined) return (path) => path;
  if (key.kind === 'pattern') return byPattern(key.pattern);
  if (key.kind === 'csv') return byCsv(key.path, key.column);
  return (path) => {
    const folders = dirname(path).split(sep).slice(1);
    return folders.length > 0 ? folders.join('/') : undefined;
  };
}
