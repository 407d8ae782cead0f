// Hyperparameters as options of a command.
import { type Command, Option } from 'commander';
import { UserError } from '../../training/errors';
import {
  allowed,
  DATA_HYPERPARAMETERS,
  HYPERPARAMETERS,
  type HyperparameterName,
  type HyperparameterSpec,
  type Hyperparameters,
  MODEL_HYPERPARAMETERS,
  SPECS,
  TRACKING_HYPERPARAMETERS,
  TRAINING_HYPERPARAMETERS,
  VOLUME_HYPERPARAMETERS,
} from '../../training/hyperparameters';
import { readHyperparameters } from '../../training/settings';

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
  'Tracking by MLflow and W&B': TRACKING_HYPERPARAMETERS,
};

/** Gives a command an option for each hyperparameter; options that it does not have become its first argument. */
export function addHyperparameterOptions(command: Command): Command {
  command.optionsGroup('Hyperparameters that most trainings set:');
  for (const name of COMMON) command.addOption(hyperparameterOption(SPECS.get(name) as HyperparameterSpec));
  for (const [title, specs] of Object.entries(OTHERS)) {
    command.optionsGroup(`${title}:`);
    for (const spec of specs)
      if (!COMMON.some((name) => name === spec.name)) command.addOption(hyperparameterOption(spec));
  }
  return command.allowUnknownOption().argument('[words...]').usage('[options]');
}

/** Only what was typed: a default must not win over a file or the environment. */
function typedHyperparameters(options: Readonly<Record<string, unknown>>): Record<string, unknown> {
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

/**
 * The hyperparameters of a command line, over those of a file and the environment.
 *
 * @param words what the command line has beside the options of the command
 * @throws UserError naming all that is wrong
 */
export function chosenHyperparameters(
  words: readonly string[],
  options: Readonly<Record<string, unknown>> & { readonly config?: string },
  command: string,
): Hyperparameters {
  const hyperparameters = readHyperparameters({
    config: options.config,
    environment: process.env,
    given: { ...unknownOptions(words), ...typedHyperparameters(options) },
  });
  // what follows a name without a value is its value
  const stray = words.find((word, i) => !word.startsWith('-') && !/^-[^=]*$/.test(words[i - 1] ?? ''));
  if (stray === undefined) return hyperparameters;
  throw new UserError(`'${stray}' belongs to no option.`, `see \`scanline ${command} --help\`.`);
}
