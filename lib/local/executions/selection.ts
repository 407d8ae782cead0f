// Selective execution: some steps of a pipeline run again, with what an earlier execution made for those that they depend on.
import type { PipelineExecutionStep, SelectiveExecutionConfig } from '@aws-sdk/client-sagemaker';
import { branchesOf, checkSelection, neededBy, type StepDefinition } from '../../pipeline';
import { invalid } from '../errors';

/** What an earlier execution left for a later one. */
export interface Source {
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
 * @throws ValidationException naming all that is wrong with the selection, and the steps whose results are needed and not there
 */
export function reuse(
  { SelectedSteps = [], SourcePipelineExecutionArn: arn }: SelectiveExecutionConfig,
  definition: readonly StepDefinition[],
  source: Source | undefined,
): Beginning {
  const selected = SelectedSteps.map(({ StepName = '' }) => StepName);
  const findings = checkSelection(definition, selected, arn);
  if (findings.length > 0)
    throw invalid(findings.map(({ where, problem, fix }) => `${where}: ${problem} Fix: ${fix}`).join('\n'));
  const needed = neededBy(selected, definition);
  const found = (source?.steps ?? []).filter(
    ({ StepName, StepStatus }) => needed.includes(StepName as string) && StepStatus === 'Succeeded',
  );
  const missing = needed.filter((name) => !found.some(({ StepName }) => StepName === name));
  if (missing.length > 0)
    throw invalid(
      `the selected steps need ${missing.join(', ')}, which did not succeed in ${arn}. Fix: give the execution where they did, or select them too.`,
    );
  return {
    steps: found.map((step) => ({
      ...step,
      SelectiveExecutionResult: { SourcePipelineExecutionArn: arn },
    })),
    properties: Object.fromEntries(Object.entries(source?.properties ?? {}).filter(([name]) => needed.includes(name))),
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
