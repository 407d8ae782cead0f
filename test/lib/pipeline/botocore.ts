// What botocore's own model of SageMaker says of the arguments of steps, where `npm run oracle` has installed it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { StepDefinition } from '../../../lib/pipeline';
import { packageRoot } from '../../../training/native/cache';

const PYTHON = join(packageRoot, '.oracle', 'bin', 'python');

const hasBotocore = existsSync(PYTHON) && spawnSync(PYTHON, ['-c', 'import botocore']).status === 0;

/** Why tests that need it are skipped, if they are. */
export const skip = hasBotocore ? false : 'botocore is not in .oracle: run `npm run oracle`';

export interface OracleTask {
  readonly steps: readonly StepDefinition[];
  /** By the member of a request: the enumeration that it is of. @default none */
  readonly enumerations?: Readonly<Record<string, string>>;
  /** By the member of a request: the least and the most. @default none */
  readonly ranges?: Readonly<Record<string, readonly (number | null)[]>>;
}

/** @returns a line for each thing that is wrong */
export function botocore({ steps, enumerations = {}, ranges = {} }: OracleTask): string {
  const { stdout, stderr, status } = spawnSync(PYTHON, [join(packageRoot, 'test', 'oracle', 'lib', 'definitions.py')], {
    input: JSON.stringify({ steps, enumerations, ranges }),
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return stdout;
}
