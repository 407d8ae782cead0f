// Texts that may be known only when the pipeline runs: what of them is known at synth, and how other values become one.
import { Token } from 'aws-cdk-lib';
import { type Expression, join, Parameter, type Text } from '../../pipeline';

/** A text as far as it is known at synth: of a parameter its default; of other expressions and of tokens nothing. */
export function knownText(value: Text | undefined): string | undefined {
  if (value instanceof Parameter) {
    const { DefaultValue } = value.toDefinition();
    return typeof DefaultValue === 'string' ? knownText(DefaultValue) : undefined;
  }
  return typeof value === 'string' && !Token.isUnresolved(value) ? value : undefined;
}

/** Hyperparameters of expressions become texts, as SageMaker takes no others. */
export function toText(value: Expression): Expression<string> {
  return join('', value as Expression<string>);
}
