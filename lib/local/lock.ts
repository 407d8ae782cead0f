// One control plane for a folder of state: a file in it names the process that has it.
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Holder {
  readonly pid: number;
  /** When the process began, as Linux counts it: a process that got the pid later began later. Absent on other systems. */
  readonly began?: string;
}

/** Another control plane has the folder. */
export class FolderInUseError extends Error {
  /** The command line prints the message of such an error, without a stack. */
  override readonly name = 'UserError';

  constructor(folder: string, pid: number) {
    super(
      `the state folder ${folder} is in use by the control plane of process ${pid}; two would run the same executions twice\n` +
        `  Fix: wait for that process or end it (kill ${pid}), or give this one another folder (--state FOLDER).`,
    );
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** The state of a process, and when it began; undefined where Linux's /proc does not have it. */
function processStat(pid: number): { state: string; began: string } | undefined {
  try {
    // the second field is the command in brackets, which may have anything in it
    const [state, ...fields] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return { state: state as string, began: fields[18] as string };
  } catch {
    return undefined;
  }
}

function identify(pid: number): Holder {
  const began = processStat(pid)?.began;
  return { pid, ...(began !== undefined && { began }) };
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Whether the very process that wrote a lock still runs; one that has ended and was not yet waited for does not. */
function isAlive({ pid, began }: Holder): boolean {
  if (!exists(pid)) return false;
  const stat = processStat(pid);
  return stat === undefined || ((began ?? stat.began) === stat.began && !/[ZX]/.test(stat.state));
}

/** Who holds a lock; nobody does where its writer was killed before it had written it whole. */
function holderIn(text: string): Holder | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Takes a stale lock away, unless another process has put its own in its place. */
function takeAway(lock: string, stale: string): void {
  const aside = `${lock}.${process.pid}`;
  try {
    renameSync(lock, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (read(aside) === stale) rmSync(aside);
  else renameSync(aside, lock);
}

/**
 * Takes a folder for this process; what a process that is gone has left behind is taken over.
 * @returns what gives the folder back
 * @throws FolderInUseError while the process that has it runs
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const lock = join(folder, 'lock');
  const own = JSON.stringify(identify(process.pid));
  for (;;) {
    try {
      writeFileSync(lock, own, { flag: 'wx' });
      // while it was still empty, another process may have taken it for stale
      if (read(lock) === own) return () => rmSync(lock, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const found = read(lock);
      if (found === undefined) continue;
      const holder = holderIn(found);
      if (holder && isAlive(holder)) throw new FolderInUseError(folder, holder.pid);
      takeAway(lock, found);
    }
  }
}
