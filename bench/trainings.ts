// Whole trainings as processes, ours and a peer's, and what the benches on the examples tell of them.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { packageRoot } from '../training/native/cache';

export const CLI = join(packageRoot, 'dist', 'bin', 'scanline.js');

export interface Result {
  readonly score: number;
  readonly seconds: number;
}

/** Runs a program to its end. @returns what it printed, and the seconds of the whole process */
export function run(command: string, args: readonly string[]): { output: string; seconds: number } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stderr}`);
  return { output: stdout, seconds: (performance.now() - start) / 1000 };
}

/** Runs a training. @param pattern finds the score in what it prints; the last one counts */
export function train(command: string, args: readonly string[], pattern: RegExp): Result {
  const { output, seconds } = run(command, args);
  const score = [...output.matchAll(pattern)].at(-1)?.[1];
  if (score === undefined) throw new Error(`there is nothing like ${pattern} in:\n${output}`);
  return { score: Number(score), seconds };
}

/** The arguments that train on a folder with an example's hyperparameters. */
export function trainArguments(data: string, out: string, seed: number, hyperparameters: object): string[] {
  const options = Object.entries(hyperparameters).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return [CLI, 'train', '--data', data, '--out', out, '--seed', String(seed), ...options];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export const meanSeconds = (results: readonly Result[]) => mean(results.map(({ seconds }) => seconds));

/** Prints the scores and the seconds of each training, and their means. */
export function report(name: string, metric: string, results: readonly Result[]): void {
  const scores = results.map(({ score }) => score);
  process.stdout.write(
    `${name.padEnd(9)} ${metric} ${scores.map((value) => value.toFixed(3)).join(' ')}, mean ${mean(scores).toFixed(3)}; ` +
      `seconds ${results.map(({ seconds }) => seconds.toFixed(0)).join(' ')}, mean ${meanSeconds(results).toFixed(1)}\n`,
  );
}
