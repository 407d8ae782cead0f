// scanline predict: what a trained model says of images, or of volumes.
import { createWriteStream, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import type { SegmenterConfig } from '../../training/engine/artifact';
import type { VolumePrediction } from '../../training/engine/prediction/predict-volumes';
import { positiveInteger } from './arguments';

interface Options {
  model: string;
  data: string;
  out?: string;
  workers: number;
  onBadFile: 'fail' | 'skip';
  report: boolean;
}

/** The page on which one looks through the volumes of a prediction. */
async function reportOn(model: string, folder: string): Promise<(volume: VolumePrediction) => Promise<string>> {
  const { findArtifact, readConfig } = await import('../../training/engine/artifact.js');
  const { labelClasses } = await import('../../training/engine/prediction/predict-volumes.js');
  const { previewImage, previewLabels } = await import('../../training/data/inspection/preview.js');
  const { VolumeReport } = await import('../../lib/operations/volume-report.js');
  const artifact = findArtifact(model);
  const history = join(artifact, 'history.json');
  const config = readConfig(artifact) as SegmenterConfig;
  const report = new VolumeReport({
    folder,
    title: `${config.hyperparameters.model_name}: ${basename(artifact)}`,
    classes: labelClasses(config).slice(1),
    history: existsSync(history) ? JSON.parse(readFileSync(history, 'utf8')) : [],
  });
  return async ({ subject, path, mask, label, volumes }) => {
    // a label that cannot be read is no reason not to show the rest
    const drawn = label === undefined ? undefined : await previewLabels(label).catch(() => undefined);
    const [image, prediction] = [await previewImage(path), readFileSync(mask)];
    report.add({ subject, image, prediction, volumes, ...(drawn && { label: drawn }) });
    return report.write();
  };
}

export function predictCommand(): Command {
  return new Command('predict')
    .description('print one JSON line per image (path, label, probabilities), or write a mask per volume')
    .requiredOption('--model <folder>', 'what `scanline train --out` wrote')
    .requiredOption('--data <path>', 'an image or a folder of images; a volume, a subject or a folder of them')
    .option('--out <folder>', 'also gets predictions.jsonl; of volumes {subject}/pred.nii.gz, and report.html')
    .option('--workers <number>', 'threads that decode images', positiveInteger, 2)
    .addOption(
      new Option('--on-bad-file <what>', 'a file that cannot be read').choices(['fail', 'skip']).default('fail'),
    )
    .option('--no-report', 'of volumes: no page to look through them')
    .addHelpText(
      'after',
      '\nExamples:\n  scanline predict --model runs/first --data images/test > predictions.jsonl\n  scanline predict --model runs/tissue --data volumes/test --out masks\n',
    )
    .action(async ({ model, data, out, workers, onBadFile, report: wantsReport }: Options) => {
      const { predict } = await import('../../training/engine/prediction/predict.js');
      if (out !== undefined) mkdirSync(out, { recursive: true });
      const file = out === undefined ? undefined : createWriteStream(join(out, 'predictions.jsonl'));
      let skipped = 0;
      let takeIn: Awaited<ReturnType<typeof reportOn>> | undefined;
      let page: string | undefined;
      const report = (path: string, reason: string) => {
        skipped++;
        process.stderr.write(`left out: ${path} cannot be read (${reason})\n`);
      };
      for await (const prediction of predict(model, data, { workers, onBadFile, report, ...(out && { out }) })) {
        const line = `${JSON.stringify(prediction)}\n`;
        process.stdout.write(line);
        file?.write(line);
        if (!wantsReport || out === undefined || !('mask' in prediction)) continue;
        takeIn ??= await reportOn(model, out);
        page = await takeIn(prediction);
      }
      if (page !== undefined) process.stderr.write(`open ${page} to look through the volumes\n`);
      if (skipped > 0) process.stderr.write(`${skipped} files that cannot be read were left out\n`);
      await new Promise<void>((resolve) => (file ? file.end(() => resolve()) : resolve()));
    });
}
