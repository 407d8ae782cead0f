// Hyperparameters as options of a command.
import { type Command, Option } from 'commander';
import { allowed, HYPERPARAMETERS, type HyperparameterSpec } from '../../training/hyperparameters';

function hyperparameterOption(spec: HyperparameterSpec): Option {
  const own = Object.entries(spec.modelDefaults ?? {}).map(([family, value]) => `, ${value} for ${family}`);
  const preset = spec.default === undefined ? '' : `, default ${spec.default}${own.join('')}`;
  return new Option(`--${spec.name} <value>`, `${spec.description} (${allowed(spec)}${preset})`);
}

/** Gives a command an option for each hyperparameter, under a heading of their own. */
export function addHyperparameterOptions(command: Command): Command {
  command.optionsGroup('Hyperparameters:');
  for (const spec of HYPERPARAMETERS) command.addOption(hyperparameterOption(spec));
  return command;
}

const names = new Set<string>(HYPERPARAMETERS.map(({ name }) => name));

/** Only what was typed: a default must not win over a file or the environment. */
export function typedHyperparameters(options: Record<string, unknown>): Record<string, unknown> {
  const typed = Object.entries(options).filter(([name, value]) => names.has(name) && value !== undefined);
  return { ...(options.model !== undefined && { model_name: options.model }), ...Object.fromEntries(typed) };
}
