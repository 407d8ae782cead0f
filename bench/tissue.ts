// The brain tissues beside MONAI: mean Dice on the validation volumes and time, over several seeds, taking turns.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { tissue } from '../examples/mni-tissue/settings';
import { packageRoot } from '../training/native/cache';
import { meanSeconds, type Result, report, train, trainArguments } from './trainings';

const VOLUMES = join(packageRoot, 'examples', 'mni-tissue', 'volumes');

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
        const args = trainArguments(VOLUMES, join(work, `seed-${seed}`), seed, tissue.hyperparameters);
        // of the last epoch, as MONAI's: what the validation volumes chose would be measured on them
        ours.push(train(process.execPath, args, /valid_dice=([\d.]+);/g));
        const script = join(packageRoot, 'bench', 'monai_tissue.py');
        const given = ['--seed', String(seed), '--epochs', String(monaiEpochs)];
        monai.push(train(python, [script, VOLUMES, ...given], /"dice": ([\d.]+)/g));
      }
      report('Scanline', 'Dice', ours);
      report('MONAI', 'Dice', monai);
      process.stdout.write(`MONAI's time is ${(meanSeconds(monai) / meanSeconds(ours)).toFixed(2)} x ours\n`);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  })
  .parse();
