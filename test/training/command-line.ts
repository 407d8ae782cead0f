// Runs the command line and the entry points of the container as a user does: as processes of their own.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../../training/native/cache';

export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Milliseconds after which a process hangs; those here take seconds. */
const LONGEST = 120_000;

/**
 * @param script below dist/; it is killed when it hangs, or the test's own process ends
 * @param longest milliseconds after which it hangs @default two minutes
 */
export function start(
  script: string,
  args: readonly string[],
  environment: Record<string, string> = {},
  longest = LONGEST,
): Running {
  const child = spawn(process.execPath, [join(packageRoot, 'dist', script), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const kill = () => child.kill('SIGKILL');
  const timer = setTimeout(kill, longest);
  process.once('exit', kill);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve({ status, signal, stdout, stderr });
    });
  });
  return { child, ended };
}

export function scanline(...args: readonly string[]): Promise<Ended> {
  return start('bin/scanline.js', args).ended;
}

/** Hyperparameters of a network of a few hundred weights, as the command line takes them. */
export const TINY = ['--init_features=4', '--growth_rate=2', '--bn_size=1', '--block_config=1,1', '--img_size=32'];

/** The values of `name=value;` in each line that has some. */
export function metricLines(stdout: string): Record<string, number>[] {
  return stdout.split('\n').flatMap((line) => {
    const found = [...line.matchAll(/(\w+)=(\S+);/g)].map(([, name, value]) => [name, Number(value)]);
    return found.length > 0 ? [Object.fromEntries(found)] : [];
  });
}
