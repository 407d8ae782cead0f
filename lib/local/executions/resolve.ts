// Gives the expressions of a definition their values while its pipeline runs.

/** Where expressions find their values. */
export interface Values {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly execution: Readonly<Record<string, unknown>>;
  /** What SageMaker's Describe call says of a step's job. */
  properties(step: string): unknown;
  /** The contents of a property file. */
  propertyFile(step: string, file: string): unknown;
}

/** Names under which an entry of a list is known. */
const NAMES = ['OutputName', 'InputName', 'MetricName', 'Name'];

/** Follows a path such as `.A.B[0].C['name']` into a value. */
export function follow(value: unknown, path: string): unknown {
  let current = value;
  for (const [, key, index, name] of path.matchAll(/\.?([^.[\]]+)|\[(\d+)\]|\['([^']+)'\]/g)) {
    if (current === undefined || current === null) break;
    if (Array.isArray(current) && name !== undefined) {
      current = current.find((entry) => NAMES.some((field) => (entry as Record<string, unknown>)[field] === name));
    } else current = (current as Record<string, unknown>)[(key ?? index ?? name) as string];
  }
  if (current === undefined) throw new Error(`there is nothing at ${path}`);
  return current;
}

function get(path: string, values: Values): unknown {
  const [, root, name, rest = ''] = /^(\w+)\.([^.[]+)(.*)$/.exec(path) ?? [];
  if (root === 'Parameters') return follow(values.parameters, `.${name}`);
  if (root === 'Execution') return follow(values.execution, `.${name}`);
  if (root === 'Steps') return follow(values.properties(name as string), rest);
  throw new Error(`the reference ${path} cannot be resolved`);
}

function jsonGet({ PropertyFile, Path }: { PropertyFile: { Get: string }; Path: string }, values: Values): unknown {
  const [, step, file] = /^Steps\.([^.]+)\.PropertyFiles\.(.+)$/.exec(PropertyFile.Get) ?? [];
  return follow(values.propertyFile(step as string, file as string), Path);
}

/** A copy of a part of a definition with every expression replaced by its value. */
export function resolve(part: unknown, values: Values): unknown {
  if (Array.isArray(part)) return part.map((entry) => resolve(entry, values));
  if (typeof part !== 'object' || part === null) return part;
  const entries = Object.entries(part);
  const [key, value] = entries[0] ?? [];
  if (entries.length === 1 && key === 'Get') return get(value as string, values);
  if (entries.length === 1 && key === 'Std:JsonGet')
    return jsonGet(value as { PropertyFile: { Get: string }; Path: string }, values);
  if (entries.length === 1 && key === 'Std:Join') {
    const { On, Values } = value as { On: string; Values: unknown[] };
    return Values.map((entry) => String(resolve(entry, values))).join(On);
  }
  return Object.fromEntries(entries.map(([name, entry]) => [name, resolve(entry, values)]));
}

type Comparison = (left: unknown, right: unknown) => boolean;

const COMPARISONS: Readonly<Record<string, Comparison>> = {
  Equals: (left, right) => left === right,
  GreaterThan: (left, right) => Number(left) > Number(right),
  GreaterThanOrEqualTo: (left, right) => Number(left) >= Number(right),
  LessThan: (left, right) => Number(left) < Number(right),
  LessThanOrEqualTo: (left, right) => Number(left) <= Number(right),
};

/** Whether a condition, its expressions resolved, holds. */
export function holds(condition: Readonly<Record<string, unknown>>): boolean {
  const type = condition.Type as string;
  // AWS's SDK writes Condition; its documentation has Expression
  if (type === 'Not') return !holds((condition.Condition ?? condition.Expression) as Record<string, unknown>);
  if (type === 'Or') return (condition.Conditions as Record<string, unknown>[]).some(holds);
  if (type === 'In') return (condition.Values as unknown[]).includes(condition.QueryValue);
  const comparison = COMPARISONS[type];
  if (comparison === undefined)
    throw new Error(
      `the condition ${type} is not known; known are ${Object.keys(COMPARISONS).join(', ')}, In, Not and Or`,
    );
  return comparison(condition.LeftValue, condition.RightValue);
}
