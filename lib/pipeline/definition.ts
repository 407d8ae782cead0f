// Reads a definition, ours or another's: its steps, what they refer to, and what each waits for.

/** A step as it stands in a definition. */
export interface StepDefinition {
  readonly Name: string;
  readonly Type: string;
  readonly Arguments?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: readonly string[];
  readonly PropertyFiles?: readonly {
    readonly PropertyFileName: string;
    readonly OutputName: string;
    readonly FilePath: string;
  }[];
  readonly CacheConfig?: { readonly Enabled?: boolean; readonly ExpireAfter?: string };
  readonly RetryPolicies?: readonly RetryPolicyDefinition[];
  /** Of Lambda and Callback steps. */
  readonly OutputParameters?: readonly { readonly OutputName: string; readonly OutputType: string }[];
  readonly FunctionArn?: unknown;
  readonly SqsQueueUrl?: unknown;
  /** Of QualityCheck and ClarifyCheck steps. */
  readonly CheckType?: string;
}

export interface RetryPolicyDefinition {
  readonly ExceptionType?: readonly string[];
  readonly BackoffRate?: number;
  readonly IntervalSeconds?: number;
  readonly MaxAttempts?: number;
  readonly ExpireAfterMin?: number;
}

export interface ParameterDefinition {
  readonly Name: string;
  readonly Type?: string;
  readonly DefaultValue?: unknown;
  readonly EnumValues?: readonly unknown[];
}

/** As much of a definition as is read here; all of it may be wrong. */
export interface Definition {
  readonly Parameters?: readonly unknown[];
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
