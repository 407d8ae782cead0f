// Splits class folders of images into train, valid and test, so that what belongs together (a patient, a block of slices) stays together.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative, sep } from 'node:path';
import { parse as parseCsv } from 'csv-parse/sync';
import { UserError } from '../errors';
import { imagesBelow, type Part } from './image-folders';
import { LABEL_FILE, labelsToJson, SPLIT_FILE } from './labels';
import { randomSource, shuffled } from './random';

/** What tells the group of an image. */
export type GroupKey =
  /** The part of its file name that a pattern finds: its first capture, or all of it. */
  | { readonly kind: 'pattern'; readonly pattern: string }
  /** The folder below its class that it lies in. */
  | { readonly kind: 'folder' }
  /** A column of a CSV file, whose column `file` names the images by path or file name. */
  | { readonly kind: 'csv'; readonly path: string; readonly column: string };

export interface SplitOptions {
  /** Folder of class folders. */
  readonly input: string;
  /** Folder for each part. */
  readonly outputs: Readonly<Record<Part, string>>;
  /** Shares of the images; they are made to add up to 1. */
  readonly fractions: Readonly<Record<Part, number>>;
  readonly seed: number;
  /** stratified: the same mixture of classes in each part; random: as it falls. Groups, where given, stay whole in both. */
  readonly strategy: 'stratified' | 'random';
  readonly groupBy?: GroupKey;
}

interface Item {
  readonly path: string;
  readonly className: string;
  readonly group: string;
}

export interface SplitReport {
  readonly classes: readonly string[];
  /** counts[part][class] */
  readonly counts: Readonly<Record<Part, Readonly<Record<string, number>>>>;
  readonly groups: Readonly<Record<Part, number>>;
}

const PARTS: readonly Part[] = ['train', 'valid', 'test'];

/** @throws UserError for a text that is not three shares, of which the first is not 0 */
export function parseFractions(text: string): SplitOptions['fractions'] {
  const numbers = text.split(',').map(Number);
  const [train = 0, valid = 0, test = 0] = numbers;
  if (numbers.length === 3 && numbers.every((number) => number >= 0) && train > 0) return { train, valid, test };
  throw new UserError(
    `the fractions are '${text}'; three shares, of train, valid and test, are needed.`,
    'e.g. 0.7,0.15,0.15',
  );
}

/** @throws UserError for a text that is neither stratified nor random */
export function parseStrategy(text: string): SplitOptions['strategy'] {
  if (text === 'stratified' || text === 'random') return text;
  throw new UserError(`the strategy is '${text}'; allowed are stratified and random.`, 'choose one of these.');
}

/** @throws UserError for a text that is not a whole number of at least 0 */
export function parseSeed(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new UserError(`the seed is '${text}'; a whole number of at least 0 is needed.`, 'e.g. 0');
}

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

/** The group of an image from its path inside the folder of the classes; each is a group of its own where no key is given. */
export function grouper(key: GroupKey | undefined): (path: string) => string | undefined {
  if (key === undefined) return (path) => path;
  if (key.kind === 'pattern') return byPattern(key.pattern);
  if (key.kind === 'csv') return byCsv(key.path, key.column);
  return (path) => {
    const folders = dirname(path).split(sep).slice(1);
    return folders.length > 0 ? folders.join('/') : undefined;
  };
}

function collect({ input, groupBy }: SplitOptions): Item[] {
  if (!existsSync(input)) throw new UserError(`there is no folder ${input}.`, 'check the path.');
  const groupOf = grouper(groupBy);
  const classes = readdirSync(input).filter(
    (name) => !name.startsWith('.') && statSync(join(input, name)).isDirectory(),
  );
  const ungrouped: string[] = [];
  const items = classes.sort().flatMap((className) =>
    imagesBelow(join(input, className)).images.map((path) => {
      const group = groupOf(relative(input, path));
      if (group === undefined || group === '') ungrouped.push(relative(input, path));
      return { path, className, group: group ?? '' };
    }),
  );
  if (items.length === 0)
    throw new UserError(`${input} holds no PNG or JPEG images in class folders.`, 'lay them out as CLASS/*.png.');
  if (ungrouped.length > 0) {
    const shown = ungrouped.slice(0, 5).join(', ');
    throw new UserError(
      `the group key finds no group for ${ungrouped.length} of ${items.length} images, e.g. ${shown}.`,
      'correct --group-by so that it fits every image.',
    );
  }
  return items;
}

/** Assigns whole groups, large ones first, each to the part that its images fit best. */
function assign(items: readonly Item[], { fractions, seed, strategy }: SplitOptions): Map<string, Part> {
  const total = PARTS.reduce((sum, part) => sum + fractions[part], 0);
  const strata = (item: Item) => (strategy === 'stratified' ? item.className : 'all');
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  const size = (stratum: string) => items.filter((item) => strata(item) === stratum).length;
  const open = new Map(
    PARTS.map((part) => [
      part,
      new Map([...new Set(items.map(strata))].map((name) => [name, (size(name) * fractions[part]) / total])),
    ]),
  );
  const order = shuffled([...groups], randomSource(seed)).sort(([, a], [, b]) => b.length - a.length);
  const result = new Map<string, Part>();
  for (const [group, members] of order) {
    const needs = (part: Part) => members.reduce((sum, item) => sum + (open.get(part)?.get(strata(item)) as number), 0);
    const best = PARTS.filter((part) => fractions[part] > 0).reduce((a, b) => (needs(b) > needs(a) ? b : a));
    result.set(group, best);
    for (const item of members) open.get(best)?.set(strata(item), (open.get(best)?.get(strata(item)) as number) - 1);
  }
  return result;
}

/** The same picture in two parts would be learned and asked for: it is refused, whatever its name. */
function refuseDuplicates(items: readonly Item[], parts: ReadonlyMap<string, Part>): void {
  const seen = new Map<string, Item>();
  const leaks: string[] = [];
  for (const item of items) {
    const hash = createHash('sha256').update(readFileSync(item.path)).digest('hex');
    const other = seen.get(hash);
    if (other && parts.get(other.group) !== parts.get(item.group)) {
      leaks.push(`${other.path} (${parts.get(other.group)}) = ${item.path} (${parts.get(item.group)})`);
    }
    seen.set(hash, other ?? item);
  }
  if (leaks.length === 0) return;
  throw new UserError(
    `the split would leak: ${leaks.length} images stand in two parts, e.g.\n  ${leaks.slice(0, 5).join('\n  ')}`,
    'remove the copies, or give them one group with --group-by.',
  );
}

function count(items: readonly Item[], parts: ReadonlyMap<string, Part>, classes: readonly string[]): SplitReport {
  const inPart = (part: Part) => items.filter((item) => parts.get(item.group) === part);
  const perPart = <Value>(of: (part: Part) => Value) => ({ train: of('train'), valid: of('valid'), test: of('test') });
  return {
    classes,
    counts: perPart((part) =>
      Object.fromEntries(classes.map((name) => [name, inPart(part).filter((item) => item.className === name).length])),
    ),
    groups: perPart((part) => new Set(inPart(part).map((item) => item.group)).size),
  };
}

function requireEveryClass(report: SplitReport, fractions: SplitOptions['fractions']): void {
  const missing = PARTS.filter((part) => fractions[part] > 0).flatMap((part) =>
    report.classes.filter((name) => report.counts[part][name] === 0).map((name) => `${part} has no ${name}`),
  );
  if (missing.length === 0) return;
  throw new UserError(
    `the split leaves classes out: ${missing.join('; ')}.`,
    'give more images or groups of these classes, other fractions, or --strategy stratified.',
  );
}

/** What an earlier split left in a part could stand in another part now. */
function refuseLeftovers(outputs: SplitOptions['outputs']): void {
  const full = PARTS.map((part) => outputs[part]).filter(
    (folder) => existsSync(folder) && readdirSync(folder).length > 0,
  );
  if (full.length === 0) return;
  throw new UserError(
    `${full.join(' and ')} ${full.length === 1 ? 'is' : 'are'} not empty: images of an earlier split would leak between the parts.`,
    'give a new folder, or remove the old one.',
  );
}

/**
 * Copies the images into a folder for each part, with label_dict.json beside the classes, and writes split.csv (file, class, group,
 * part) beside the training part.
 *
 * @throws UserError when a group cannot be told, a picture would stand in two parts, a part would lack a class, or an output folder
 * is not empty
 */
export async function split(options: SplitOptions): Promise<SplitReport> {
  const items = collect(options);
  const parts = assign(items, options);
  const classes = [...new Set(items.map((item) => item.className))].sort();
  const report = count(items, parts, classes);
  requireEveryClass(report, options.fractions);
  refuseDuplicates(items, parts);
  refuseLeftovers(options.outputs);
  const lines = ['file,class,group,part'];
  for (const item of items) {
    const part = parts.get(item.group) as Part;
    const inside = relative(options.input, item.path);
    const target = join(options.outputs[part], inside);
    await mkdir(dirname(target), { recursive: true });
    await copyFile(item.path, target);
    lines.push(
      [inside, item.className, item.group, part]
        .map((cell) => (/[",\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell))
        .join(),
    );
  }
  for (const part of PARTS) {
    if (options.fractions[part] > 0) await writeFile(join(options.outputs[part], LABEL_FILE), labelsToJson(classes));
  }
  await writeFile(join(options.outputs.train, SPLIT_FILE), `${lines.join('\n')}\n`);
  return report;
}

/** The report as lines to print. */
export function describeSplit({ classes, counts, groups }: SplitReport): string[] {
  return PARTS.filter((part) => groups[part] > 0).map((part) => {
    const total = Object.values(counts[part]).reduce((sum, value) => sum + value, 0);
    return `${part}: ${total} images in ${groups[part]} groups (${classes.map((name) => `${name} ${counts[part][name]}`).join(', ')})`;
  });
}
