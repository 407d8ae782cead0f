// The container tool of this machine: docker, podman or buildah, whichever is there.
import { spawn, spawnSync } from 'node:child_process';
import { createInterface } from 'node:readline';

export type ContainerTool = 'docker' | 'podman' | 'buildah';

/** What a tool is wanted for. buildah builds and pushes; it is not for running. */
export type ContainerTask = 'build' | 'run';

/** In the order in which they are looked for; podman comes last for builds, as buildah, where both are there, is what it builds with. */
const TOOLS: Readonly<Record<ContainerTask, readonly ContainerTool[]>> = {
  build: ['docker', 'buildah', 'podman'],
  run: ['docker', 'podman'],
};

/** Milliseconds in which a tool must say that it works: a docker daemon that hangs is none. */
const ANSWER = 20_000;

/** Of what a tool printed, when it fails. */
const LINES_SHOWN = 15;

export class ContainerToolError extends Error {
  /** The command line prints the message of such an error, without a stack. */
  override readonly name = 'UserError';

  constructor(problem: string, fix: string) {
    super(`${problem}\n  Fix: ${fix}`);
  }
}

/** Why a tool does not work here; undefined where it does. */
function obstacle(tool: ContainerTool): string | undefined {
  // docker's own version says nothing about its daemon
  const args = tool === 'docker' ? ['version', '--format', '{{.Server.Version}}'] : ['--version'];
  const { error, status, stderr } = spawnSync(tool, args, { encoding: 'utf8', timeout: ANSWER });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return 'not installed';
  if (error) return error.message;
  return status === 0 ? undefined : (stderr.trim().split('\n').at(-1) ?? `exit status ${status}`);
}

/**
 * The tool for a task.
 *
 * @param asked by name @default SCANLINE_CONTAINER_TOOL, else the first of docker, buildah (builds) and podman that works
 * @throws ContainerToolError where there is none, with what is wrong with each
 */
export function findContainerTool(
  task: ContainerTask,
  asked: string | undefined = process.env.SCANLINE_CONTAINER_TOOL,
): ContainerTool {
  const allowed = TOOLS[task];
  const candidates = asked ? allowed.filter((tool) => tool === asked) : allowed;
  const obstacles = candidates.map((tool) => ({ tool, why: obstacle(tool) }));
  const found = obstacles.find(({ why }) => why === undefined);
  if (found) return found.tool;
  if (obstacles.length === 0)
    throw new ContainerToolError(
      `'${asked}' is no tool to ${task} images with; allowed are ${allowed.join(', ')}.`,
      'name one of these, or leave it out.',
    );
  throw new ContainerToolError(
    `there is no container tool to ${task} images with: ${obstacles.map(({ tool, why }) => `${tool}: ${why}`).join('; ')}.`,
    task === 'run'
      ? 'install docker or podman and start it; or run jobs as processes (--executor process), which needs neither.'
      : 'install docker, podman or buildah, e.g. `sudo apt-get install podman`.',
  );
}

export interface ToolOptions {
  /** Added to this process's own. @default nothing */
  readonly environment?: Readonly<Record<string, string>>;
  /** Gets each line that the tool prints, while it works. @default nobody */
  readonly onLine?: (line: string) => void;
}

/**
 * Runs a tool to its end.
 *
 * @returns what it printed to its standard output
 * @throws ContainerToolError when it fails, with the end of what it printed
 */
export function runTool(
  tool: ContainerTool,
  args: readonly string[],
  { environment = {}, onLine }: ToolOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(tool, args, { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    const last: string[] = [];
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        if (stream === child.stdout) stdout += `${line}\n`;
        last.push(line);
        if (last.length > LINES_SHOWN) last.shift();
        if (line.trim() !== '') onLine?.(line);
      });
    child.on('error', reject);
    child.on('close', (status, signal) => {
      if (status === 0) return resolve(stdout);
      const end = last.join('\n').trim();
      reject(
        new ContainerToolError(
          `\`${tool} ${args[0]}\` failed (${signal ?? `exit status ${status}`}):\n${end}`,
          'mend what it says above, and run the command again.',
        ),
      );
    });
  });
}

function imageInspect(tool: ContainerTool, image: string, format: string): string[] {
  return tool === 'buildah'
    ? ['inspect', '--type', 'image', '--format', format, image]
    : ['image', 'inspect', '--format', format, image];
}

/** The value of a label of an image; undefined where there is no such image or label. */
export function imageLabel(tool: ContainerTool, image: string, label: string): string | undefined {
  const path = tool === 'buildah' ? '.OCIv1.Config.Labels' : '.Config.Labels';
  const { status, stdout } = spawnSync(tool, imageInspect(tool, image, `{{index ${path} "${label}"}}`), {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() || undefined : undefined;
}

/** The id of an image, the SHA-256 of its configuration, without its prefix; undefined where there is no such image. */
export function imageId(tool: ContainerTool, image: string): string | undefined {
  const path = tool === 'buildah' ? '.FromImageID' : '.Id';
  const { status, stdout } = spawnSync(tool, imageInspect(tool, image, `{{${path}}}`), { encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/^sha256:/, '') : undefined;
}
