// Splits images or subjects into train, valid and test, so that what belongs together (a patient, a block of slices) stays together.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { UserError } from '../../errors';
import { findKind } from '../kind';
import { LABEL_FILE, labelsToJson, SPLIT_FILE } from '../labels';
import { PARTS, type Part } from '../parts';
import { randomSource, shuffled } from '../random';
import type { GroupKey } from './groups';
import { collectImages } from './images';
import type { Collected, Item } from './item';
import { collectSubjects } from './subjects';

export { type GroupKey, grouper, parseGroupKey } from './groups';

/** What is split, into what, and how. */
export interface SplitOptions {
  /** Class folders of images; or subjects, or a dataset.json and what it lists, or parts of subjects: train/, valid/, test/. */
  readonly input: string;
  /** Folder for each part. */
  readonly outputs: Readonly<Record<Part, string>>;
  /** Shares of the images or subjects; they are made to add up to 1. */
  readonly fractions: Readonly<Record<Part, number>>;
  /** Of the order in which samples and groups are dealt out: the same seed, the same split. */
  readonly seed: number;
  /** stratified: the same mixture of classes of images in each part; random: as it falls. Groups, where given, stay whole in both. */
  readonly strategy: 'stratified' | 'random';
  /** What stays together in one part, e.g. all images of a patient. @default each image or subject for itself */
  readonly groupBy?: GroupKey;
}

/** How a data set was split. */
export interface SplitReport {
  /** Images of class folders, or subjects, each a folder or an entry of a dataset.json. */
  readonly samples: 'images' | 'subjects';
  /** Of images; none of subjects, which have all. */
  readonly classes: readonly string[];
  /** counts[part]: images or subjects. */
  readonly totals: Readonly<Record<Part, number>>;
  /** counts[part][class] of images. */
  readonly counts: Readonly<Record<Part, Readonly<Record<string, number>>>>;
  /** Groups in each part; without `groupBy` as many as samples. */
  readonly groups: Readonly<Record<Part, number>>;
  /** What a person should know of how the data was read. */
  readonly notes: readonly string[];
}

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

/**
 * Assigns whole groups, large ones first, each to the part that its samples fit best.
 *
 * @param open the parts that may be given samples
 */
function assign(
  items: readonly Item[],
  open: readonly Part[],
  { fractions, seed, strategy }: SplitOptions,
): Map<string, Part> {
  const total = open.reduce((sum, part) => sum + fractions[part], 0);
  const strata = (item: Item) => (strategy === 'stratified' ? item.className : 'all');
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(item.group, [...(groups.get(item.group) ?? []), item]);
  const size = (stratum: string) => items.filter((item) => strata(item) === stratum).length;
  const room = new Map(
    open.map((part) => [
      part,
      new Map([...new Set(items.map(strata))].map((name) => [name, (size(name) * fractions[part]) / total])),
    ]),
  );
  const order = shuffled([...groups], randomSource(seed)).sort(([, a], [, b]) => b.length - a.length);
  const result = new Map<string, Part>();
  for (const [group, members] of order) {
    const needs = (part: Part) => members.reduce((sum, item) => sum + (room.get(part)?.get(strata(item)) as number), 0);
    const best = open.reduce((a, b) => (needs(b) > needs(a) ? b : a));
    result.set(group, best);
    for (const item of members) room.get(best)?.set(strata(item), (room.get(best)?.get(strata(item)) as number) - 1);
  }
  return result;
}

/**
 * The part of each group. What comes in parts stays in them: a part that is missing takes its share, a test part of the validation
 * part where there is one, else of the training part.
 *
 * @throws UserError where a group stands in two parts of the input
 */
function assignAll({ items }: Collected, options: SplitOptions): Map<string, Part> {
  const { fractions } = options;
  const given = PARTS.filter((part) => items.some((item) => item.given === part));
  const wanted = PARTS.filter((part) => fractions[part] > 0 && !given.includes(part));
  const source = (part: Part) => (part === 'test' && given.includes('valid') ? 'valid' : 'train');
  const pools = given.length > 0 ? given : [undefined];
  const result = new Map<string, Part>();
  const torn: string[] = [];
  for (const pool of pools) {
    const open =
      pool === undefined
        ? PARTS.filter((part) => fractions[part] > 0)
        : [pool, ...wanted.filter((part) => source(part) === pool)];
    const inside = items.filter((item) => item.given === pool);
    for (const [group, part] of assign(inside, open, options)) {
      if (result.has(group)) torn.push(group);
      result.set(group, part);
    }
  }
  if (torn.length === 0) return result;
  throw new UserError(
    `the data would leak: ${torn.length === 1 ? 'a group stands' : `${torn.length} groups stand`} in two of its parts, e.g. ${torn.slice(0, 5).join(', ')}.`,
    'put each group into one part of the input, or correct --group-by.',
  );
}

/** The same picture in two parts would be learned and asked for: it is refused, whatever its name. */
function refuseDuplicates({ items, samples }: Collected, parts: ReadonlyMap<string, Part>): void {
  const seen = new Map<string, { item: Item; path: string }>();
  const leaks: string[] = [];
  for (const item of items)
    for (const path of item.pictures) {
      const hash = createHash('sha256').update(readFileSync(path)).digest('hex');
      const other = seen.get(hash);
      if (other && parts.get(other.item.group) !== parts.get(item.group))
        leaks.push(`${other.path} (${parts.get(other.item.group)}) = ${path} (${parts.get(item.group)})`);
      seen.set(hash, other ?? { item, path });
    }
  if (leaks.length === 0) return;
  throw new UserError(
    `the split would leak: ${leaks.length} ${samples === 'images' ? 'images' : 'volumes'} stand in two parts, e.g.\n  ${leaks.slice(0, 5).join('\n  ')}`,
    'remove the copies, or give them one group with --group-by.',
  );
}

function count({ items, classes, samples, notes }: Collected, parts: ReadonlyMap<string, Part>): SplitReport {
  const inPart = (part: Part) => items.filter((item) => parts.get(item.group) === part);
  const perPart = <Value>(of: (part: Part) => Value) => ({ train: of('train'), valid: of('valid'), test: of('test') });
  return {
    ...{ samples, classes, notes },
    totals: perPart((part) => inPart(part).length),
    counts: perPart((part) =>
      Object.fromEntries(classes.map((name) => [name, inPart(part).filter((item) => item.className === name).length])),
    ),
    groups: perPart((part) => new Set(inPart(part).map((item) => item.group)).size),
  };
}

function requireEveryPart(report: SplitReport, fractions: SplitOptions['fractions']): void {
  const wanted = PARTS.filter((part) => fractions[part] > 0);
  const missing = wanted.flatMap((part) =>
    report.samples === 'subjects'
      ? report.totals[part] === 0
        ? [`${part} has no subject`]
        : []
      : report.classes.filter((name) => report.counts[part][name] === 0).map((name) => `${part} has no ${name}`),
  );
  if (missing.length === 0) return;
  const [what, advice] =
    report.samples === 'subjects'
      ? ['parts', 'give more subjects or groups, or other fractions.']
      : ['classes', 'give more images or groups of these classes, other fractions, or --strategy stratified.'];
  const groups = PARTS.reduce((sum, part) => sum + report.groups[part], 0);
  const samples = PARTS.reduce((sum, part) => sum + report.totals[part], 0);
  const torn =
    groups < samples
      ? ` The group key puts ${samples} ${report.samples} into ${groups} group${groups === 1 ? '' : 's'}.`
      : '';
  throw new UserError(`the split leaves ${what} out: ${missing.join('; ')}.${torn}`, advice);
}

/** What an earlier split left in a part could stand in another part now. */
function refuseLeftovers(outputs: SplitOptions['outputs'], samples: Collected['samples']): void {
  const full = PARTS.map((part) => outputs[part]).filter(
    (folder) => existsSync(folder) && readdirSync(folder).length > 0,
  );
  if (full.length === 0) return;
  throw new UserError(
    `${full.join(' and ')} ${full.length === 1 ? 'is' : 'are'} not empty: ${samples} of an earlier split would leak between the parts.`,
    'give a new folder, or remove the old one.',
  );
}

const cell = (text: string) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/**
 * Copies images or subjects into a folder for each part, with label_dict.json beside them, and writes split.csv (file and class, or
 * subject; group, part) beside the training part.
 *
 * @throws UserError when a group cannot be told, a picture or a group would stand in two parts, a part would lack a class or be empty,
 * a subject lacks an image or a label, or an output folder is not empty
 */
export async function split(options: SplitOptions): Promise<SplitReport> {
  const { input, outputs } = options;
  const found = findKind(input) === 'volumes' ? collectSubjects(options) : collectImages(options);
  const parts = assignAll(found, options);
  const report = count(found, parts);
  requireEveryPart(report, options.fractions);
  refuseDuplicates(found, parts);
  refuseLeftovers(outputs, found.samples);
  const areImages = found.samples === 'images';
  const lines = [areImages ? 'file,class,group,part' : 'subject,group,part'];
  for (const { name, className, group, files } of found.items) {
    const part = parts.get(group) as Part;
    for (const { from, to } of files) {
      const target = join(outputs[part], to);
      await mkdir(dirname(target), { recursive: true });
      await cp(from, target, { recursive: true });
    }
    lines.push([name, ...(areImages ? [className] : []), group, part].map(cell).join());
  }
  for (const part of PARTS) {
    if (report.totals[part] > 0 && found.labels)
      await writeFile(join(outputs[part], LABEL_FILE), labelsToJson(found.labels));
  }
  await writeFile(join(outputs.train, SPLIT_FILE), `${lines.join('\n')}\n`);
  return report;
}

/** The report as lines to print. */
export function describeSplit({ samples, classes, counts, totals, groups, notes }: SplitReport): string[] {
  const parts = PARTS.filter((part) => groups[part] > 0).map((part) => {
    const ofClasses = classes.map((name) => `${name} ${counts[part][name]}`).join(', ');
    return `${part}: ${totals[part]} ${samples} in ${groups[part]} groups${ofClasses && ` (${ofClasses})`}`;
  });
  return [...notes, ...parts];
}
