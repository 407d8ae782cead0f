// What all steps have in common. Their arguments are the AWS SDK's requests, with an expression allowed at every leaf.
import { type Properties, properties, type Resolvable } from '../expression';
import { type JobException, type RetryPolicy, retryPolicyDefinition, type StepException } from './retry';
import { stepType } from './step-types';

/** What every step may have. */
export interface StepOptions {
  /** What people read instead of the name. @default the name */
  readonly displayName?: string;
  /** @default none */
  readonly description?: string;
  /** Steps that must have run before, besides those that the arguments refer to. @default none */
  readonly dependsOn?: readonly Step[];
}

/** How long results are reused: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-caching.html */
export interface CacheOptions {
  /** ISO 8601 duration for which an earlier run with the same arguments stands for this one, e.g. P30D. */
  readonly expireAfter: string;
}

/** A step whose earlier run may stand for a new one. */
export interface Cached {
  /** @default the step is run each time */
  readonly cache?: CacheOptions;
}

/** A step that can be tried again when SageMaker fails the call that starts it. */
export interface Retried {
  /** @default SageMaker's own */
  readonly retry?: readonly RetryPolicy<StepException>[];
}

/** A step that can also be tried again when SageMaker fails its job. */
export interface JobRetried {
  /** @default SageMaker's own */
  readonly retry?: readonly RetryPolicy<StepException | JobException>[];
}

/** A step that makes a request of SageMaker. */
export interface RequestStepOptions<Arguments> extends StepOptions {
  /** The AWS SDK's request, with an expression allowed at every leaf. */
  readonly arguments: Arguments;
}

/** A step that runs a job. */
export interface JobStepOptions<Arguments> extends RequestStepOptions<Arguments>, Cached, JobRetried {}

/** A step of a pipeline. */
export abstract class Step {
  /** SageMaker's name of the type. */
  abstract readonly type: string;

  constructor(
    /** Unique in the pipeline. */
    readonly name: string,
    private readonly options: StepOptions & Cached & JobRetried,
  ) {}

  /** Steps inside this one: the branches of a condition. */
  get branches(): readonly Step[] {
    return [];
  }

  protected abstract toArguments(): unknown;

  /** What the step has beside its arguments. */
  protected extras(): Record<string, unknown> {
    return {};
  }

  /** As it stands in a definition. */
  toDefinition(): Record<string, unknown> {
    const { displayName, description, dependsOn, cache, retry } = this.options;
    return {
      Name: this.name,
      Type: this.type,
      ...(displayName !== undefined && { DisplayName: displayName }),
      ...(description !== undefined && { Description: description }),
      Arguments: this.toArguments(),
      ...(dependsOn && dependsOn.length > 0 && { DependsOn: dependsOn.map((step) => step.name) }),
      ...(retry && retry.length > 0 && { RetryPolicies: retry.map(retryPolicyDefinition) }),
      ...(cache && { CacheConfig: { Enabled: true, ExpireAfter: cache.expireAfter } }),
      ...this.extras(),
    };
  }
}

/** A step that makes a request of SageMaker, of whose outcome the description can be referred to. */
export abstract class RequestStep<Request, Response> extends Step {
  constructor(
    name: string,
    private readonly request: RequestStepOptions<Request> & Cached & JobRetried,
  ) {
    super(name, request);
  }

  /** References to what SageMaker's Describe call says of what the step made. */
  get properties(): Properties<Response> {
    return properties<Response>(`Steps.${this.name}`, stepType(this.type)?.response);
  }

  protected override toArguments(): unknown {
    return this.request.arguments;
  }
}

/** A request without the name that SageMaker gives itself to what a pipeline makes. */
export type WithoutName<Request, Name extends keyof Request> = Resolvable<Omit<Request, Name>>;
