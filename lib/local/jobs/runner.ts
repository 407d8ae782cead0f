// Runs the containers of jobs: each in its own folder, to its end, its time limit, or the end of the control plane.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { invalid, notFound, ServiceError } from '../errors';
import { ACCOUNT, REGION, requireName } from '../names';
import { Collection } from '../store';
import type { Executor, RunningContainer } from './executor';

/** Characters of a failure file that SageMaker shows. */
const FAILURE_LENGTH = 1024;

/** Seconds between SIGTERM and SIGKILL for a job. */
const GRACE = 120;

/** Milliseconds; what a timer of Node.js can wait, nearly 25 days. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** Why a job that a control plane before this one ran has no end of its own. */
export const LOST = 'InternalServerError: the control plane ended before the job did';

/** As in the ARN of a job. */
export type JobKind = 'processing-job' | 'training-job';

/** What a container of a job is run with. */
export interface JobContainer {
  readonly image: string;
  readonly entrypoint?: readonly string[] | undefined;
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Folders of this machine by the paths below /opt/ml where the job finds them. @default none */
  readonly mounts?: ReadonlyMap<string, string>;
  /** Seconds after which the job is stopped. @default never */
  readonly maxRuntime?: number;
}

/** How the container of a job ended. */
export type JobEnd =
  | { readonly status: 'Completed' | 'Stopped' | 'MaxRuntimeExceeded' }
  | { readonly status: 'Failed'; readonly reason: string };

/** @throws ServiceError, for what runs here runs on one machine */
export function requireOneInstance(count: number | undefined): void {
  if ((count ?? 1) > 1) throw invalid(`the local control plane runs a job on one instance, not on ${count}`);
}

/** Why a job was stopped that nobody stopped. */
export function tooLong(maxRuntime: number | undefined): string {
  return `it ran longer than its MaxRuntimeInSeconds, ${maxRuntime}`;
}

export function isUnfinished(status: string | undefined): boolean {
  return status === 'InProgress' || status === 'Stopping';
}

export function writeJson(path: string, value: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(value, null, 2));
}

/** Jobs of one kind: their records, their folders and their containers. */
export class JobRunner<Job> {
  readonly jobs: Collection<Job>;
  private readonly running = new Map<string, RunningContainer>();
  private readonly stopped = new Map<string, 'Stopped' | 'MaxRuntimeExceeded'>();
  private finished: Promise<unknown> = Promise.resolve();
  private suspended = false;

  constructor(
    private readonly root: string,
    private readonly kind: JobKind,
    private readonly executor: Executor,
  ) {
    this.jobs = new Collection(join(root, `${kind}s`));
  }

  private get title(): string {
    return this.kind.replace('-', ' ');
  }

  /** @throws ServiceError where there is one of that name, or it is none */
  requireNew(given: string | undefined): string {
    const name = requireName(this.title, given);
    if (this.jobs.get(name) !== undefined)
      throw new ServiceError('ResourceInUse', `there is a ${this.title} ${name} already`);
    return name;
  }

  /** @throws ServiceError where there is none */
  require(name: string): Job {
    const job = this.jobs.get(name);
    if (job === undefined) throw notFound(this.title, name);
    return job;
  }

  /** The folder of all that belongs to a job. */
  folder(name: string): string {
    return join(this.root, `${this.kind}s`, name);
  }

  /** The folder that is /opt/ml for a job. */
  base(name: string): string {
    return join(this.folder(name), 'opt', 'ml');
  }

  /** The file that has what a job printed. */
  log(name: string): string {
    return join(this.folder(name), 'log.txt');
  }

  /** Notes a job that has begun, so that `settled` waits for it. */
  begun(job: Promise<void>): Promise<void> {
    this.finished = Promise.allSettled([this.finished, job]);
    return job;
  }

  /** Runs the container of a job to its end. @throws Error when the control plane ends before it */
  async run(name: string, { environment, maxRuntime, ...container }: JobContainer): Promise<JobEnd> {
    const running = this.executor.run({
      ...container,
      environment: { AWS_REGION: REGION, AWS_DEFAULT_REGION: REGION, AWS_ACCOUNT_ID: ACCOUNT, ...environment },
      base: this.base(name),
      log: this.log(name),
    });
    this.running.set(name, running);
    const limit =
      maxRuntime && setTimeout(() => this.end(name, 'MaxRuntimeExceeded'), Math.min(maxRuntime * 1000, LONGEST_TIMER));
    const status = await running.exited;
    clearTimeout(limit || undefined);
    this.running.delete(name);
    if (this.isSuspended(name)) throw new Error(LOST);
    const stopped = this.stopped.get(name);
    if (stopped !== undefined) return { status: stopped };
    return status === 0 ? { status: 'Completed' } : { status: 'Failed', reason: this.failure(name, status) };
  }

  private failure(name: string, status: number): string {
    const file = join(this.base(name), 'output', 'failure');
    const reason = existsSync(file) ? readFileSync(file, 'utf8').slice(0, FAILURE_LENGTH) : `see ${this.log(name)}`;
    return `AlgorithmError: ${reason}, exit code: ${status}`;
  }

  /** Begins to end a job; what it leaves is kept. @returns whether it runs */
  stop(name: string): boolean {
    return this.end(name, 'Stopped');
  }

  private end(name: string, why: 'Stopped' | 'MaxRuntimeExceeded'): boolean {
    const container = this.running.get(name);
    if (container === undefined) return false;
    if (!this.stopped.has(name)) this.stopped.set(name, why);
    void container.stop(GRACE);
    return true;
  }

  /** From now on the end of a job that nobody asked to stop is not its own, and is not written down. */
  suspend(): void {
    this.suspended = true;
  }

  isSuspended(name: string): boolean {
    return this.suspended && !this.stopped.has(name);
  }

  /** Waits until no job runs any more. */
  async settled(): Promise<void> {
    await this.finished;
  }
}
