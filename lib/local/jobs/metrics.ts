// Metrics of a training job, found in what it prints by the regular expressions of its metric definitions.
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import type { MetricData, MetricDefinition } from '@aws-sdk/client-sagemaker';

/** What ends a line: also what a progress bar goes back with. */
const LINE_ENDS = ['\n', '\r'];

/** Reads a log line by line as it grows, each line once. */
export class LogMetrics {
  /** Bytes that have been read: whole lines. */
  private position = 0;
  private readonly definitions: readonly { readonly name: string; readonly regex: RegExp }[];
  private readonly latest: (MetricData | undefined)[] = [];

  constructor(
    private readonly log: string,
    definitions: readonly MetricDefinition[] = [],
  ) {
    this.definitions = definitions.map(({ Name, Regex }) => ({
      name: Name as string,
      regex: new RegExp(Regex as string, 'g'),
    }));
  }

  /**
   * The last value of each metric so far, with the time at which its line was first seen.
   * @param isComplete nothing more is printed: what follows the last line's end is a line too
   */
  read(isComplete = false): MetricData[] {
    const now = new Date();
    for (const line of this.newLines(isComplete)) {
      for (const [index, { name, regex }] of this.definitions.entries()) {
        const value = [...line.matchAll(regex)].at(-1)?.[1];
        if (value !== undefined) this.latest[index] = { MetricName: name, Value: Number(value), Timestamp: now };
      }
    }
    return this.definitions.flatMap((_definition, index) => this.latest[index] ?? []);
  }

  private newLines(isComplete: boolean): string[] {
    const bytes = this.newBytes();
    const end = isComplete ? bytes.length : Math.max(...LINE_ENDS.map((character) => bytes.lastIndexOf(character) + 1));
    this.position += end;
    return bytes.toString('utf8', 0, end).split(/[\r\n]/);
  }

  private newBytes(): Buffer {
    if (this.definitions.length === 0 || !existsSync(this.log)) return Buffer.alloc(0);
    const file = openSync(this.log, 'r');
    try {
      const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - this.position));
      return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, this.position));
    } finally {
      closeSync(file);
    }
  }
}
