// Retry policies: what a step does when SageMaker fails it.
// https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html

/** Failures of the call that starts a step. */
export type StepException = 'Step.SERVICE_FAULT' | 'Step.THROTTLING';

/** Failures of the job that a step runs. */
export type JobException = 'SageMaker.JOB_INTERNAL_ERROR' | 'SageMaker.CAPACITY_ERROR' | 'SageMaker.RESOURCE_LIMIT';

/** All failures of the call that starts a step. */
export const STEP_EXCEPTIONS: readonly StepException[] = ['Step.SERVICE_FAULT', 'Step.THROTTLING'];
/** All failures of the job that a step runs. */
export const JOB_EXCEPTIONS: readonly JobException[] = [
  'SageMaker.JOB_INTERNAL_ERROR',
  'SageMaker.CAPACITY_ERROR',
  'SageMaker.RESOURCE_LIMIT',
];

/** How long it is tried: so many times, or for so long. */
type Until =
  | {
      /** 1 to 20. */
      readonly maxAttempts: number;
      readonly expireAfterMinutes?: never;
    }
  | {
      /** Minutes, up to 14,400: ten days. */
      readonly expireAfterMinutes: number;
      readonly maxAttempts?: never;
    };

/** A policy for these exceptions. It cannot change what the step asks for, such as the instance type. */
export type RetryPolicy<Exception extends string = StepException | JobException> = Until & {
  /** After which failures. */
  readonly exceptions: readonly Exception[];
  /** Seconds before the first new attempt. @default 1 */
  readonly intervalSeconds?: number;
  /** By how much the interval grows with each attempt. @default 2 */
  readonly backoffRate?: number;
};

/** As it stands in a definition. */
export function retryPolicyDefinition(policy: RetryPolicy): Record<string, unknown> {
  const { exceptions, intervalSeconds = 1, backoffRate = 2, maxAttempts, expireAfterMinutes } = policy;
  return {
    BackoffRate: backoffRate,
    IntervalSeconds: intervalSeconds,
    ...(maxAttempts !== undefined && { MaxAttempts: maxAttempts }),
    ...(expireAfterMinutes !== undefined && { ExpireAfterMin: expireAfterMinutes }),
    ExceptionType: exceptions,
  };
}
