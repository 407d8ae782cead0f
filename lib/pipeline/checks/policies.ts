// Retry policies and cache settings.
import type { RetryPolicyDefinition, StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { JOB_EXCEPTIONS, STEP_EXCEPTIONS } from '../steps/retry';
import { stepType } from '../steps/step-types';
import { inStep } from './context';

/** https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html */
const MOST_ATTEMPTS = 20;
/** Minutes. */
const LONGEST_RETRY = 14_400;

/** As in https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-caching.html */
const DURATION = /^P(?=.)(\d+Y)?(\d+M)?(\d+W)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+S)?)?$/i;

function checkRetryPolicy(step: StepDefinition, policy: RetryPolicyDefinition): Finding[] {
  const { ExceptionType: exceptions = [], MaxAttempts: attempts, ExpireAfterMin: minutes } = policy;
  const retries = stepType(step.Type)?.retries ?? 'job';
  const allowed: readonly string[] = {
    none: [],
    step: STEP_EXCEPTIONS,
    job: [...STEP_EXCEPTIONS, ...JOB_EXCEPTIONS],
  }[retries];
  const findings: Finding[] = [];
  if (retries === 'none')
    findings.push(inStep(step, `it has retry policies, which a ${step.Type} step cannot have.`, 'leave them out.'));
  const wrong = retries === 'none' ? [] : exceptions.filter((exception) => !allowed.includes(exception));
  if (wrong.length > 0)
    findings.push(
      inStep(step, `its retry policy is for ${wrong.join(' and ')}.`, `choose among: ${allowed.join(', ')}.`),
    );
  if (exceptions.length === 0)
    findings.push(inStep(step, 'its retry policy names no exception.', `choose among: ${allowed.join(', ')}.`));
  if ((attempts === undefined) === (minutes === undefined))
    findings.push(
      inStep(step, 'its retry policy must have either MaxAttempts or ExpireAfterMin.', 'give it one of them.'),
    );
  if (attempts !== undefined && (attempts < 1 || attempts > MOST_ATTEMPTS))
    findings.push(inStep(step, `its retry policy has MaxAttempts ${attempts}.`, `choose from 1 to ${MOST_ATTEMPTS}.`));
  if (minutes !== undefined && (minutes < 0 || minutes > LONGEST_RETRY))
    findings.push(
      inStep(step, `its retry policy has ExpireAfterMin ${minutes}.`, `choose from 0 to ${LONGEST_RETRY}.`),
    );
  return findings;
}

export function checkPolicies(step: StepDefinition): Finding[] {
  const findings = (step.RetryPolicies ?? []).flatMap((policy) => checkRetryPolicy(step, policy));
  const expireAfter = step.CacheConfig?.ExpireAfter;
  if (expireAfter !== undefined && !DURATION.test(expireAfter))
    findings.push(
      inStep(
        step,
        `its cache expires after ${expireAfter}, which is no ISO 8601 duration.`,
        'write it as P30D or PT4H.',
      ),
    );
  return findings;
}
