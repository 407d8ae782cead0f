// Reads a definition, ours or another's: its steps, what they refer to, and what each waits for.

/** A step as it stands in a definition. */
export interface StepDefinition {
  /** Unique in the pipeline. */
  readonly Name: string;
  /** e.g. Training. */
  readonly Type: string;
  /** The request that it makes; of a condition its conditions and branches. */
  readonly Arguments?: Readonly<Record<string, unknown>>;
  /** Names of steps that must have run before. */
  readonly DependsOn?: readonly string[];
  /** JSON files that conditions look into. */
  readonly PropertyFiles?: readonly {
    readonly PropertyFileName: string;
    readonly OutputName: string;
    readonly FilePath: string;
  }[];
  /** For how long an earlier run stands for this one. */
  readonly CacheConfig?: { readonly Enabled?: boolean; readonly ExpireAfter?: string };
  /** When it is tried again. */
  readonly RetryPolicies?: readonly RetryPolicyDefinition[];
  /** Of Lambda and Callback steps. */
  readonly OutputParameters?: readonly { readonly OutputName: string; readonly OutputType: string }[];
  /** Of a Lambda step. */
  readonly FunctionArn?: unknown;
  /** Of a Callback step. */
  readonly SqsQueueUrl?: unknown;
  /** Of QualityCheck and ClarifyCheck steps. */
  readonly CheckType?: string;
}

/** A retry policy as it stands in a definition: https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-retry-policy.html */
export interface RetryPolicyDefinition {
  /** What it is tried again after. */
  readonly ExceptionType?: readonly string[];
  /** By how much the interval grows with each attempt. */
  readonly BackoffRate?: number;
  /** Before the first new attempt. */
  readonly IntervalSeconds?: number;
  /** 1 to 20. */
  readonly MaxAttempts?: number;
  /** Up to 14,400 minutes. */
  readonly ExpireAfterMin?: number;
}

/** A parameter as it stands in a definition. */
export interface ParameterDefinition {
  /** Unique in the pipeline. */
  readonly Name: string;
  /** String, Integer, Float or Boolean. */
  readonly Type?: string;
  /** What it is when nobody chooses. */
  readonly DefaultValue?: unknown;
  /** The values that are allowed. */
  readonly EnumValues?: readonly unknown[];
}

/** As much of a definition as is read here; all of it may be wrong. */
export interface Definition {
  /** As ParameterDefinition. */
  readonly Parameters?: readonly unknown[];
  /** As StepDefinition. */
  readonly Steps?: readonly unknown[];
}

/** The steps inside a step: the branches of a condition. */
export function branchesOf(step: StepDefinition): readonly StepDefinition[] {
  if (step.Type !== 'Condition') return [];
  const { IfSteps = [], ElseSteps = [] } = (step.Arguments ?? {}) as {
    IfSteps?: StepDefinition[];
    ElseSteps?: StepDefinition[];
  };
  return [...IfSteps, ...ElseSteps];
}

/** All steps of a definition, those in branches too. */
export function allSteps(steps: readonly StepDefinition[]): StepDefinition[] {
  return steps.flatMap((step) => [step, ...allSteps(branchesOf(step))]);
}

/** The paths of all `{"Get": path}` in a value, without those inside the branches of a condition. */
export function referencesIn(value: unknown): string[] {
  const paths: string[] = [];
  const visit = (part: unknown) => {
    if (typeof part !== 'object' || part === null) return;
    if (Array.isArray(part)) {
      for (const item of part) visit(item);
      return;
    }
    if ('Get' in part && typeof part.Get === 'string') {
      paths.push(part.Get);
      return;
    }
    for (const key of Object.keys(part)) {
      const entry = (part as Record<string, unknown>)[key];
      if (typeof entry === 'object' && key !== 'IfSteps' && key !== 'ElseSteps') visit(entry);
    }
  };
  visit(value);
  return paths;
}

/** The name of the step that a path refers to. */
export function stepIn(path: string): string | undefined {
  return /^Steps\.([^.[]+)/.exec(path)?.[1];
}

/** Names of the steps that must have run before a step: those it refers to and those it names. */
export function dependenciesOf(step: StepDefinition): string[] {
  const referred = referencesIn(step).flatMap((path) => stepIn(path) ?? []);
  return [...new Set([...referred, ...(step.DependsOn ?? [])])];
}
