// What a hyperparameter may be: values taken from text, wrong ones told with what is allowed. Pure, for the trainer and the checker.
import { defaultOf, type HyperparameterSpec, type IntegersSpec, type ModelFamily } from './spec';
import { HYPERPARAMETERS, type HyperparameterName, type Hyperparameters } from './specs';

export const SPECS: ReadonlyMap<string, HyperparameterSpec> = new Map(HYPERPARAMETERS.map((spec) => [spec.name, spec]));

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
  pixdim: 'spacing',
  axcodes: 'orientation',
  spatial_size: 'roi_size',
  accumulation_steps: 'accumulate_grad_batches',
  clip_grad_norm: 'gradient_clip_val',
  ema: 'ema_decay',
  dropout_prob: 'dropout',
  dropout_rate: 'dropout',
  norm_name: 'norm',
};

/** The hyperparameter that a wrong name may mean, as the end of a sentence. */
export function suggestion(name: string): string {
  const nearest = [...SPECS.keys()]
    .map((known) => [distance(name, known), known] as const)
    .sort(([a], [b]) => a - b)[0];
  const meant = OTHER_NAMES[name] ?? (nearest && nearest[0] <= Math.max(1, name.length / 3) ? nearest[1] : undefined);
  return meant ? `; did you mean ${meant}?` : '';
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

const mostOf = ({ max, modelMax }: IntegersSpec, family?: ModelFamily) => (family && modelMax?.[family]) ?? max;

/** What a hyperparameter may be, in words. */
export function allowed(spec: HyperparameterSpec, family?: ModelFamily): string {
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
      return `${fewest === most ? fewest : `${fewest} to ${most}`} whole numbers from ${spec.min} to ${mostOf(spec, family)}, separated by commas`;
    }
    case 'numbers':
      return `${spec.length} numbers from ${spec.min} to ${spec.max}, separated by commas`;
    case 'text':
      return spec.allowed;
    case 'class weights':
      return 'none, balanced, or one positive number for each class, separated by commas';
  }
}

/** The value in its own type, or undefined where it is not allowed. */
function convert(spec: HyperparameterSpec, value: unknown, family?: ModelFamily): unknown {
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
      const range = { min: spec.min, max: mostOf(spec, family) };
      const right = numbers.every((number) => Number.isInteger(number) && inRange(number, range));
      return right && inRange(numbers.length, { min: spec.lengths[0], max: spec.lengths[1] }) ? numbers : undefined;
    }
    case 'numbers': {
      const numbers = toNumbers(value);
      return numbers.length === spec.length && numbers.every((number) => inRange(number, spec)) ? numbers : undefined;
    }
    case 'text':
      return typeof value === 'object' || !new RegExp(`^(?:${spec.pattern ?? '.*'})$`).test(String(value))
        ? undefined
        : String(value);
    case 'class weights': {
      if (value === 'none' || value === 'balanced') return value;
      const numbers = toNumbers(value);
      return numbers.every((number) => number > 0 && Number.isFinite(number)) ? numbers : undefined;
    }
  }
}

/** The family that a network belongs to, by which hyperparameters are for it. */
function familyOf(model: unknown): ModelFamily {
  return String(model).replace(/\d+$/, '') as ModelFamily;
}

export interface GivenValue {
  readonly value: unknown;
  /** Where it was given, for people. */
  readonly from: string;
}

/** What was given, by the names of hyperparameters. */
function unaliased(given: ReadonlyMap<string, GivenValue>, family: ModelFamily, defects: string[]) {
  const result = new Map(given);
  for (const { name, alias } of SPECS.values()) {
    const entry = alias?.models.includes(family) ? given.get(alias.name) : undefined;
    if (!alias || !entry) continue;
    result.delete(alias.name);
    const other = given.get(name);
    if (other)
      defects.push(`${alias.name} (${entry.from}) and ${name} (${other.from}) mean the same for ${family}; give one`);
    else result.set(name, { value: entry.value, from: `${entry.from}, as ${alias.name}` });
  }
  return result;
}

/** What someone may have meant who gave a hyperparameter a value as it has under this name with other networks. */
function elsewhere(name: string, family: ModelFamily): string {
  const meant = [...SPECS.values()].find(({ alias, models }) => alias?.name === name && models?.includes(family));
  return meant ? `; did you mean ${meant.name}?` : '';
}

/** All hyperparameters, those given and the defaults of the others; and what is wrong with those given. */
export function resolveHyperparameters(all: ReadonlyMap<string, GivenValue>): {
  values: Hyperparameters;
  defects: string[];
} {
  const defects: string[] = [];
  const values: Record<string, unknown> = {};
  const named = SPECS.get('model_name') as HyperparameterSpec;
  const family = familyOf(convert(named, all.get(named.name)?.value) ?? named.default);
  const given = unaliased(all, family, defects);
  for (const spec of SPECS.values()) {
    const entry = given.get(spec.name);
    const value = entry === undefined ? defaultOf(spec, family) : convert(spec, entry.value, family);
    if (entry !== undefined && value === undefined) {
      const { name } = spec;
      const what = `${name} is ${JSON.stringify(entry.value)} (${entry.from})`;
      defects.push(`${what}; allowed is ${allowed(spec, family)}${elsewhere(name, family)}`);
    }
    values[spec.name] = value;
  }
  for (const [name, { from }] of given) {
    const spec = SPECS.get(name);
    if (spec === undefined) defects.push(`${name} (${from}) is not a hyperparameter${suggestion(name)}`);
    else if (spec.models && !spec.models.includes(family)) {
      defects.push(
        `${name} (${from}) is not a hyperparameter of ${values.model_name}, but of ${spec.models.join(', ')}`,
      );
    }
  }
  return { values: values as unknown as Hyperparameters, defects };
}
