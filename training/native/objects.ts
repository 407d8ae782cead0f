// Compiles C++ files one by one, and keeps what became of each: after a change only that is compiled again which it concerns.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';

/** g++ ended with an error; the message is what it said. */
export class CompilerError extends Error {}

/** @throws CompilerError */
export function gpp(args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('g++', args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let output = '';
    child.stderr.on('data', (chunk) => {
      output += chunk;
    });
    child.on('error', (error) => reject(new CompilerError(error.message)));
    child.on('close', (code) => (code === 0 ? resolve() : reject(new CompilerError(output))));
  });
}

/** A C++ file and the headers beside it that it names in quotes, directly or through others. */
function withHeaders(source: string): string[] {
  const found = new Set([source]);
  for (const file of found) {
    for (const [, header = ''] of readFileSync(file, 'utf8').matchAll(/"([\w./-]+\.h)"/g)) {
      const path = join(dirname(file), header);
      if (existsSync(path)) found.add(path);
    }
  }
  return [...found];
}

/** Where the object file of a source is kept: named after all that it is made of. */
function objectPath(source: string, flags: readonly string[], folder: string): string {
  const hash = createHash('sha256').update(JSON.stringify(flags));
  for (const file of withHeaders(source)) hash.update(readFileSync(file));
  return join(folder, `${hash.digest('hex').slice(0, 16)}.o`);
}

/**
 * Compiles each source that has no object file yet, as many at a time as there are cores.
 *
 * @param folder where object files are kept; it is made where it is not there
 * @returns the object files, in the order of the sources
 * @throws CompilerError
 */
export async function compileObjects(
  sources: readonly string[],
  flags: readonly string[],
  folder: string,
): Promise<string[]> {
  mkdirSync(folder, { recursive: true });
  const objects = sources.map((source) => objectPath(source, flags, folder));
  const waiting = sources.map((source, i) => ({ source, object: objects[i] as string }));
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (existsSync(next.object)) continue;
      const partial = `${next.object}.${process.pid}`;
      await gpp([...flags, '-c', next.source, '-o', partial]).catch((error) => {
        // the others end what they are at, and begin nothing new
        waiting.length = 0;
        throw error;
      });
      renameSync(partial, next.object);
    }
  };
  const workers = await Promise.allSettled(Array.from({ length: availableParallelism() }, work));
  for (const worker of workers) if (worker.status === 'rejected') throw worker.reason;
  return objects;
}
