// Tells Weights & Biases of a training, through its own JS SDK in a process of its own: whatever becomes of that process, training goes on,
// and what the server has not got is kept, and told to the next one.
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { finite, type RunStatus, type Tracker, type TrackerOptions, type Values } from '../tracker';
import type { FromProcess, Row, ToProcess } from './messages';

export interface WandbOptions extends TrackerOptions {
  /** Address of W&B's API. */
  readonly server: string;
  readonly project: string;
  /** Empty: the key's own. */
  readonly entity: string;
  /** Keep all that is told, and send nothing. */
  readonly offline: boolean;
}

/** What is remembered across restarts. */
interface State {
  readonly server: string;
  readonly project: string;
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly began: number;
  /** The last epoch that was told of, and that whose results were: a resumed training tells of some again. */
  last: { epoch: number; results: number };
  /** Rows that the server has. */
  sent: number;
  /** Those that it has not. */
  rows: Row[];
}

/** Milliseconds that the end of a training waits for what is still to be sent; SageMaker's SIGTERM leaves 120 s. */
const PATIENCE = 60_000;

/** Failures after the end of a training that end this waiting. */
const MOST_FAILURES = 3;

/** The exit codes that W&B shows as finished, failed and killed. */
const EXIT_CODES: Readonly<Record<RunStatus, number>> = { FINISHED: 0, FAILED: 1, KILLED: 255 };

/**
 * What to report to, from hyperparameters and the environment's WANDB_*; undefined where W&B is not asked for or WANDB_MODE is disabled.
 *
 * @throws UserError where it is asked for and there is no key
 */
export function wandbRun(
  h: Hyperparameters,
  environment: Readonly<Record<string, string | undefined>>,
): (Omit<WandbOptions, keyof TrackerOptions> & { readonly name: string | undefined }) | undefined {
  const { WANDB_API_KEY, WANDB_API_KEY_SECRET_ARN, WANDB_MODE } = environment;
  if ((!h.use_wandb && !WANDB_API_KEY_SECRET_ARN) || WANDB_MODE === 'disabled') return undefined;
  const offline = WANDB_MODE === 'offline' || WANDB_MODE === 'dryrun';
  if (!offline && !WANDB_API_KEY && !WANDB_API_KEY_SECRET_ARN) {
    throw new UserError(
      'use_wandb is true, but there is no key.',
      'set WANDB_API_KEY in the environment, or WANDB_API_KEY_SECRET_ARN to a secret in Secrets Manager that holds it, or WANDB_MODE=offline.',
    );
  }
  return {
    server: (environment.WANDB_BASE_URL || 'https://api.wandb.ai').replace(/\/+$/, ''),
    project: h.wandb_project || environment.WANDB_PROJECT || 'scanline',
    entity: h.wandb_entity || environment.WANDB_ENTITY || '',
    name: h.wandb_run_name || environment.WANDB_NAME || undefined,
    offline,
  };
}

export class Wandb implements Tracker {
  private readonly state: State;
  private process: ChildProcess | undefined;
  private closing: (() => void) | undefined;
  private failures = 0;
  private shown = false;
  private warned = false;

  constructor(private readonly options: WandbOptions) {
    const { server, project, stateFile, resume, offline, line } = options;
    const known = resume ? readState(stateFile) : undefined;
    const same = known?.server === server && known.project === project;
    const id = randomBytes(8).toString('hex').slice(0, 8);
    this.state = same
      ? known
      : { server, project, id, began: Date.now(), last: { epoch: 0, results: 0 }, sent: 0, rows: [] };
    if (offline) line(`W&B: offline; what it should know is kept in ${stateFile}`);
    else this.start();
  }

  metrics(epoch: number, values: Values): void {
    if (epoch <= this.state.last.epoch) return;
    this.state.last.epoch = epoch;
    this.tell({ epoch, ...values });
  }

  results(epoch: number, values: Values): void {
    if (epoch === this.state.last.results) return;
    this.state.last.results = epoch;
    this.tell({ best_epoch: epoch, ...values });
  }

  /** W&B's JS SDK has no artifacts. */
  model(): void {}

  async close(status: RunStatus): Promise<void> {
    if (!this.options.offline) await this.finish(EXIT_CODES[status]);
    const { rows } = this.state;
    if (rows.length > 0)
      this.options.line(
        `W&B: ${rows.length} rows were not sent; they are when this training is resumed${this.options.offline ? ' without WANDB_MODE' : ''}`,
      );
  }

  private tell(values: Values): void {
    const row: Row = { time: Date.now(), values: finite(values) };
    this.state.rows.push(row);
    this.save();
    if (this.process) this.send({ kind: 'row', row });
    else this.start();
  }

  /** Starts the process, unless it runs, with all that the server has not got. */
  private start(): void {
    if (this.options.offline || this.process) return;
    const { server, project, entity, runName: name, parameters } = this.options;
    const { id, began, sent, rows } = this.state;
    // a group of its own: what a terminal sends to all that runs in it, such as Ctrl-C, is not for it
    const child = fork(join(__dirname, 'process.js'), {
      ...{ detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'], execArgv: [] },
      env: { ...process.env, WANDB_WORKER: '' },
    });
    this.process = child;
    const gone = () => {
      if (this.process !== child) return;
      this.process = undefined;
      this.closing?.();
    };
    child.on('message', (message: FromProcess) => {
      if (this.process === child) this.take(message);
    });
    child.once('disconnect', gone);
    child.once('error', (error) => {
      this.warn(error.message);
      gone();
    });
    this.send({ kind: 'begin', session: { server, project, entity, id, name, parameters, began, sent } });
    for (const row of rows) this.send({ kind: 'row', row });
  }

  private send(message: ToProcess): void {
    // what is lost with the process is among the rows that the next one is told
    this.process?.send(message, () => {});
  }

  private take(message: FromProcess): void {
    if (message.kind === 'sent') {
      this.state.rows.splice(0, message.rows - this.state.sent);
      this.state.sent = message.rows;
      this.save();
    } else if (message.kind === 'run') {
      const { server, project, id } = this.state;
      const place = encodeURI(`${message.entity}/${project}/runs/${id}`);
      if (!this.shown) this.options.line(`W&B: run ${id} at ${appOf(server)}/${place}`);
      this.shown = true;
    } else if (message.kind === 'trouble') {
      this.warn(message.cause);
      if (this.closing && ++this.failures >= MOST_FAILURES) this.closing();
    } else this.closing?.();
  }

  private async finish(exitCode: number): Promise<void> {
    this.start();
    const child = this.process;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE);
      this.closing = () => {
        clearTimeout(timer);
        resolve();
      };
      this.send({ kind: 'finish', exitCode });
    });
    this.process = undefined;
    child?.kill('SIGKILL');
    this.save();
  }

  private warn(cause: string): void {
    if (this.warned) return;
    this.warned = true;
    const { host } = new URL(this.state.server);
    this.options.line(`W&B: ${host} does not take what it is told (${cause}); training goes on, it is tried again`);
  }

  private save(): void {
    mkdirSync(dirname(this.options.stateFile), { recursive: true });
    writeFileSync(this.options.stateFile, `${JSON.stringify(this.state)}\n`);
  }
}

/** Where people look at what the API of an address keeps. */
const appOf = (server: string) => server.replace('://api.wandb.', '://wandb.');

function readState(path: string): State | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as State) : undefined;
}
