// What every check looks at: the parts of a definition by their names, and values of which only a part is known yet.
import type { Definition, ParameterDefinition, StepDefinition } from '../definition';
import { allSteps, referencesIn } from '../definition';
import type { Finding, Severity } from '../errors';
import type { Referred } from './references';

export interface Context {
  readonly definition: Definition;
  /** Those in branches too. */
  readonly all: readonly StepDefinition[];
  readonly steps: ReadonlyMap<string, StepDefinition>;
  readonly parameters: ReadonlyMap<string, ParameterDefinition>;
  /** What references lead to, found once for each path. */
  readonly referred: Map<string, Referred>;
  /** The paths that each step refers to. */
  readonly references: ReadonlyMap<StepDefinition, readonly string[]>;
}

export function contextOf(definition: Definition): Context {
  const all = allSteps((definition.Steps ?? []) as StepDefinition[]);
  const parameters = (definition.Parameters ?? []) as ParameterDefinition[];
  return {
    definition,
    all,
    steps: new Map(all.map((step) => [step.Name, step])),
    parameters: new Map(parameters.map((parameter) => [parameter.Name, parameter])),
    referred: new Map(),
    references: new Map(all.map((step) => [step, [...new Set(referencesIn(step))]])),
  };
}

/** What is wrong with a step. */
export function inStep(step: StepDefinition, problem: string, fix: string, severity: Severity = 'error'): Finding {
  return { where: `step ${step.Name}`, problem, fix, severity };
}

export type Fields = Readonly<Record<string, unknown>>;

/** A value as an object, empty where it is none. */
export function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};
}

/** A value as a list, empty where it is none. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Whether a value is known only when the pipeline runs. */
export function isExpression(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && ['Get', 'Std:Join', 'Std:JsonGet'].includes(keys[0] as string);
}

/** Whether a value is known only when a CDK app is synthesised or its template is deployed: a token, or a CloudFormation function. */
export function isPlaceholder(value: unknown): boolean {
  // CDK writes texts as ${Token[...]} and lists as #{Token[...]}
  if (typeof value === 'string') return value.includes('{Token[');
  // CDK writes numbers that are not known yet as huge negative ones
  if (typeof value === 'number') return Math.abs(value) > 1e280;
  if (Array.isArray(value)) return value.length === 1 && isPlaceholder(value[0]) && String(value[0]).startsWith('#{');
  if (typeof value !== 'object' || value === null) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && (keys[0] === 'Ref' || (keys[0] as string).startsWith('Fn::'));
}

/** Stands for what is not known yet in a text. */
export const UNKNOWN = '\u0000';

/** A text with what is not known yet replaced; undefined where nothing of it is known. */
export function knownText(value: unknown): string | undefined {
  if (typeof value === 'string') return value.replaceAll(/[$#]\{Token\[[^\]]*\]\}/g, UNKNOWN);
  const { On, Values } = fields(fields(value)['Std:Join']);
  if (typeof On !== 'string' || !Array.isArray(Values)) return undefined;
  return Values.map((part) => knownText(part) ?? (typeof part === 'number' ? String(part) : UNKNOWN)).join(On);
}

/** Names among which a wrong one can be recognised: all, or the most similar of many. */
export function suggest(name: string, among: readonly string[]): string {
  if (among.length <= 12) return among.join(', ') || 'none';
  return [...among]
    .map((other) => ({ other, distance: distance(name.toLowerCase(), other.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 5)
    .map(({ other }) => other)
    .join(', ');
}

/** Edits between two words, by Levenshtein. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
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
