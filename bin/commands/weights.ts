// scanline weights: weights of PyTorch's and MONAI's networks into model folders, and back.
import { extname } from 'node:path';
import { Command, Option } from 'commander';
import type { ModelConfig } from '../../training/engine/artifact';
import type { Weights } from '../../training/engine/model';
import { UserError } from '../../training/errors';
import { allowed, HYPERPARAMETERS, type HyperparameterName } from '../../training/hyperparameters';
import { taskOf } from '../../training/hyperparameters/task';
import { readHyperparameters } from '../../training/settings';

interface Options extends Record<string, unknown> {
  like?: string;
  config?: string;
  classes?: string;
}

/** What is done to images and volumes before the network sees them, and how its windows are put together. */
const PREPARATION: readonly HyperparameterName[] = [
  ...(['img_size', 'normalize', 'roi_size', 'overlap', 'sw_batch_size', 'sw_mode', 'spacing', 'orientation'] as const),
  ...(['modalities', 'crop_foreground', 'intensity_scaling', 'a_min', 'a_max', 'b_min', 'b_max'] as const),
  ...(['lower_percentile', 'upper_percentile', 'clip', 'nonzero', 'channel_wise'] as const),
];

/** The hyperparameters that decide what the network is, and what it is given. */
const NETWORK = HYPERPARAMETERS.filter(({ section, name }) => section === 'model' || PREPARATION.includes(name));

/** What the network is, from an existing model or from hyperparameters. */
async function configFrom(options: Options, weights: Weights): Promise<ModelConfig> {
  const { configOf, segmenterConfig } = await import('../../training/engine/weights/convert.js');
  if (options.like !== undefined) return configOf(options.like);
  const given = Object.fromEntries(
    NETWORK.flatMap(({ name }) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
  const hyperparameters = readHyperparameters({ config: options.config, given });
  const classes = (options.classes ?? '').split(',').map((name) => name.trim());
  if (classes.length < 2 || classes.includes(''))
    throw new UserError(
      'the names of the classes are needed, in order.',
      'give --classes benign,malignant, or --like MODEL_FOLDER.',
    );
  if (taskOf(hyperparameters.model_name) === 'segmentation') return segmenterConfig(weights, hyperparameters, classes);
  if (hyperparameters.in_channels === 'auto')
    throw new UserError('the number of channels is needed.', 'give --in_channels 1 or 3, or --like MODEL_FOLDER.');
  const [height, width = height] = hyperparameters.img_size as readonly [number, number?];
  const image = { height, width, channels: Number(hyperparameters.in_channels) };
  return { format: 'scanline-classifier', version: 1, hyperparameters, image, classes } as const;
}

function convertCommand(): Command {
  const command = new Command('convert')
    .description('a .safetensors state dict into a model folder, or a model folder into a .safetensors state dict')
    .argument('<from>', 'a .safetensors file with PyTorch names, or what `scanline train --out` wrote')
    .argument('<to>', 'a folder for the model, or a .safetensors file')
    .optionsGroup('The network, when a state dict is converted:')
    .option('--like <folder>', 'a model of the same network, classes and images')
    .option('--classes <names>', 'the classes in order, separated by commas; of voxels the background first')
    .option('--config <file>', 'hyperparameters as YAML; what is given here wins over it');
  for (const spec of NETWORK)
    command.addOption(new Option(`--${spec.name} <value>`, `${spec.description} (${allowed(spec)})`));
  return command
    .addHelpText(
      'after',
      `
Examples:
  python3 node_modules/scanline-sagemaker/training/weights_to_safetensors.py monai.pt monai.safetensors
  scanline weights convert monai.safetensors runs/from-monai --model_name densenet121 --in_channels 1 --classes no,yes --img_size 64
  scanline weights convert unet.safetensors runs/spleen --model_name unet --channels 16,32,64,128,256 --strides 2,2,2,2 --num_res_units 2 --norm batch --classes background,spleen --roi_size 96 --spacing 1.5,1.5,2 --intensity_scaling range --a_min=-57 --a_max 164
  scanline weights convert monai.safetensors runs/from-monai --like runs/first
  scanline weights convert runs/first trained.safetensors
`,
    )
    .action(async (from: string, to: string, options: Options) => {
      const { modelToWeights, readStateDict, weightsToModel } = await import(
        '../../training/engine/weights/convert.js'
      );
      if (extname(to) === '.safetensors') {
        const count = await modelToWeights(from, to);
        process.stdout.write(`${to}: ${count} tensors under PyTorch's names\n`);
      } else {
        const weights = await readStateDict(from);
        await weightsToModel(weights, await configFrom(options, weights), to);
        process.stdout.write(`${to}: a model; \`scanline predict --model ${to}\` takes it, and so does --pretrained\n`);
      }
    });
}

export function weightsCommand(): Command {
  return new Command('weights')
    .description("weights of PyTorch's and MONAI's networks, in and out")
    .addCommand(convertCommand());
}
