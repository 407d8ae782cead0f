// Gathers hyperparameters from a YAML file, SageMaker's files and environment, and the command line; refuses wrong ones, all at once.
import { existsSync, readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { UserError } from './errors';
import {
  type GivenValue,
  type Hyperparameters,
  METRICS,
  type MetricSpec,
  resolveHyperparameters,
  SPECS,
  suggestion,
  taskOf,
} from './hyperparameters';

/** Where values come from, weakest first. */
export interface Sources {
  /** Path of a YAML file. */
  readonly config?: string;
  /** Path of SageMaker's hyperparameters.json; read where it exists. */
  readonly hyperparametersFile?: string;
  /** Environment variables, of which those that begin with SM_HP_ are read. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** From the command line. */
  readonly given?: Readonly<Record<string, unknown>>;
}

/** The name of the source whose words may be other options, too. */
const COMMAND_LINE = 'command line';

/** What SageMaker itself puts among the hyperparameters: script mode's and the tuner's. */
const FOREIGN = /^(sagemaker_|_tuning_)/;

/** Takes `data: {batch_size: 8}` and `data.batch_size: 8` apart into the names of hyperparameters. */
function flatten(tree: Readonly<Record<string, unknown>>, from: string, defects: string[]): Map<string, GivenValue> {
  const values = new Map<string, GivenValue>();
  const visit = (node: Readonly<Record<string, unknown>>, path: readonly string[]) => {
    for (const [key, value] of Object.entries(node)) {
      const full = [...path, ...key.split('.')];
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        visit(value as Record<string, unknown>, full);
        continue;
      }
      const name = (full.at(-1) as string).replaceAll('-', '_');
      const section = full.slice(0, -1).join('.');
      const spec = SPECS.get(name);
      if (FOREIGN.test(name)) continue;
      if (spec === undefined)
        defects.push(
          `${full.join('.')} (${from}) is ${from === COMMAND_LINE ? 'neither an option nor' : 'not'} a hyperparameter${suggestion(name)}`,
        );
      else if (section !== '' && section !== spec.section) {
        defects.push(`${full.join('.')} (${from}) stands in the wrong section; it is ${spec.section}.${name}`);
      } else values.set(name, { value, from });
    }
  };
  visit(tree, []);
  return values;
}

/** SageMaker passes all values as text, which its Python SDK encodes as JSON. */
function decode(text: unknown): unknown {
  if (typeof text !== 'string' || !/^\s*["[]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function decodeAll(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, decode(value)]));
}

function readConfig(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new UserError(
      `the configuration ${path} cannot be read: ${(error as Error).message}.`,
      'give the path of a YAML file to --config.',
    );
  }
  let tree: unknown;
  try {
    tree = parseYaml(text);
  } catch (error) {
    throw new UserError(`the configuration ${path} is not YAML: ${(error as Error).message}`, 'mend the file.');
  }
  if (typeof tree === 'object' && tree !== null && !Array.isArray(tree)) return tree as Record<string, unknown>;
  throw new UserError(
    `the configuration ${path} is not a mapping of names to values.`,
    'write it as `data:`, below it `  batch_size: 8`.',
  );
}

function readHyperparametersFile(path: string | undefined): Record<string, unknown> {
  if (path === undefined || !existsSync(path)) return {};
  try {
    return decodeAll(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new UserError(
      `${path} is not JSON: ${(error as Error).message}.`,
      'it must be an object of names and values.',
    );
  }
}

function readEnvironment(environment: Sources['environment'] = {}): Record<string, unknown> {
  const entries = Object.entries(environment).filter(
    ([name, value]) => name.startsWith('SM_HP_') && value !== undefined,
  );
  return decodeAll(
    Object.fromEntries(entries.map(([name, value]) => [name.slice('SM_HP_'.length).toLowerCase(), value])),
  );
}

/** What is wrong with a metric to monitor that trainings of the network do not have. */
function unmeasured({ model_name, monitor }: Hyperparameters): string[] {
  const task = taskOf(model_name);
  const isOf = (metric: MetricSpec) => metric.task === undefined || metric.task === task;
  const asked = METRICS.find(({ name }) => name === monitor);
  // a network that there is not is refused elsewhere, and undefined here
  if (asked === undefined || model_name === undefined || isOf(asked)) return [];
  const measured = METRICS.filter((metric) => metric.name.startsWith('valid_') && isOf(metric)).map(({ name }) => name);
  return [
    `monitor is ${monitor}, which ${task} does not measure; allowed with ${model_name} is one of auto, ${measured.join(', ')}`,
  ];
}

/**
 * The hyperparameters from all sources: the command line wins over SM_HP_*, that over hyperparameters.json, that over the YAML file.
 *
 * @throws UserError naming every wrong one, where it came from, and what is allowed
 */
export function readHyperparameters(sources: Sources): Hyperparameters {
  const defects: string[] = [];
  const layers = [
    sources.config === undefined ? [] : flatten(readConfig(sources.config), sources.config, defects),
    flatten(readHyperparametersFile(sources.hyperparametersFile), 'hyperparameters.json', defects),
    flatten(readEnvironment(sources.environment), 'SM_HP_*', defects),
    flatten(sources.given ?? {}, COMMAND_LINE, defects),
  ];
  const { values, defects: wrong } = resolveHyperparameters(new Map(layers.flatMap((layer) => [...layer])));
  defects.push(...wrong, ...unmeasured(values));
  if (defects.length > 0) {
    throw new UserError(
      `${defects.length === 1 ? 'a hyperparameter is' : `${defects.length} hyperparameters are`} wrong:\n${defects.map((defect) => `  - ${defect}`).join('\n')}`,
      'correct them; `scanline train --help` lists all with their defaults.',
    );
  }
  return values;
}
