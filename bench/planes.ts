// The anatomical planes beside MONAI: accuracy on the held-out slices and time, by the same split, over several seeds, taking turns.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { planes } from '../examples/mni-planes/settings';
import { packageRoot } from '../training/native/cache';
import { CLI, type Result, report, run, train, trainArguments } from './trainings';

const ACCURACY = /test_accuracy=([\d.]+);/g;

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
        const args = trainArguments(data, join(work, `seed-${seed}`), seed, planes.hyperparameters);
        ours.push(train(process.execPath, args, ACCURACY));
        const script = join(packageRoot, 'bench', 'monai_planes.py');
        monai.push(train(python, [script, data, String(seed), String(monaiEpochs)], ACCURACY));
      }
      report('Scanline', 'accuracy', ours);
      report('MONAI', 'accuracy', monai);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  })
  .parse();
