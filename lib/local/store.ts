// Resources on disk: a JSON file each, so that what was made is there after a restart.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Characters; a file's name has at most 255 bytes, with .json.new behind. */
const LONGEST_READABLE = 240;

/** Dates survive as `{"$date": milliseconds}`. */
function replacer(this: Record<string, unknown>, key: string, value: unknown): unknown {
  const original = this[key];
  return original instanceof Date ? { $date: original.getTime() } : value;
}

function reviver(_key: string, value: unknown): unknown {
  const date = (value as { $date?: number } | null)?.$date;
  return typeof date === 'number' ? new Date(date) : value;
}

/** Resources of one kind, by name, in the order in which they were made. */
export class Collection<Resource> {
  private readonly items = new Map<string, { readonly order: number; readonly value: Resource }>();
  private made = 0;

  /** @param folder holds a file for each resource */
  constructor(private readonly folder: string) {
    mkdirSync(folder, { recursive: true });
    const files = readdirSync(folder).filter((name) => name.endsWith('.json'));
    const saved = files.map(
      (file) =>
        JSON.parse(readFileSync(join(folder, file), 'utf8'), reviver) as {
          name: string;
          order: number;
          value: Resource;
        },
    );
    for (const { name, order, value } of saved.sort((a, b) => a.order - b.order)) {
      this.items.set(name, { order, value });
      this.made = order + 1;
    }
  }

  get(name: string): Resource | undefined {
    return this.items.get(name)?.value;
  }

  list(): Resource[] {
    return [...this.items.values()].map(({ value }) => value);
  }

  /** Adds or changes a resource; on disk it is the old or the new one, never half of either. */
  put(name: string, value: Resource): void {
    const order = this.items.get(name)?.order ?? this.made++;
    this.items.set(name, { order, value });
    const file = this.file(name);
    writeFileSync(`${file}.new`, JSON.stringify({ name, order, value }, replacer, 2));
    renameSync(`${file}.new`, file);
  }

  delete(name: string): void {
    this.items.delete(name);
    rmSync(this.file(name), { force: true });
  }

  private file(name: string): string {
    const readable = encodeURIComponent(name);
    if (readable.length <= LONGEST_READABLE) return join(this.folder, `${readable}.json`);
    const digest = createHash('sha256').update(name).digest('hex');
    return join(this.folder, `${readable.slice(0, LONGEST_READABLE - digest.length)}${digest}.json`);
  }
}
