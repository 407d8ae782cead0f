// scanline train: trains a network on folders of images, or on volumes.
import { constants } from 'node:os';
import { Command, Option } from 'commander';
import { UserError } from '../../training/errors';
import {
  allowed,
  DATA_HYPERPARAMETERS,
  HYPERPARAMETERS,
  type HyperparameterName,
  type HyperparameterSpec,
  MODEL_HYPERPARAMETERS,
  SPECS,
  TRACKING_HYPERPARAMETERS,
  TRAINING_HYPERPARAMETERS,
  VOLUME_HYPERPARAMETERS,
} from '../../training/hyperparameters';
import { readHyperparameters } from '../../training/settings';
import { duration, positiveInteger } from './arguments';

interface Options {
  data?: string;
  train?: string;
  validation?: string;
  test?: string;
  out: string;
  modelDir?: string;
  checkpointDir?: string;
  config?: string;
  model?: string;
  resume: string;
  compile: boolean;
  threads?: number;
  fastDevRun?: boolean;
  overfitBatches?: number;
  maxTime?: number;
  onBadFile: 'fail' | 'skip';
}

function hyperparameterOption(spec: HyperparameterSpec): Option {
  const own = Object.entries(spec.modelDefaults ?? {}).map(([family, value]) => `, ${value} for ${family}`);
  const preset = spec.default === undefined ? '' : `, default ${spec.default}${own.join('')}`;
  return new Option(`--${spec.name} <value>`, `${spec.description} (${allowed(spec)}${preset})`);
}

const names = new Set<string>(HYPERPARAMETERS.map(({ name }) => name));

/** What most trainings set: these come first in the help. */
const COMMON: readonly HyperparameterName[] = [
  ...(['model_name', 'img_size', 'roi_size', 'batch_size', 'num_epochs', 'learning_rate', 'optimizer'] as const),
  ...(['lr_schedule', 'precision', 'class_weights', 'early_stopping_rounds', 'val_interval'] as const),
  ...(['num_workers', 'seed'] as const),
];

/** The other hyperparameters, by what they are about. */
const OTHERS: Readonly<Record<string, readonly HyperparameterSpec[]>> = {
  'Course of the training': TRAINING_HYPERPARAMETERS,
  'Images and their augmentation': DATA_HYPERPARAMETERS,
  'Volumes and their transforms': VOLUME_HYPERPARAMETERS,
  'Architecture of the network': MODEL_HYPERPARAMETERS,
  'Tracking by MLflow': TRACKING_HYPERPARAMETERS,
};

/** Only what was typed: a default must not win over a file or the environment. */
function typedHyperparameters(options: Record<string, unknown>): Record<string, unknown> {
  const typed = Object.entries(options).filter(([name, value]) => names.has(name) && value !== undefined);
  return { ...(options.model !== undefined && { model_name: options.model }), ...Object.fromEntries(typed) };
}

/** Options that the command does not have, by name: told among the wrong hyperparameters, and as good as one where dashes alone differ. */
function unknownOptions(words: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    words.flatMap((word, index) => {
      const [, name, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(word) ?? [];
      return name === undefined ? [] : [[name.replaceAll('-', '_'), value ?? words[index + 1] ?? '']];
    }),
  );
}

/** Ends the training by Ctrl-C (or SIGTERM) with a checkpoint after the step in progress; asked again, at once. */
function abortOnSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(128 + constants.signals[signal]);
      process.exitCode = 128 + constants.signals[signal];
      process.stderr.write('\nending with a checkpoint after this step; once more to end at once\n');
      stop.abort();
    });
  }
  return stop.signal;
}

export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a classifier on class folders of PNG or JPEG images, or a segmenter on volumes')
    .optionsGroup('Data (class folders of images, or subjects with their volumes):')
    .option('--data <folder>', 'has train/, and valid/ (or val/) and test/ where there are such parts')
    .option('--train <folder>', 'the training part, where it lies elsewhere')
    .option('--validation <folder>', 'the validation part, where it lies elsewhere')
    .option('--test <folder>', 'the test part, where it lies elsewhere')
    .addOption(
      new Option('--on-bad-file <what>', 'a file that cannot be read').choices(['fail', 'skip']).default('fail'),
    )
    .optionsGroup('Results:')
    .requiredOption('--out <folder>', 'gets {model_name}/model and {model_name}/logs')
    .option('--model_dir <folder>', 'also gets {model_name}/best_model_{epoch}')
    .option('--checkpoint-dir <folder>', 'where checkpoints are written (default: {out}/{model_name}/model)')
    .option('--resume <from>', 'auto: the newest checkpoint where there is one; none; or the path of one', 'auto')
    .optionsGroup('Running:')
    .option('--config <file>', 'hyperparameters as YAML; what is given here wins over it')
    .option('--model <name>', 'the same as --model_name')
    .option('--no-compile', 'run op by op, to debug a network')
    .option('--threads <number>', 'cores to use (default: all)', positiveInteger)
    .option('--fast-dev-run', 'one batch of each part through all of it, to see that it works; keeps nothing')
    .option('--overfit-batches <number>', 'learn so many batches by heart, to see that it learns', positiveInteger)
    .option('--max-time <duration>', 'end with the best so far after e.g. 45m, 1h30m or 00:01:30:00', duration)
    .optionsGroup('Hyperparameters that most trainings set:');
  for (const name of COMMON) command.addOption(hyperparameterOption(SPECS.get(name) as HyperparameterSpec));
  for (const [title, specs] of Object.entries(OTHERS)) {
    command.optionsGroup(`${title}:`);
    for (const spec of specs)
      if (!COMMON.some((name) => name === spec.name)) command.addOption(hyperparameterOption(spec));
  }
  return (
    command
      .allowUnknownOption()
      // gets the options that it does not have
      .argument('[words...]')
      .usage('[options]')
      .addHelpText(
        'after',
        `
Examples:
  scanline train --data images --out runs/first
  scanline train --data images --out runs/vit --model vit --img_size 224 --batch_size 16 --num_epochs 20
  scanline train --data images --out runs/first --config configs/base.yaml --learning_rate 3e-4
  scanline train --data images --out runs/folds --num_folds 5 --fold all
  scanline train --data volumes --out runs/tissue --model segresnet --roi_size 64 --num_epochs 100
  scanline train --data images --out runs/tuned --pretrained runs/first --freeze features.conv0 --backbone_lr_factor 0.1
`,
      )
      .action(async (words: readonly string[], options: Options & Record<string, unknown>) => {
        const hyperparameters = readHyperparameters({
          config: options.config,
          environment: process.env,
          given: { ...unknownOptions(words), ...typedHyperparameters(options) },
        });
        // what follows a name without a value is its value
        const stray = words.find((word, i) => !word.startsWith('-') && !/^-[^=]*$/.test(words[i - 1] ?? ''));
        if (stray !== undefined)
          throw new UserError(`'${stray}' belongs to no option.`, 'see `scanline train --help`.');
        // the threads inside an op are the process's, and made when TensorFlow is loaded
        if (options.threads !== undefined) process.env.TF_NUM_INTRAOP_THREADS = String(options.threads);
        // loads TensorFlow, which --help and a wrong setting need not wait for
        const { fitFolds } = await import('../../training/engine/cross-validation.js');
        const training = {
          hyperparameters,
          folders: { data: options.data, train: options.train, valid: options.validation, test: options.test },
          outputDir: options.out,
          modelDir: options.model_dir as string | undefined,
          checkpointDir: options.checkpointDir,
          resume: options.resume,
          eager: !options.compile,
          threads: options.threads,
          onBadFile: options.onBadFile,
          labelPaths: ['label_dict.json'],
          fastDevRun: options.fastDevRun,
          overfitBatches: options.overfitBatches,
          maxTime: options.maxTime,
          signal: abortOnSignal(),
        };
        await fitFolds(training, (text) => process.stdout.write(`${text}\n`));
      })
  );
}
