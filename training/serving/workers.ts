// The worker processes of a server: requests wait here until one takes them; one that ends is replaced, and loses only what it held.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { UserError } from '../errors';
import type { Answer, Invocation, WorkerMessage, WorkerSettings } from './protocol';
import { Refusal, TIMED_OUT, TOO_LONG } from './refusal';
import type { ModelDescription } from './served-model';

export interface WorkersOptions extends WorkerSettings {
  readonly workers: number;
  /** Requests that wait or are worked on at most. */
  readonly maxRequests: number;
  /** Milliseconds from a request to its answer. */
  readonly deadline: number;
  /** Milliseconds that a worker has to give up a request that took longer, before it counts as stuck. */
  readonly grace: number;
}

/** What happened, for who counts it. */
export interface WorkersObserver {
  batch(size: number, seconds: number): void;
  workerLost(): void;
}

interface Request extends Invocation {
  resolve(answer: Answer): void;
  reject(error: Error): void;
  /** Whether nobody waits for the answer any more. */
  abandoned(): boolean;
  /** When it is to be answered, by performance.now(). */
  readonly due: number;
  timer?: NodeJS.Timeout;
}

interface Worker {
  readonly process: ChildProcess;
  readonly held: Map<number, Request>;
  isReady: boolean;
}

/** Milliseconds before a worker that ended is replaced: twice as long after each that never got ready. */
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;

/** The status that asks a client, and SageMaker for it, to come again. */
const UNAVAILABLE = 503;

export class Workers {
  private readonly workers = new Set<Worker>();
  private readonly waiting: Request[] = [];
  private pause = FIRST_PAUSE;
  private count = 0;
  private isClosed = false;
  /** What is served, once a worker is ready. */
  model: ModelDescription | undefined;
  /** Most instances that run together, of the model that is served. */
  maxBatch: number;
  private firstReady!: { resolve(model: ModelDescription): void; reject(error: Error): void };

  constructor(
    private readonly options: WorkersOptions,
    private readonly observer: WorkersObserver,
  ) {
    this.maxBatch = options.maxBatch;
  }

  /** Starts the workers. @returns what they serve, when the first is ready @throws UserError where the model cannot be served */
  start(): Promise<ModelDescription> {
    const ready = new Promise<ModelDescription>((resolve, reject) => {
      this.firstReady = { resolve, reject };
    });
    for (let i = 0; i < this.options.workers; i++) this.spawn();
    return ready;
  }

  /** Workers that have loaded the model. */
  get ready(): number {
    return [...this.workers].filter(({ isReady }) => isReady).length;
  }

  /** Requests that wait or are worked on. */
  get load(): number {
    return this.waiting.length + [...this.workers].reduce((sum, { held }) => sum + held.size, 0);
  }

  /** @throws Refusal when there is too much to do, or the worker that held the request ended */
  invoke(request: Omit<Invocation, 'id' | 'remaining'>, abandoned: () => boolean): Promise<Answer> {
    if (this.load >= this.options.maxRequests)
      throw new Refusal(`the server has ${this.load} requests to answer; come again in a second.`, UNAVAILABLE);
    return new Promise((resolve, reject) => {
      const due = performance.now() + this.options.deadline;
      const waiting: Request = { ...request, id: this.count++, remaining: 0, resolve, reject, abandoned, due };
      waiting.timer = setTimeout(() => this.late(waiting), this.options.deadline);
      this.waiting.push(waiting);
      this.dispatch();
    });
  }

  /** Ends the workers; what they hold is lost. */
  async close(): Promise<void> {
    this.isClosed = true;
    const ended = [...this.workers].map(
      ({ process }) =>
        new Promise((resolve) =>
          process.exitCode === null && process.signalCode === null ? process.once('exit', resolve) : resolve(undefined),
        ),
    );
    for (const { process } of this.workers) process.kill('SIGKILL');
    await Promise.all(ended);
  }

  private spawn(): void {
    const { model, maxBatch, latency, maxPixels, maxValues } = this.options;
    const settings: WorkerSettings = { model, maxBatch, latency, maxPixels, maxValues };
    const process = fork(join(__dirname, 'worker.js'), [JSON.stringify(settings)], { serialization: 'advanced' });
    const worker: Worker = { process, held: new Map(), isReady: false };
    this.workers.add(worker);
    process.on('message', (message: WorkerMessage) => this.heard(worker, message));
    process.on('error', () => {});
    process.on('exit', () => this.lost(worker));
  }

  private heard(worker: Worker, message: WorkerMessage): void {
    if (message.kind === 'ready') {
      worker.isReady = true;
      this.pause = FIRST_PAUSE;
      this.model = message.model;
      this.maxBatch = message.maxBatch;
      this.firstReady.resolve(message.model);
    } else if (message.kind === 'unusable') {
      if (!this.model) this.firstReady.reject(new UserError(message.problem, message.fix));
      worker.process.kill('SIGKILL');
    } else if (message.kind === 'batch') {
      this.observer.batch(message.size, message.seconds);
    } else {
      const request = worker.held.get(message.id);
      worker.held.delete(message.id);
      clearTimeout(request?.timer);
      request?.resolve(message.answer);
    }
    this.dispatch();
  }

  private lost(worker: Worker): void {
    this.workers.delete(worker);
    for (const request of worker.held.values()) {
      clearTimeout(request.timer);
      request.reject(new Refusal('the worker that held this request ended; send it again.', UNAVAILABLE));
    }
    if (this.isClosed) return;
    this.observer.workerLost();
    if (!worker.isReady && !this.model)
      this.firstReady.reject(new Error('the worker ended before it had loaded the model; its output says why'));
    setTimeout(() => this.isClosed || this.spawn(), this.pause).unref();
    if (!worker.isReady) this.pause = Math.min(2 * this.pause, LONGEST_PAUSE);
  }

  /** Hands waiting requests to ready workers, to the idlest first; no worker holds more than two batches. */
  private dispatch(): void {
    while (this.waiting.length > 0) {
      const [idlest] = [...this.workers].filter(({ isReady }) => isReady).sort((a, b) => a.held.size - b.held.size);
      if (idlest === undefined || idlest.held.size >= 2 * this.maxBatch) return;
      const request = this.waiting.shift() as Request;
      if (request.abandoned()) clearTimeout(request.timer);
      else this.hand(request, idlest);
    }
  }

  private hand(request: Request, worker: Worker): void {
    const { id, contentType, accept, explain, body, due } = request;
    worker.held.set(id, request);
    const remaining = Math.max(0, due - performance.now());
    worker.process.send({ id, contentType, accept, explain, body, remaining } satisfies Invocation);
  }

  /** A request is answered in time, whatever its worker does; one that does not give it up soon is stuck. */
  private late(request: Request): void {
    request.reject(new Refusal(TOO_LONG, TIMED_OUT));
    const place = this.waiting.indexOf(request);
    if (place >= 0) this.waiting.splice(place, 1);
    for (const { held, process } of this.workers)
      if (held.has(request.id)) request.timer = setTimeout(() => process.kill('SIGKILL'), this.options.grace);
  }
}
