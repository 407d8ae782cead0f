// What stages check of their props: refusals in one form, and the checks that several stages have in common.
import { type Duration, Token } from 'aws-cdk-lib';
import type { Finding, JobException, RetryPolicy, StepException, Text } from '../../pipeline';
import { credentialsIn } from '../training/credentials';
import { knownText } from './known-text';

/** Says what is wrong with a prop: what was given, what is allowed, how to mend it. */
export function refusal(where: string, prop: string, given: unknown, allowed: string, fix: string): Finding {
  return { where, problem: `${prop} is ${given}; allowed is ${allowed}.`, fix: `${fix}.` };
}

/** Says what is wrong with a prop of the stage that is checked: what was given, what is allowed, how to mend it. */
export type Refuse = (prop: string, given: unknown, allowed: string, fix: string) => void;

/**
 * All that a check refuses.
 *
 * @param where the step and its construct path
 */
export function refusals(where: string, check: (refuse: Refuse) => void): Finding[] {
  const findings: Finding[] = [];
  check((...details) => findings.push(refusal(where, ...details)));
  return findings;
}

/** The seconds of a duration; undefined where they are known only at deployment. */
export function secondsOf(duration: Duration): number | undefined {
  return duration.isUnresolved() ? undefined : duration.toSeconds({ integral: false });
}

export function checkWhole(
  prop: string,
  value: number | undefined,
  [least, most]: readonly [number, number],
  refuse: Refuse,
): void {
  if (value === undefined || Token.isUnresolved(value)) return;
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const allowed = Number.isFinite(most) ? `from ${least} to ${most}` : `from ${least}`;
  refuse(prop, value, `a whole number ${allowed}`, 'give one in that range');
}

/** @param range the least and the most seconds, and how people are told of them @default in seconds */
export function checkSeconds(
  prop: string,
  value: Duration | undefined,
  [least, most, inWords = `from ${least} to ${most}`]: readonly [least: number, most: number, inWords?: string],
  refuse: Refuse,
): void {
  const seconds = value && secondsOf(value);
  if (seconds === undefined || (Number.isInteger(seconds) && seconds >= least && seconds <= most)) return;
  refuse(prop, `${seconds} seconds`, `whole seconds, ${inWords}`, 'give a time in that range');
}

export function checkOneOf(prop: string, value: string | undefined, allowed: readonly string[], refuse: Refuse): void {
  if (value === undefined || allowed.includes(value)) return;
  refuse(prop, `'${value}'`, allowed.join(', '), 'choose one of these');
}

export function checkInstanceType(prop: string, value: Text | undefined, refuse: Refuse): void {
  const type = knownText(value);
  if (type === undefined || /^ml\.[a-z0-9-]+\.[a-z0-9-]+$/.test(type)) return;
  refuse(prop, `'${type}'`, "SageMaker's instance types, ml.FAMILY.SIZE", 'give one, e.g. ml.g5.xlarge');
}

export function checkS3Uri(prop: string, value: Text | undefined, refuse: Refuse): void {
  const uri = knownText(value);
  if (uri === undefined || /^s3:\/\/[^/]+/.test(uri)) return;
  refuse(prop, `'${uri}'`, 'an S3 URI', 'give s3://BUCKET/PREFIX');
}

/** How many variables a job takes, and how many characters in each. */
export interface EnvironmentLimit {
  readonly variables: number;
  readonly characters: number;
}

export function checkEnvironment(
  environment: Readonly<Record<string, Text>> = {},
  { variables, characters }: EnvironmentLimit,
  refuse: Refuse,
): void {
  const given = Object.entries(environment);
  if (given.length > variables) {
    refuse('environment', `${given.length} variables`, String(variables), 'give some of them as one');
  }
  for (const [name, value] of given) {
    const prop = `environment.${name}`;
    const text = knownText(value);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      refuse(prop, 'that name', 'letters, digits and _, no digit first', 'give it another name');
    }
    if (text !== undefined && text.length > characters) {
      refuse(prop, `${text.length} characters`, String(characters), 'put it into a file of the source or a channel');
    }
    for (const { kind } of credentialsIn(`${name}=${text ?? ''}`)) {
      refuse(prop, kind, 'no credentials', 'read it from Secrets Manager inside the job');
    }
  }
}

export function checkTags(tags: Readonly<Record<string, string>> = {}, refuse: Refuse): void {
  if (Object.keys(tags).length > 50) refuse('tags', `${Object.keys(tags).length} of them`, '50', 'leave some out');
  for (const name of Object.keys(tags).filter((key) => /^aws:/i.test(key))) {
    refuse(`tags.${name}`, 'that name', 'names that do not begin with aws:', 'give it another name');
  }
}

export function checkRetries(retry: readonly RetryPolicy<StepException | JobException>[] = [], refuse: Refuse): void {
  retry.forEach((policy, index) => {
    const { exceptions, intervalSeconds = 1, backoffRate = 2, maxAttempts, expireAfterMinutes } = policy;
    const prop = `retry[${index}]`;
    if (exceptions.length === 0) {
      refuse(`${prop}.exceptions`, 'empty', 'at least one', 'name one, e.g. SageMaker.CAPACITY_ERROR');
    }
    // types let only one through, and JavaScript both
    if ((maxAttempts === undefined) === (expireAfterMinutes === undefined)) {
      const given = `with ${maxAttempts === undefined ? 'neither' : 'both'} of maxAttempts and expireAfterMinutes`;
      refuse(prop, given, 'exactly one of them', 'set maxAttempts or expireAfterMinutes');
    }
    checkWhole(`${prop}.maxAttempts`, maxAttempts, [1, 20], refuse);
    checkWhole(`${prop}.expireAfterMinutes`, expireAfterMinutes, [1, 14_400], refuse);
    checkWhole(`${prop}.intervalSeconds`, intervalSeconds, [0, 86_400], refuse);
    if (!(backoffRate >= 0)) refuse(`${prop}.backoffRate`, backoffRate, '0 or more', 'give e.g. 2');
  });
}
