// The brain tissues beside MONAI: mean Dice on the validation volumes and time, over several seeds, taking turns.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { tissue } from '../examples/mni-tissue/settings';
import { packageRoot } from '../training/native/cache';

const CLI = join(packageRoot, 'dist', 'bin', 'scanline.js');
const VOLUMES = join(packageRoot, 'examples', 'mni-tissue', 'volumes');

interface Result {
  readonly dice: number;
  readonly seconds: number;
}

/** Runs a program to its end. @returns what it printed, and the seconds of the whole process */
function run(command: string, args: readonly string[]): { output: string; seconds: number } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stderr}`);
  return { output: stdout, seconds: (performance.now() - start) / 1000 };
}

function result({ output, seconds }: { output: string; seconds: number }, pattern: RegExp): Result {
  const dice = [...output.matchAll(pattern)].at(-1)?.[1];
  if (dice === undefined) throw new Error(`there is no Dice in:\n${output}`);
  return { dice: Number(dice), seconds };
}

function trainOurs(out: string, seed: number): Result {
  const options = Object.entries(tissue.hyperparameters).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const args = [CLI, 'train', '--data', VOLUMES, '--out', out, '--seed', String(seed), ...options];
  // of the last epoch, as MONAI's: what the validation volumes chose would be measured on them
  return result(run(process.execPath, args), /valid_dice=([\d.]+);/g);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const meanSeconds = (results: readonly Result[]) => mean(results.map(({ seconds }) => seconds));

function report(name: string, results: readonly Result[]): void {
  const scores = results.map(({ dice }) => dice);
  process.stdout.write(
    `${name.padEnd(9)} Dice ${scores.map((value) => value.toFixed(3)).join(' ')}, mean ${mean(scores).toFixed(3)}; ` +
      `seconds ${results.map(({ seconds }) => seconds.toFixed(0)).join(' ')}, mean ${meanSeconds(results).toFixed(1)}\n`,
  );
}

new Command('tissue')
  .description('mean Dice and seconds of Scanline and MONAI on the brain tissues; whole processes, start to end')
  .option('--python <path>', 'a Python with the packages of test/oracle/requirements.txt', '.oracle/bin/python')
  .option('--seeds <number>', 'how many seeds', Number, 3)
  .option('--monai-epochs <number>', "of MONAI's training", Number, 5)
  .addHelpText('after', '\nExample:\n  npm run oracle && npm run bench:tissue\n')
  .action(({ python, seeds, monaiEpochs }: { python: string; seeds: number; monaiEpochs: number }) => {
    const work = mkdtempSync(join(tmpdir(), 'scanline-tissue-'));
    try {
      const ours: Result[] = [];
      const monai: Result[] = [];
      for (let seed = 0; seed < seeds; seed++) {
        ours.push(trainOurs(join(work, `seed-${seed}`), seed));
        const args = ['--seed', String(seed), '--epochs', String(monaiEpochs)];
        const script = join(packageRoot, 'bench', 'monai_tissue.py');
        monai.push(result(run(python, [script, VOLUMES, ...args]), /"dice": ([\d.]+)/g));
      }
      report('Scanline', ours);
      report('MONAI', monai);
      process.stdout.write(`MONAI's time is ${(meanSeconds(monai) / meanSeconds(ours)).toFixed(2)} x ours\n`);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  })
  .parse();
