// Runs jobs in their real images, with docker or podman: /opt/ml mounted, no network but the port of a server, nothing left behind.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import type { Socket } from 'node:net';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import { invalid } from '../errors';
import { type ContainerTool, runTool } from './container-tool';
import type { ContainerRequest, Executor, RunningContainer } from './executor';

/** The port on which a server in a container listens, unless it is told another. */
const SERVER_PORT = 8080;

/** Names the folder of state whose jobs a container is of. */
const LABEL = 'scanline.state';

/**
 * Runs the tool ("$1") with the arguments from the fourth on, whose container has a name ("$2"). Beside it waits for the end of
 * descriptor 3, which comes when this process is gone, however it went, and then ends the container, by force where it must: nothing
 * of a job outlives its control plane, though no tool's container is a child of this process.
 */
const GUARD = `(trap '' TERM; read _ <&3; "$1" stop -t 5 "$2"; kill -KILL $$; "$1" rm --force "$2") >/dev/null 2>&1 &
shift 2; exec "$@" 3<&-`;

/** How containers of jobs are run. */
export interface ContainerSettings {
  /** docker or podman. */
  readonly tool: ContainerTool;
  /** The name by which this machine has an image, for its URI. @default the URI */
  readonly images: ReadonlyMap<string, string>;
  /** Whether the containers get the NVIDIA devices. @default no */
  readonly gpu?: boolean;
  /** What a container may take of memory, e.g. 8g; one that takes more is killed (exit status 137). @default all */
  readonly memory?: string;
}

/** The network of a container: none, but for the port of a server, which is open to this machine alone. */
function networkArguments(tool: ContainerTool, port: number | undefined): string[] {
  if (port === undefined) return ['--network', 'none'];
  // without root or firewall rules, where it is there
  const hasSlirp = tool === 'podman' && spawnSync('slirp4netns', ['--version']).status === 0;
  return [...(hasSlirp ? ['--network', 'slirp4netns'] : []), '--publish', `127.0.0.1:${port}:${SERVER_PORT}`];
}

function gpuArguments(tool: ContainerTool): string[] {
  return tool === 'docker' ? ['--gpus', 'all'] : ['--device', 'nvidia.com/gpu=all'];
}

/**
 * Under docker, what root in a container writes to a mount is root's here too: a user could not delete their own results. podman and a
 * rootless docker map root to the user.
 */
function userArguments(tool: ContainerTool): string[] {
  const [user, group] = [process.getuid?.() ?? 0, process.getgid?.() ?? 0];
  if (tool !== 'docker' || user === 0 || process.platform !== 'linux') return [];
  const { stdout } = spawnSync(tool, ['info', '--format', '{{.SecurityOptions}}'], { encoding: 'utf8' });
  return stdout.includes('name=rootless') ? [] : ['--user', `${user}:${group}`, '--env', 'HOME=/tmp'];
}

class ToolContainer implements RunningContainer {
  readonly exited: Promise<number>;

  constructor(
    private readonly tool: ContainerTool,
    private readonly name: string,
    private readonly child: ChildProcess,
  ) {
    this.exited = new Promise((resolve) => {
      child.on('error', () => resolve(127));
      child.on('exit', (code, signal) => void this.end(code, signal).then(resolve));
    });
  }

  private async end(code: number | null, signal: NodeJS.Signals | null): Promise<number> {
    // who killed the tool did not end the container
    if (code === null) await this.command('rm', '--force', this.name);
    // the guard has nothing left to guard
    this.kill();
    (this.child.stdio[3] as Socket | null)?.destroy();
    return code ?? 128 + constants.signals[signal ?? 'SIGKILL'];
  }

  private kill(): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // it is gone
    }
  }

  /** What fails here does so because the container is not there yet, or no longer. */
  private async command(...args: string[]): Promise<boolean> {
    return runTool(this.tool, args).then(
      () => true,
      () => false,
    );
  }

  async stop(graceSeconds: number): Promise<void> {
    let over = false;
    void this.exited.then(() => {
      over = true;
    });
    // a container that is being made cannot be stopped yet
    while (!over && !(await this.command('stop', '-t', String(graceSeconds), this.name)))
      await new Promise((resolve) => setTimeout(resolve, 200));
    await this.exited;
  }
}

export class ContainerExecutor implements Executor {
  private readonly running = new Set<RunningContainer>();
  private readonly user: readonly string[];
  private closed = false;

  /**
   * Takes away what a control plane of the same folder left, should its machine have gone down with it.
   *
   * @param state the folder of the control plane's state, which this process has locked
   */
  constructor(
    private readonly settings: ContainerSettings,
    private readonly state: string,
  ) {
    const { tool } = settings;
    this.user = userArguments(tool);
    const filter = ['--filter', `label=${LABEL}=${state}`];
    const { stdout } = spawnSync(tool, ['ps', '--all', '--quiet', ...filter], { encoding: 'utf8' });
    const left = stdout?.split('\n').filter((id) => id !== '') ?? [];
    if (left.length > 0) spawnSync(tool, ['rm', '--force', ...left]);
  }

  /** The command line of a container, without the tool. */
  commandOf(request: ContainerRequest, name: string): string[] {
    const { image, entrypoint, command, environment, base, port, mounts, readOnlyRoot = false } = request;
    const { tool, images, gpu, memory } = this.settings;
    const [program, ...first] = entrypoint ?? [];
    const volumes = [[base, '/opt/ml'], ...[...(mounts ?? [])].map(([path, source]) => [source, path])];
    return [
      ...['run', '--rm', '--name', name, '--label', `${LABEL}=${this.state}`, '--stop-signal', 'SIGTERM'],
      ...networkArguments(tool, port),
      ...this.user,
      ...(gpu ? gpuArguments(tool) : []),
      ...(memory === undefined ? [] : ['--memory', memory]),
      ...(readOnlyRoot ? ['--read-only', '--tmpfs', '/tmp'] : []),
      ...volumes.flatMap((pair) => ['--volume', pair.join(':')]),
      ...Object.entries(environment).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
      ...(program === undefined ? [] : ['--entrypoint', program]),
      images.get(image) ?? image,
      ...first,
      ...command,
    ];
  }

  run(request: ContainerRequest): RunningContainer {
    if (this.closed) throw new Error('the control plane has ended');
    const { base, log, mounts } = request;
    for (const folder of [dirname(log), base, ...(mounts?.values() ?? [])]) mkdirSync(folder, { recursive: true });
    if ([base, ...(mounts?.values() ?? [])].some((folder) => folder.includes(':')))
      throw invalid(`a container cannot mount ${base}: its path has a colon; choose another --state`);
    const { tool } = this.settings;
    const name = `scanline-${randomUUID()}`;
    const output = openSync(log, 'a');
    const child = spawn('/bin/sh', ['-c', GUARD, 'sh', tool, name, tool, ...this.commandOf(request, name)], {
      // where podman leaves a note of a container that was killed for its memory
      cwd: dirname(log),
      detached: true,
      stdio: ['ignore', output, output, 'pipe'],
    });
    closeSync(output);
    const container = new ToolContainer(tool, name, child);
    this.running.add(container);
    void container.exited.then(() => this.running.delete(container));
    return container;
  }

  async close(): Promise<void> {
    this.closed = true;
    await Promise.all([...this.running].map((container) => container.stop(5)));
  }
}
