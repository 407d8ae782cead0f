// Threads that take jobs in turn.
import { Worker } from 'node:worker_threads';

interface Numbered {
  readonly id: number;
}

/** Threads that take jobs in turn; they keep the process alive until they are closed. */
export class WorkerPool<Job extends Numbered, Result extends Numbered> {
  private readonly workers: Worker[];
  private readonly waiting = new Map<number, { resolve: (result: Result) => void; reject: (error: Error) => void }>();
  private jobs = 0;
  private failure: Error | undefined;
  private closed = false;

  /**
   * @param size threads
   * @param script path of what they run: it answers each job with one result of the same id
   */
  constructor(
    readonly size: number,
    script: string,
  ) {
    this.workers = Array.from({ length: size }, () => {
      const worker = new Worker(script);
      worker.on('message', (result: Result) => {
        this.waiting.get(result.id)?.resolve(result);
        this.waiting.delete(result.id);
      });
      worker.on('error', (error) => this.fail(error));
      worker.on('exit', (code) => this.fail(new Error(`a thread that decodes images ended with status ${code}`)));
      return worker;
    });
  }

  /** A thread is lost: what waits, and what will come, would wait for ever. */
  private fail(error: Error): void {
    if (this.closed) return;
    this.failure ??= error;
    for (const { reject } of this.waiting.values()) reject(this.failure);
    this.waiting.clear();
  }

  run(job: Omit<Job, 'id'>): Promise<Result> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.jobs++;
    const worker = this.workers[id % this.workers.length] as Worker;
    return new Promise<Result>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      worker.postMessage({ ...job, id });
    });
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}
