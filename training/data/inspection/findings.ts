// What an inspection of a data set finds, and how tables are laid out for people.

export interface Finding {
  /** error: training would fail, or its scores would mislead; warning: it may be meant so. */
  readonly severity: 'error' | 'warning';
  readonly where: string;
  readonly problem: string;
  readonly fix: string;
}

export interface DataReport {
  readonly findings: readonly Finding[];
  /** Lines for people: how many there are of what. */
  readonly summary: readonly string[];
}

/** Told how many of how many files or subjects are done. */
export type Progress = (done: number, all: number) => void;

/** Rows under their headings, in columns as wide as they need to be. */
export function table(headings: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] as number))
      .join('  ')
      .trimEnd();
  return [line(headings), ...rows.map(line)];
}

/** Contents that stand at several places: the same image or subject twice, above all in two parts. */
export function duplicates<Item extends { readonly hash?: string | undefined }>(
  items: readonly Item[],
): [first: Item, again: Item][] {
  const seen = new Map<string, Item>();
  const found: [Item, Item][] = [];
  for (const item of items) {
    if (item.hash === undefined) continue;
    const first = seen.get(item.hash);
    if (first) found.push([first, item]);
    else seen.set(item.hash, item);
  }
  return found;
}

/** Calls for each item, so many at a time, and tells how far it is; the results are in the order of the items. */
export async function inTurn<Item, Result>(
  items: readonly Item[],
  atOnce: number,
  visit: (item: Item) => Promise<Result>,
  progress?: Progress,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let [next, done] = [0, 0];
  const lane = async () => {
    for (let n = next++; n < items.length; n = next++) {
      results[n] = await visit(items[n] as Item);
      progress?.(++done, items.length);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return results;
}
