// scanline predict: what a trained model says of images, or of volumes.
import { createWriteStream, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { positiveInteger } from './arguments';

interface Options {
  model: string;
  data: string;
  out?: string;
  workers: number;
  onBadFile: 'fail' | 'skip';
}

export function predictCommand(): Command {
  return new Command('predict')
    .description('print one JSON line per image (path, label, probabilities), or write a mask per volume')
    .requiredOption('--model <folder>', 'what `scanline train --out` wrote')
    .requiredOption('--data <path>', 'an image or a folder of images; a volume, a subject or a folder of them')
    .option('--out <folder>', 'also gets predictions.jsonl; of volumes the masks, {subject}.nii.gz')
    .option('--workers <number>', 'threads that decode images', positiveInteger, 2)
    .addOption(
      new Option('--on-bad-file <what>', 'a file that cannot be read').choices(['fail', 'skip']).default('fail'),
    )
    .addHelpText(
      'after',
      '\nExamples:\n  scanline predict --model runs/first --data images/test > predictions.jsonl\n  scanline predict --model runs/tissue --data volumes/test --out masks\n',
    )
    .action(async ({ model, data, out, workers, onBadFile }: Options) => {
      const { predict } = await import('../../training/engine/predict.js');
      if (out !== undefined) mkdirSync(out, { recursive: true });
      const file = out === undefined ? undefined : createWriteStream(join(out, 'predictions.jsonl'));
      let skipped = 0;
      const report = (path: string, reason: string) => {
        skipped++;
        process.stderr.write(`left out: ${path} cannot be read (${reason})\n`);
      };
      for await (const prediction of predict(model, data, { workers, onBadFile, report, ...(out && { out }) })) {
        const line = `${JSON.stringify(prediction)}\n`;
        process.stdout.write(line);
        file?.write(line);
      }
      if (skipped > 0) process.stderr.write(`${skipped} files that cannot be read were left out\n`);
      await new Promise<void>((resolve) => (file ? file.end(() => resolve()) : resolve()));
    });
}
