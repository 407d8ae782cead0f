// Gathers hyperparameters from a YAML file, SageMaker's files and environment, and the command line; refuses wrong ones, all at once.
import { existsSync, readFileSync } from 'node:fs';
import { parse as parseYaml } from 'yaml';
import { UserError } from './errors';
import {
  HYPERPARAMETERS,
  type HyperparameterName,
  type HyperparameterSpec,
  type Hyperparameters,
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

interface Value {
  readonly value: unknown;
  readonly from: string;
}

const SPECS = new Map<string, HyperparameterSpec>(HYPERPARAMETERS.map((spec) => [spec.name, spec]));

/** What SageMaker itself puts among the hyperparameters: script mode's and the tuner's. */
const FOREIGN = /^(sagemaker_|_tuning_)/;

/** Letters to insert, delete or replace to make one word of another (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[b.length] as number;
}

/** Names that other trainers give to the same thing. */
const OTHER_NAMES: Readonly<Record<string, HyperparameterName>> = {
  lr: 'learning_rate',
  epochs: 'num_epochs',
  max_epochs: 'num_epochs',
  bs: 'batch_size',
  model: 'model_name',
  workers: 'num_workers',
  image_size: 'img_size',
  patience: 'early_stopping_rounds',
};

function suggestion(name: string): string {
  const nearest = [...SPECS.keys()]
    .map((known) => [distance(name, known), known] as const)
    .sort(([a], [b]) => a - b)[0];
  const meant = OTHER_NAMES[name] ?? (nearest && nearest[0] <= 3 ? nearest[1] : undefined);
  return meant ? `; did you mean ${meant}?` : '';
}

/** Takes `data: {batch_size: 8}` and `data.batch_size: 8` apart into the names of hyperparameters. */
function flatten(tree: Readonly<Record<string, unknown>>, from: string, defects: string[]): Map<string, Value> {
  const values = new Map<string, Value>();
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
      if (spec === undefined) defects.push(`${full.join('.')} (${from}) is not a hyperparameter${suggestion(name)}`);
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

function toNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : Number.NaN;
}

function toNumbers(value: unknown): number[] {
  const list = Array.isArray(value) ? value : typeof value === 'string' ? value.split(/[,x]/) : [value];
  return list.map(toNumber);
}

const inRange = (value: number, { min, max }: { min: number; max: number }) => value >= min && value <= max;

/** What a hyperparameter may be, in words. */
export function allowed(spec: HyperparameterSpec): string {
  switch (spec.type) {
    case 'enum':
      return `one of ${spec.values.join(', ')}`;
    case 'boolean':
      return 'true or false';
    case 'integer':
      return `a whole number from ${spec.min} to ${spec.max}`;
    case 'float':
      return `a number from ${spec.min} to ${spec.max}`;
    case 'integers': {
      const [fewest, most] = spec.lengths;
      return `${fewest === most ? fewest : `${fewest} to ${most}`} whole numbers from ${spec.min} to ${spec.max}, separated by commas`;
    }
    case 'class weights':
      return 'none, balanced, or one positive number for each class, separated by commas';
  }
}

/** The value in its own type, or undefined where it is not allowed. */
function convert(spec: HyperparameterSpec, value: unknown): unknown {
  switch (spec.type) {
    case 'enum':
      return spec.values.find((known) => known === String(value));
    case 'boolean':
      return { true: true, false: false }[String(value).toLowerCase()];
    case 'integer': {
      const number = toNumber(value);
      return Number.isInteger(number) && inRange(number, spec) ? number : undefined;
    }
    case 'float': {
      const number = toNumber(value);
      return inRange(number, spec) ? number : undefined;
    }
    case 'integers': {
      const numbers = toNumbers(value);
      const right = numbers.every((number) => Number.isInteger(number) && inRange(number, spec));
      return right && inRange(numbers.length, { min: spec.lengths[0], max: spec.lengths[1] }) ? numbers : undefined;
    }
    case 'class weights': {
      if (value === 'none' || value === 'balanced') return value;
      const numbers = toNumbers(value);
      return numbers.every((number) => number > 0 && Number.isFinite(number)) ? numbers : undefined;
    }
  }
}

/** The family that a network belongs to, by which hyperparameters are for it. */
function familyOf(model: string): 'densenet' | 'vit' {
  return model === 'vit' ? 'vit' : 'densenet';
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
    flatten(sources.given ?? {}, 'command line', defects),
  ];
  const merged = new Map<string, Value>(layers.flatMap((layer) => [...layer]));
  const result: Record<string, unknown> = {};
  for (const spec of SPECS.values()) {
    const given = merged.get(spec.name);
    const value = given === undefined ? spec.default : convert(spec, given.value);
    if (given !== undefined && value === undefined) {
      defects.push(`${spec.name} is ${JSON.stringify(given.value)} (${given.from}); allowed is ${allowed(spec)}`);
    }
    result[spec.name] = value;
  }
  const family = familyOf(String(result.model_name));
  for (const [name, { from }] of merged) {
    const { models } = SPECS.get(name) as HyperparameterSpec;
    if (models && !models.includes(family))
      defects.push(`${name} (${from}) is not a hyperparameter of ${result.model_name}, but of ${models.join()}`);
  }
  if (defects.length > 0) {
    throw new UserError(
      `${defects.length === 1 ? 'a hyperparameter is' : `${defects.length} hyperparameters are`} wrong:\n${defects.map((defect) => `  - ${defect}`).join('\n')}`,
      'correct them; `scanline train --help` lists all with their defaults.',
    );
  }
  return result as unknown as Hyperparameters;
}
