// Conditions on which a pipeline branches. The conditions of one step must all hold.
import type { Expression } from './expression';

type Operand = string | number | boolean | Expression<string> | Expression<number> | Expression<boolean>;

/** As it stands in a definition. */
export interface Condition {
  /** SageMaker's name of the condition, e.g. Equals. */
  readonly Type: string;
  readonly [key: string]: unknown;
}

const compare =
  (Type: string) =>
  (left: Expression, right: Operand): Condition => ({ Type, LeftValue: left, RightValue: right });

/** Whether both sides are the same. */
export const equals = compare('Equals');
/** Whether the left side is more than the right. */
export const greaterThan = compare('GreaterThan');
/** Whether the left side is at least the right. */
export const greaterThanOrEqualTo = compare('GreaterThanOrEqualTo');
/** Whether the left side is less than the right. */
export const lessThan = compare('LessThan');
/** Whether the left side is at most the right. */
export const lessThanOrEqualTo = compare('LessThanOrEqualTo');

/** Whether a value is one of several. */
export function isIn(value: Expression, values: readonly Operand[]): Condition {
  return { Type: 'In', QueryValue: value, Values: values };
}

/** Whether a condition does not hold. */
export function not(condition: Condition): Condition {
  return { Type: 'Not', Condition: condition };
}

/** Whether any of several conditions holds. */
export function or(...conditions: readonly Condition[]): Condition {
  return { Type: 'Or', Conditions: conditions };
}

/** SageMaker has no And inside a condition: not any of them being false says the same. */
export function and(...conditions: readonly Condition[]): Condition {
  const [first, ...rest] = conditions;
  return first && rest.length === 0 ? first : not(or(...conditions.map(not)));
}
