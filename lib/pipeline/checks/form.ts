// The form of a definition that somebody else wrote: what is no step, no list, no text. What is malformed is told, and left out of what
// the other checks look at.
import type { Definition, ParameterDefinition, StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Fields, fields } from './context';

/** A definition as the other checks may take it for granted, and what had to be left out. */
export interface Formed {
  readonly definition: Definition;
  readonly findings: readonly Finding[];
}

type Kind = 'an object' | 'a text' | 'a list of objects' | 'a list of texts' | 'a list';

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === 'string';

const FITS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  'an object': isObject,
  'a text': isText,
  'a list of objects': (value) => Array.isArray(value) && value.every(isObject),
  'a list of texts': (value) => Array.isArray(value) && value.every(isText),
  'a list': Array.isArray,
};

/** What a step may have beside its name and type. */
const OF_STEP: Readonly<Record<string, Kind>> = {
  Arguments: 'an object',
  DependsOn: 'a list of texts',
  PropertyFiles: 'a list of objects',
  RetryPolicies: 'a list of objects',
  OutputParameters: 'a list of objects',
  CacheConfig: 'an object',
};

const BRANCHES = ['IfSteps', 'ElseSteps'];

const OF_POLICY: Readonly<Record<string, Kind>> = { ExceptionType: 'a list of texts' };
const OF_PARAMETER: Readonly<Record<string, Kind>> = { Type: 'a text', EnumValues: 'a list' };

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

class FormWalk {
  readonly findings: Finding[] = [];

  /** Without the members that are of another kind; the same object where all are right. */
  private only<Value extends object>(value: Value, kinds: Readonly<Record<string, Kind>>, where: string): Value {
    let kept: Record<string, unknown> | undefined;
    for (const [name, kind] of Object.entries(kinds)) {
      const member = (value as Record<string, unknown>)[name];
      if (member === undefined || FITS[kind](member)) continue;
      // what AWS's SDK writes where there is none
      if (member !== null) this.add(where, `its ${name} is ${shown(member)}.`, `write ${name} as ${kind}.`);
      kept ??= { ...value } as Record<string, unknown>;
      delete kept[name];
    }
    return (kept as Value | undefined) ?? value;
  }

  private add(where: string, problem: string, fix: string): void {
    this.findings.push({ where, problem, fix, severity: 'error' });
  }

  steps(value: unknown, path: string): StepDefinition[] {
    if (!Array.isArray(value)) {
      this.add(path, `it is ${shown(value)}.`, `write ${path} as a list of steps.`);
      return [];
    }
    return value.flatMap((step, index) => this.step(step, `${path}[${index}]`));
  }

  private step(value: unknown, path: string): StepDefinition[] {
    const { Name, Type } = fields(value);
    if (!isText(Name) || !isText(Type)) {
      const fix = 'write a step as an object with Name, Type and Arguments, the first two as texts.';
      this.add(path, `it is ${shown(value)}, which is no step.`, fix);
      return [];
    }
    const where = `step ${Name}`;
    const step = this.only(value as StepDefinition, OF_STEP, where);
    const policies = step.RetryPolicies?.map((policy) => this.only(policy, OF_POLICY, where));
    const branches = Type === 'Condition' ? this.branches(step.Arguments ?? {}, where) : {};
    if (!policies && Object.keys(branches).length === 0) return [step];
    return [
      {
        ...step,
        ...(policies && { RetryPolicies: policies }),
        ...(step.Arguments && { Arguments: { ...step.Arguments, ...branches } }),
      },
    ];
  }

  private branches(args: Fields, where: string): Record<string, StepDefinition[]> {
    const given = BRANCHES.filter((name) => args[name] !== undefined);
    return Object.fromEntries(given.map((name) => [name, this.steps(args[name] ?? [], `${where}: ${name}`)]));
  }

  parameters(value: unknown): ParameterDefinition[] {
    if (!Array.isArray(value)) {
      this.add('Parameters', `it is ${shown(value)}.`, 'write Parameters as a list.');
      return [];
    }
    return value.flatMap((parameter, index) => {
      const { Name } = fields(parameter);
      if (isText(Name)) return [this.only(parameter as ParameterDefinition, OF_PARAMETER, `parameter ${Name}`)];
      const fix = 'write a parameter as an object with Name and Type.';
      this.add(`Parameters[${index}]`, `it is ${shown(parameter)}, which is no parameter.`, fix);
      return [];
    });
  }
}

/** @param definition of which nothing is known */
export function formed(definition: Definition): Formed {
  const walk = new FormWalk();
  const { Steps = [], Parameters = [] } = definition;
  const [steps, parameters] = [walk.steps(Steps, 'Steps'), walk.parameters(Parameters ?? [])];
  return { definition: { ...definition, Steps: steps, Parameters: parameters }, findings: walk.findings };
}
