// The container under test: runs of it, each with a folder of its own in place of /opt/ml.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { ContainerRequest, Executor, RunningContainer } from '../local/jobs/executor';

/** Seconds that SageMaker gives; the tests of this kit give less. */
export interface Limits {
  /** From SIGTERM to SIGKILL, for a training. @default 120 */
  readonly trainingGrace: number;
  /** The same for a server. @default 30 */
  readonly servingGrace: number;
  /** From the start to the first healthy /ping. @default 240 */
  readonly healthy: number;
  /** For an answer of /ping. @default 2 */
  readonly ping: number;
  /** For an answer of /invocations. @default 60 */
  readonly invocation: number;
  /** For a training with the data that is given, after which it is taken to hang; not SageMaker's. @default 1800 */
  readonly training: number;
}

export const LIMITS: Limits = {
  trainingGrace: 120,
  servingGrace: 30,
  healthy: 240,
  ping: 2,
  invocation: 60,
  training: 1800,
};

/** What is run, and by whom. */
export interface Subject {
  readonly executor: Executor;
  readonly image: string;
  /** container: an image, which has a network of its own; process: a folder of commands, which has this machine's. */
  readonly kind: 'container' | 'process';
  /** Gets a folder for each run: opt/ml and log. */
  readonly folder: string;
  readonly limits: Limits;
}

export interface Ended {
  readonly status: number;
  readonly seconds: number;
}

export const wait = (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000));

/** Seconds with a digit after the point. */
export const inSeconds = (seconds: number) => `${seconds.toFixed(1)} s`;

/** All files below a folder, by their paths in it, with what changes when they are written. */
export function filesBelow(folder: string): Map<string, string> {
  if (!existsSync(folder)) return new Map();
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => !entry.isDirectory());
  return new Map(
    entries.map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      const stats = statSync(path, { throwIfNoEntry: false });
      return [relative(folder, path), `${stats?.size} ${stats?.mtimeMs}`];
    }),
  );
}

/** A run of one of the container's commands. */
export class Run {
  private readonly began = performance.now();
  private readonly container: RunningContainer;
  private readonly log: string;
  /** Set when it has ended. */
  ended: Ended | undefined;
  readonly end: Promise<Ended>;

  /** @param more port: of 127.0.0.1, where what it serves is to be found */
  constructor(
    subject: Subject,
    private readonly name: string,
    command: string,
    environment: Readonly<Record<string, string>>,
    more: Pick<ContainerRequest, 'port' | 'readOnlyRoot'> = {},
  ) {
    const { executor, image, folder } = subject;
    this.log = join(folder, name, 'log');
    this.container = executor.run({
      image,
      command: [command],
      environment: { AWS_REGION: 'us-east-1', ...environment },
      base: baseOf(subject, name),
      log: this.log,
      ...more,
    });
    this.end = this.container.exited.then((status) => {
      this.ended = { status, seconds: (performance.now() - this.began) / 1000 };
      return this.ended;
    });
  }
  /** Sends SIGTERM, and SIGKILL after so many seconds. @returns the seconds that it took to end */
  async stop(grace: number): Promise<Ended> {
    const asked = performance.now();
    await this.container.stop(grace);
    const { status } = await this.end;
    return { status, seconds: (performance.now() - asked) / 1000 };
  }

  /** Waits for its end. @returns undefined when it had to be killed after so many seconds */
  async within(seconds: number): Promise<Ended | undefined> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), seconds * 1000);
    const late = new Promise<undefined>((resolve) => over.signal.addEventListener('abort', () => resolve(undefined)));
    const ended = await Promise.race([this.end, late]);
    clearTimeout(timer);
    if (ended === undefined) await this.container.stop(0);
    return ended;
  }

  /** The end of what it printed, for a finding. */
  lastLine(): string {
    const lines = existsSync(this.log) ? readFileSync(this.log, 'utf8').trim().split('\n') : [''];
    const last = lines.at(-1)?.slice(-200) ?? '';
    return last === '' ? `${this.name} printed nothing` : `it printed last: ${last}`;
  }
}

/** The folder that is /opt/ml for a run. */
export function baseOf({ folder }: Subject, name: string): string {
  return join(folder, name, 'opt', 'ml');
}
