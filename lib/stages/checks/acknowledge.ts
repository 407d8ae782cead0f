// Says why a rule of cdk-nag does not hold somewhere.
import { type Acknowledgment, Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** The packs whose rules have the same names. */
const PACKS = ['HIPAA.Security', 'NIST.800.53.R5'];

/**
 * Acknowledges rules without a stack trace of each: a stack has dozens, all of them lead here, and traces are most of what they cost.
 */
export function acknowledge(construct: IConstruct, ...rules: readonly Acknowledgment[]): void {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    Validations.of(construct).acknowledge(...rules);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Acknowledges a rule that the HIPAA and the NIST pack both have. */
export function acknowledgeInPacks(construct: IConstruct, rule: string, reason: string): void {
  acknowledge(construct, ...PACKS.map((pack) => ({ id: `${pack}-${rule}`, reason })));
}
