// The classes of a data set and their numbers.
import { existsSync, readFileSync } from 'node:fs';
import { UserError } from '../errors';

/** Class names and numbers, beside the class folders. */
export const LABEL_FILE = 'label_dict.json';

/** Which image went where, written by a split. */
export const SPLIT_FILE = 'split.csv';

/**
 * Classes in the order of their numbers, from `{"name": number}` or `{"number": "name"}`.
 *
 * @throws UserError unless the numbers are 0, 1, 2, ... and the names differ
 */
export function parseLabels(text: string, path: string): string[] {
  const wrong = (reason: string) =>
    new UserError(`${path}: ${reason}.`, 'write it as {"first class": 0, "second class": 1}.');
  let entries: [string, unknown][];
  try {
    entries = Object.entries(JSON.parse(text));
  } catch (error) {
    throw wrong(`not JSON (${(error as Error).message})`);
  }
  const byNumber = entries.every(([key, value]) => /^\d+$/.test(key) && typeof value === 'string');
  const pairs = entries.map(([key, value]) => (byNumber ? ([value, Number(key)] as const) : ([key, value] as const)));
  const classes: string[] = [];
  for (const [name, number] of pairs) classes[Number(number)] = String(name);
  const complete = Object.keys(classes).length === pairs.length && classes.length === pairs.length;
  if (!complete || new Set(classes).size !== pairs.length)
    throw wrong('the numbers must be 0, 1, 2, ... and each name must stand once');
  return classes;
}

/** The classes of the first of the files that exists. */
export function readLabels(paths: readonly string[]): { classes: string[]; path: string } | undefined {
  const path = paths.find((candidate) => existsSync(candidate));
  return path === undefined ? undefined : { classes: parseLabels(readFileSync(path, 'utf8'), path), path };
}

export function labelsToJson(classes: readonly string[]): string {
  return `${JSON.stringify(Object.fromEntries(classes.map((name, number) => [name, number])), null, 2)}\n`;
}
