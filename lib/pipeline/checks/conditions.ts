// Conditions: whether they are SageMaker's, and compare like with like.
import type { StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Context, fields, inStep, isPlaceholder, list } from './context';
import { describe, resolveReference } from './references';

const COMPARISONS = ['Equals', 'GreaterThan', 'GreaterThanOrEqualTo', 'LessThan', 'LessThanOrEqualTo'];
const TYPES = [...COMPARISONS, 'In', 'Not', 'Or'];

/** What kind of value it is; undefined where that cannot be known. */
function kindOf(value: unknown, context: Context): 'text' | 'number' | 'boolean' | undefined {
  if (isPlaceholder(value)) return undefined;
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' || typeof value === 'boolean') return typeof value as 'number' | 'boolean';
  const { Get: path, 'Std:Join': joined } = fields(value);
  if (joined !== undefined) return 'text';
  const kind = typeof path === 'string' ? resolveReference(path, context).shape?.kind : undefined;
  return kind === 'text' || kind === 'number' || kind === 'boolean' ? kind : undefined;
}

function checkCondition(step: StepDefinition, condition: unknown, context: Context): Finding[] {
  const { Type, LeftValue, RightValue, QueryValue, Values, Conditions, ...rest } = fields(condition);
  if (!TYPES.includes(String(Type)))
    return [inStep(step, `it has a condition of the type ${Type}.`, `choose among: ${TYPES.join(', ')}.`)];
  // AWS's SDK writes Condition; Expression is what its documentation once had
  if (Type === 'Not') return checkCondition(step, rest.Condition ?? rest.Expression, context);
  if (Type === 'Or') {
    if (list(Conditions).length === 0) return [inStep(step, 'it has an Or of no conditions.', 'give it at least one.')];
    return list(Conditions).flatMap((part) => checkCondition(step, part, context));
  }
  const [left, rights] = Type === 'In' ? [QueryValue, list(Values)] : [LeftValue, [RightValue]];
  const kind = kindOf(left, context);
  return rights.flatMap((right) => {
    const other = kindOf(right, context);
    if (kind === undefined || other === undefined || kind === other) return [];
    return [
      inStep(
        step,
        `its condition ${Type} compares ${describe({ kind })}, ${JSON.stringify(left)}, with ${describe({ kind: other })}, ${JSON.stringify(right)}.`,
        'compare values of one kind.',
      ),
    ];
  });
}

export function checkConditions(step: StepDefinition, context: Context): Finding[] {
  if (step.Type !== 'Condition') return [];
  const conditions = list(step.Arguments?.Conditions);
  if (conditions.length === 0) return [inStep(step, 'it has no Conditions.', 'give it at least one.')];
  return conditions.flatMap((condition) => checkCondition(step, condition, context));
}
