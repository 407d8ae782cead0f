// Selective execution: some steps of a pipeline run again, with what an earlier execution made for those that they depend on.
import type { PipelineExecutionStep, SelectiveExecutionConfig } from '@aws-sdk/client-sagemaker';
import { allSteps, branchesOf, dependenciesOf, type StepDefinition } from '../../pipeline';
import { invalid } from '../errors';

/** What an earlier execution left for a later one. */
export interface Source {
  readonly arn: string;
  readonly steps: readonly PipelineExecutionStep[];
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What an execution begins with. */
export interface Beginning {
  readonly steps: readonly PipelineExecutionStep[];
  readonly properties: Readonly<Record<string, unknown>>;
}

/**
 * What the selected steps need of an execution before.
 *
 * @throws ValidationException naming steps that are not in the pipeline, and those whose results are needed and not there
 * @see https://docs.aws.amazon.com/sagemaker/latest/dg/pipelines-selective-ex.html
 */
export function reuse(
  { SelectedSteps = [] }: SelectiveExecutionConfig,
  definition: readonly StepDefinition[],
  source: Source | undefined,
): Beginning {
  const steps = new Map(allSteps(definition).map((step) => [step.Name, step]));
  const selected = SelectedSteps.map(({ StepName = '' }) => StepName);
  const unknown = selected.filter((name) => !steps.has(name));
  if (selected.length === 0 || unknown.length > 0)
    throw invalid(
      `the selected steps ${unknown.join(', ') || '(none)'} are not in the pipeline; it has ${[...steps.keys()].join(', ')}`,
    );
  const needed = new Set(
    selected
      .flatMap((name) => dependenciesOf(steps.get(name) as StepDefinition))
      .filter((name) => !selected.includes(name)),
  );
  const found = (source?.steps ?? []).filter(
    ({ StepName, StepStatus }) => needed.has(StepName as string) && StepStatus === 'Succeeded',
  );
  const missing = [...needed].filter((name) => !found.some(({ StepName }) => StepName === name));
  if (missing.length > 0)
    throw invalid(
      `the selected steps need ${missing.join(', ')}, which did not succeed in ${source?.arn ?? 'any execution before'}; ` +
        'select them too, or give the execution where they did',
    );
  return {
    steps: found.map((step) => ({
      ...step,
      SelectiveExecutionResult: { SourcePipelineExecutionArn: source?.arn },
    })),
    properties: Object.fromEntries(Object.entries(source?.properties ?? {}).filter(([name]) => needed.has(name))),
  };
}

/** The steps that are to run: all, or the selected ones, which need not wait for a condition that is not among them. */
export function chosen(
  steps: readonly StepDefinition[],
  selected: readonly string[] | undefined,
): readonly StepDefinition[] {
  if (selected === undefined) return steps;
  return steps.flatMap((step) => (selected.includes(step.Name) ? [step] : chosen(branchesOf(step), selected)));
}
