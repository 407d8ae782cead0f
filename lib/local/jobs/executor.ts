// Runs what SageMaker would run in a container: here as a process of this machine.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, lstatSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ServiceError } from '../errors';
import { insideOptMl } from '../names';

export interface ContainerRequest {
  readonly image: string;
  /** In place of the image's own. @default the image's own */
  readonly entrypoint?: readonly string[] | undefined;
  /** The command and its arguments, or the arguments of the entry point. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** The folder that is /opt/ml for the job. */
  readonly base: string;
  /** Folders of this machine by the paths below /opt/ml where the job finds them. @default none */
  readonly mounts?: ReadonlyMap<string, string>;
  /** Of 127.0.0.1, where what it serves is to be found. @default it serves nothing */
  readonly port?: number;
  /** Whether it can write to /tmp and what is mounted alone; of a container, not of a process. @default false */
  readonly readOnlyRoot?: boolean;
  /** Gets all that the job prints. */
  readonly log: string;
}

export interface RunningContainer {
  /** The exit status; 128 and the signal's number where a signal ended it. */
  readonly exited: Promise<number>;
  /** SIGTERM, and SIGKILL where it does not end in time. */
  stop(graceSeconds: number): Promise<void>;
}

/** Runs containers, or what stands for them. */
export interface Executor {
  /** Starts it; a command that cannot be started is a failure of the container. */
  run(request: ContainerRequest): RunningContainer;
  /** Ends all that still runs, and starts nothing more. */
  close(): Promise<void>;
}

/**
 * Starts the command in a process group of its own; beside it waits for the end of descriptor 3, which comes when this process is
 * gone, however it went, and then ends the group, by force where it must: no job outlives its control plane.
 */
const GUARD = `(trap '' TERM; read _ <&3; kill -TERM -$$; sleep 5; kill -KILL -$$) 2>/dev/null & exec "$@" 3<&-`;

class ProcessContainer implements RunningContainer {
  readonly exited: Promise<number>;

  constructor(private readonly child: ChildProcess) {
    this.exited = new Promise((resolve) => {
      child.on('error', () => resolve(127));
      child.on('exit', (code, signal) => {
        // as in a container, what the command started ends with it; so does the guard
        this.signal('SIGKILL');
        (child.stdio[3] as Socket | null)?.destroy();
        resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL']);
      });
    });
  }

  async stop(graceSeconds: number): Promise<void> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceSeconds * 1000);
    await this.exited;
    clearTimeout(timer);
  }

  private signal(signal: NodeJS.Signals): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, signal);
    } catch {
      // it is gone
    }
  }
}

/** Puts a folder where a process finds it: what it writes there is in the folder at once, also when it is killed. */
function link(base: string, path: string, folder: string): void {
  const seen = join(base, insideOptMl(path));
  for (const parent of [folder, dirname(seen)]) mkdirSync(parent, { recursive: true });
  if (!lstatSync(seen, { throwIfNoEntry: false })) symlinkSync(folder, seen);
}

/**
 * Runs jobs as processes, by the commands of their images: a folder whose bin/ has train, serve and so on. What a container sees as
 * /opt/ml is a folder of the job, named by SAGEMAKER_BASE_DIR.
 */
export class ProcessExecutor implements Executor {
  private readonly running = new Set<RunningContainer>();
  private closed = false;

  /** @param images folder of the commands by the URI of the image */
  constructor(private readonly images: ReadonlyMap<string, string>) {}

  run({
    image,
    entrypoint = [],
    command: given,
    environment,
    base,
    mounts,
    port,
    log,
  }: ContainerRequest): RunningContainer {
    if (this.closed) throw new Error('the control plane has ended');
    const command = [...entrypoint, ...given];
    const folder = this.images.get(image);
    const bin = join(folder ?? '', 'bin');
    if (command.length === 0)
      throw new ServiceError('ValidationException', 'a process needs a command: give the job a ContainerEntrypoint');
    if (folder === undefined || !existsSync(join(bin, command[0] as string))) {
      const known = [...this.images.keys()].join(', ') || 'none';
      throw new ServiceError(
        'ValidationException',
        folder === undefined
          ? `the image ${image} cannot run as a process; known are: ${known}`
          : `the image ${image} has no command ${command[0]} in ${bin}`,
      );
    }
    mkdirSync(dirname(log), { recursive: true });
    mkdirSync(base, { recursive: true });
    for (const [path, source] of mounts ?? []) link(base, path, source);
    const serving = port === undefined ? {} : { SAGEMAKER_BIND_TO_PORT: String(port), SCANLINE_BIND_HOST: '127.0.0.1' };
    const output = openSync(log, 'a');
    const child = spawn('/bin/sh', ['-c', GUARD, 'sh', ...command], {
      cwd: base,
      detached: true,
      env: {
        ...process.env,
        ...environment,
        ...serving,
        SAGEMAKER_BASE_DIR: base,
        PATH: `${bin}${delimiter}${process.env.PATH}`,
      },
      stdio: ['ignore', output, output, 'pipe'],
    });
    closeSync(output);
    const container = new ProcessContainer(child);
    this.running.add(container);
    container.exited.then(() => this.running.delete(container));
    return container;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.running].map((container) => container.stop(5)));
  }
}
