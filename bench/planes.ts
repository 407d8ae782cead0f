// The anatomical planes beside MONAI: accuracy on the held-out slices and time, by the same split, over several seeds, taking turns.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { planes } from '../examples/mni-planes/settings';
import { packageRoot } from '../training/native/cache';

const CLI = join(packageRoot, 'dist', 'bin', 'scanline.js');

interface Result {
  readonly accuracy: number;
  readonly seconds: number;
}

/** Runs a program to its end. @returns what it printed, and its seconds */
function run(command: string, args: readonly string[]): { output: string; seconds: number } {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${stderr}`);
  return { output: stdout, seconds: (performance.now() - start) / 1000 };
}

function result({ output, seconds }: { output: string; seconds: number }): Result {
  const accuracy = /test_accuracy=([\d.]+);/.exec(output)?.[1];
  if (accuracy === undefined) throw new Error(`there is no test_accuracy in:\n${output}`);
  return { accuracy: Number(accuracy), seconds };
}

function trainOurs(data: string, out: string, seed: number): Result {
  const options = Object.entries(planes.hyperparameters).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return result(
    run(process.execPath, [CLI, 'train', '--data', data, '--out', out, '--seed', String(seed), ...options]),
  );
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function report(name: string, results: readonly Result[]): void {
  const accuracies = results.map(({ accuracy }) => accuracy);
  process.stdout.write(
    `${name.padEnd(9)} accuracy ${accuracies.map((value) => value.toFixed(3)).join(' ')}, mean ${mean(accuracies).toFixed(3)}; ` +
      `seconds ${results.map(({ seconds }) => seconds.toFixed(0)).join(' ')}, mean ${mean(results.map(({ seconds }) => seconds)).toFixed(1)}\n`,
  );
}

new Command('planes')
  .description('accuracy and seconds of Scanline and MONAI on the anatomical planes; whole processes, start to end')
  .option('--python <path>', 'a Python with the packages of test/oracle/requirements.txt', '.oracle/bin/python')
  .option('--seeds <number>', 'how many seeds', Number, 3)
  .option('--monai-epochs <number>', "of MONAI's training", Number, 10)
  .addHelpText('after', '\nExample:\n  npm run oracle && npm run bench:planes\n')
  .action(({ python, seeds, monaiEpochs }: { python: string; seeds: number; monaiEpochs: number }) => {
    const work = mkdtempSync(join(tmpdir(), 'scanline-planes-'));
    try {
      const data = join(work, 'data');
      const images = join(packageRoot, 'examples', 'mni-planes', 'images');
      const split = ['--fractions', planes.fractions.join(), '--group-by', planes.groupBy];
      run(process.execPath, [CLI, 'split', '--data', images, '--out', data, ...split]);
      const ours: Result[] = [];
      const monai: Result[] = [];
      for (let seed = 0; seed < seeds; seed++) {
        ours.push(trainOurs(data, join(work, `seed-${seed}`), seed));
        const script = join(packageRoot, 'bench', 'monai_planes.py');
        monai.push(result(run(python, [script, data, String(seed), String(monaiEpochs)])));
      }
      report('Scanline', ours);
      report('MONAI', monai);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  })
  .parse();
