// What a person, or SageMaker's log, sees of a training: a progress bar on a terminal, plain lines elsewhere, all lines in app.log too.
import { createWriteStream, mkdirSync, type WriteStream } from 'node:fs';
import { join } from 'node:path';
import { SingleBar } from 'cli-progress';

export interface StepReport {
  readonly epoch: number;
  readonly epochs: number;
  /** Batches done of the epoch. */
  readonly batch: number;
  readonly batches: number;
  readonly loss: number;
  /** Means over the epoch so far. */
  readonly millisecondsPerStep: number;
  readonly imagesPerSecond: number;
  /** Share of the time in which the step waited for images, 0 to 1. */
  readonly waiting: number;
}

/** Milliseconds between plain progress lines. */
const QUIET = 10_000;

function describe({ loss, millisecondsPerStep, imagesPerSecond, waiting }: StepReport): string {
  const memory = (process.memoryUsage.rss() / 1e9).toFixed(2);
  const speed = `${millisecondsPerStep.toFixed(0)} ms/step, ${imagesPerSecond.toFixed(1)} images/s`;
  return `loss ${loss.toFixed(4)}, ${speed}, ${memory} GB, waiting for data ${(waiting * 100).toFixed(0)}%`;
}

/** 2026-11-22T09-30-05: as a file name takes it. */
function timestamp(): string {
  return new Date().toISOString().slice(0, 19).replaceAll(':', '-');
}

export class TrainingConsole {
  private file: WriteStream | undefined;
  /** What there was to keep before there was a file for it. */
  private early = '';
  private bar: SingleBar | undefined;
  private lastLine = Date.now();

  constructor(private readonly output: NodeJS.WriteStream = process.stdout) {}

  /**
   * Begins to keep all lines, those of before too.
   *
   * @param logFolder gets `log_{timestamp}/app.log`
   */
  keep(logFolder: string): void {
    const folder = join(logFolder, `log_${timestamp()}`);
    mkdirSync(folder, { recursive: true });
    this.file = createWriteStream(join(folder, 'app.log'), { flags: 'a' });
    // the log is not worth the training; what is, the checkpoint, tells of a full disk itself
    this.file.on('error', ({ message }) => this.output.write(`no more lines are kept in app.log: ${message}\n`));
    this.file.write(this.early);
  }

  line(text: string): void {
    this.endBar();
    this.output.write(`${text}\n`);
    const kept = `${new Date().toISOString()} ${text}\n`;
    if (!this.file) this.early += kept;
    else if (this.file.writable) this.file.write(kept);
  }

  /** Metrics as `name=value;`, the form that SageMaker's MetricDefinitions find. */
  metrics(values: Readonly<Record<string, number | undefined>>): void {
    const known = Object.entries(values).filter((entry): entry is [string, number] => entry[1] !== undefined);
    this.line(
      known.map(([name, value]) => `${name}=${Number.isInteger(value) ? value : value.toPrecision(6)};`).join(' '),
    );
  }

  step(report: StepReport): void {
    const { epoch, epochs, batch, batches } = report;
    if (this.output.isTTY) {
      this.bar ??= this.startBar(report);
      this.bar.update(batch, { detail: describe(report) });
    } else if (Date.now() - this.lastLine >= QUIET || (epoch === 1 && batch === 1)) {
      this.line(`epoch ${epoch}/${epochs} step ${batch}/${batches}: ${describe(report)}`);
      this.lastLine = Date.now();
    }
    if (batch === batches) this.endBar();
  }

  private startBar({ epoch, epochs, batches }: StepReport): SingleBar {
    const format = `epoch ${epoch}/${epochs} {bar} {value}/{total} | {detail} | {eta_formatted} left`;
    const bar = new SingleBar({ format, stream: this.output, hideCursor: true, clearOnComplete: true, barsize: 20 });
    bar.start(batches, 0, { detail: '' });
    return bar;
  }

  private endBar(): void {
    this.bar?.stop();
    this.bar = undefined;
  }

  /** Ends the log once all of it is written. */
  async close(): Promise<void> {
    this.endBar();
    const { file } = this;
    if (file) await new Promise<void>((resolve) => file.end(() => resolve()));
  }
}
