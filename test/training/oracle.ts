// The Python environment with the programs that Scanline is checked against; tests that need it are skipped where it is not.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../training/native/cache';

const PYTHON = join(packageRoot, '.oracle', 'bin', 'python');

/** For the option `skip` of a test: false where the environment is there, else why the test is left out. */
export const withoutOracle: string | false = existsSync(PYTHON)
  ? false
  : 'there is no .oracle/bin/python; `bash test/oracle/setup.sh` makes it';

/** What a Python program prints as JSON. */
export function askOracle<Answer>(program: string, ...args: readonly string[]): Answer {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', program, ...args], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  if (status !== 0) throw new Error(`the Python program failed:\n${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1) as string) as Answer;
}
