// scanline train: trains a classifier on folders of images.
import { Command, Option } from 'commander';
import { readHyperparameters } from '../../training/settings';
import { duration, positiveInteger } from './arguments';
import { addHyperparameterOptions, typedHyperparameters } from './hyperparameter-options';

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

export function trainCommand(): Command {
  const command = new Command('train')
    .description('train a classifier on folders of PNG or JPEG images')
    .optionsGroup('Data (class folders of images):')
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
    .option('--max-time <duration>', 'end with the best so far after e.g. 45m, 1h30m or 00:01:30:00', duration);
  return addHyperparameterOptions(command)
    .addHelpText(
      'after',
      `
Examples:
  scanline train --data images --out runs/first
  scanline train --data images --out runs/vit --model vit --img_size 224 --batch_size 16 --num_epochs 20
  scanline train --data images --out runs/first --config configs/base.yaml --learning_rate 3e-4
  scanline train --data images --out runs/folds --num_folds 5 --fold all
  scanline train --data images --out runs/tuned --pretrained runs/first --freeze features.conv0 --backbone_lr_factor 0.1
`,
    )
    .action(async (options: Options & Record<string, unknown>) => {
      const hyperparameters = readHyperparameters({
        config: options.config,
        environment: process.env,
        given: typedHyperparameters(options),
      });
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
      };
      await fitFolds(training, (text) => process.stdout.write(`${text}\n`));
    });
}
