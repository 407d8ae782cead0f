// scanline data: what is wrong with a data set, and what it looks like.
import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { positiveInteger } from './arguments';

const list = (text: string) => text.split(',');

/** A line that is written over again and again, where a person looks on. */
function progressLine(done: number, all: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${done} of ${all} checked${done === all ? '\r\x1b[K' : ''}`);
}

interface CheckOptions {
  modalities?: string[];
  workers: number;
  allowEmptyMasks: boolean;
}

function checkCommand(): Command {
  return new Command('check')
    .description('find every defect of a data set at once, of volumes or of class folders of images, and summarise it')
    .argument('<folder>', 'train/, valid/ and test/; or a folder with a dataset.json')
    .option('--modalities <names>', 'volumes: which images of a subject, as t1,t2 (default: all)', list)
    .option('--workers <number>', 'files that are read at once', positiveInteger, 2)
    .option('--allow-empty-masks', 'volumes: subjects may have nothing labelled', false)
    .addHelpText(
      'after',
      `
Volumes: images and labels that are missing, cut off, damaged, NaN, of different shape or affine, with labels that are unknown, not whole
numbers, or empty, with other channels than the first, and subjects that stand twice, above all in two parts.
Images: those that cannot be decoded, classes that are alone, empty or unknown to train, images that stand twice.
Exits with 1 where there is a defect; warnings alone exit with 0.

Examples:
  scanline data check volumes
  scanline data check Task09_Spleen
  scanline data check images
`,
    )
    .action(async (folder: string, options: CheckOptions) => {
      const { checkData } = await import('../../training/data/inspection/index.js');
      const { findings, summary } = await checkData(folder, { ...options, progress: progressLine });
      for (const { severity, where, problem, fix } of findings)
        process.stdout.write(`${severity === 'warning' ? '!' : '✗'} ${where}: ${problem}\n  Fix: ${fix}\n`);
      for (const line of summary) process.stdout.write(`${line}\n`);
      const errors = findings.filter(({ severity }) => severity === 'error').length;
      process.stdout.write(
        `${errors > 0 ? '✗' : '✓'} ${folder}: defects: ${errors}, warnings: ${findings.length - errors}\n`,
      );
      if (errors > 0) process.exitCode = 1;
    });
}

interface ShowOptions {
  subject?: string;
  modalities?: string[];
  out?: string;
}

function showCommand(): Command {
  return new Command('show')
    .description('draw slices of a volume in three planes, with its labels, to a PNG')
    .argument('<folder>', 'train/, valid/ and test/; or a folder with a dataset.json')
    .option('--subject <name>', 'which one (default: the first)')
    .option('--modalities <names>', 'which images of the subject, as t1,t2 (default: all)', list)
    .option('--out <file>', 'the PNG that is written (default: SUBJECT.png)')
    .addHelpText(
      'after',
      `
Each plane is cut where most voxels are labelled, and seen as radiologists do: the patient's right is at the left.

Examples:
  scanline data show volumes
  scanline data show Task09_Spleen --subject spleen_2 --out spleen_2.png
`,
    )
    .action(async (folder: string, { subject, modalities, out }: ShowOptions) => {
      const { showSubject } = await import('../../training/data/inspection/index.js');
      const { id, png } = await showSubject(folder, subject, modalities);
      const path = out ?? `${id}.png`;
      await writeFile(path, png);
      process.stdout.write(`${path}\n`);
    });
}

export function dataCommand(): Command {
  return new Command('data')
    .description('check a data set, or draw a volume of it')
    .addCommand(checkCommand())
    .addCommand(showCommand())
    .addHelpText(
      'after',
      '\nExamples:\n  scanline data check volumes\n  scanline data show volumes --subject subject_001\n',
    );
}
