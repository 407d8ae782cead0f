// The program of a job: unpacked, compiled where it is TypeScript, and run to its end.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildFailure } from 'esbuild';
import { extract } from 'tar';
import { baseFolder } from '../../training/container';
import { UserError } from '../../training/errors';
import { packageRoot } from '../../training/native/cache';
import { fetchPackage, isInS3 } from './package-in-s3';
import { argumentsOf, environmentOf, type Script } from './script';

const TYPESCRIPT = /\.[cm]?ts$/;

/** Characters of the end of what it wrote to stderr that are told when it fails. */
const LAST_WORDS = 800;

/** Unpacks the program beside a link by which `scanline-sagemaker/training` is found. @returns the folder */
async function unpack({ archive, region, program }: Script): Promise<string> {
  const code = join(baseFolder(), 'code');
  mkdirSync(join(code, 'node_modules'), { recursive: true });
  if (isInS3(archive)) {
    const fetched = join(code, 'sourcedir.tar.gz');
    await fetchPackage(archive, region, fetched);
    extract({ file: fetched, cwd: code, sync: true });
    rmSync(fetched);
  } else {
    extract({ file: archive, cwd: code, sync: true });
  }
  if (!existsSync(join(code, program))) {
    throw new UserError(
      `the package of the job has no ${program}, which sagemaker_program names.`,
      'name a file by its path in sourcedir.tar.gz.',
    );
  }
  const link = join(code, 'node_modules', 'scanline-sagemaker');
  // a job that goes on after an interruption may find the folder as it left it
  if (!existsSync(link)) symlinkSync(packageRoot, link);
  return code;
}

/**
 * A program in TypeScript, with the modules of its own that it imports, as a file of JavaScript beside it; packages are left where they
 * are. Types are not checked.
 *
 * @returns the program to run, from its folder
 * @throws UserError with all that does not compile
 */
async function compile(code: string, program: string): Promise<string> {
  if (!TYPESCRIPT.test(program)) return program;
  const { build } = await import('esbuild');
  const outfile = program.replace(TYPESCRIPT, '.scanline.cjs');
  try {
    await build({
      absWorkingDir: code,
      entryPoints: [program],
      outfile,
      bundle: true,
      packages: 'external',
      platform: 'node',
      target: 'node20',
      format: 'cjs',
      // so that a stack trace in the log names the lines of the source
      sourcemap: 'inline',
      sourcesContent: false,
      logLevel: 'silent',
    });
  } catch (error) {
    const { errors = [] } = error as Partial<BuildFailure>;
    if (errors.length === 0) throw error;
    const problems = errors.map(({ text, location }) =>
      location ? `${location.file}:${location.line}: ${text}` : text,
    );
    throw new UserError(`${program} does not compile:\n${problems.join('\n')}`, 'mend it, and pack it again.');
  }
  return outfile;
}

/**
 * Runs the program to its end; SIGTERM is passed on to it.
 *
 * @throws UserError when it fails
 */
export async function runProgram(script: Script): Promise<void> {
  let child: ChildProcess | undefined;
  let stopped = false;
  process.once('SIGTERM', () => {
    stopped = true;
    child?.kill('SIGTERM');
  });
  const code = await unpack(script);
  for (const folder of ['model', 'output/data']) mkdirSync(join(baseFolder(), folder), { recursive: true });
  const file = await compile(code, script.program);
  if (stopped) return;
  child = spawn(process.execPath, [file, ...argumentsOf(script)], {
    cwd: code,
    env: { ...process.env, ...environmentOf(script) },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let last = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    process.stderr.write(chunk);
    last = (last + chunk.toString()).slice(-LAST_WORDS);
  });
  const [status, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  if (status === 0 || (stopped && signal === 'SIGTERM')) return;
  throw new UserError(
    `${script.program} ended with ${signal ?? `status ${status}`}${last.trim() ? `:\n${last.trim()}` : '.'}`,
    'see what it wrote to its log before; `scanline run` runs the same job on your machine.',
  );
}
