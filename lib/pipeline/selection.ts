// Which steps an execution may run alone.
import { allSteps, dependenciesOf, type StepDefinition } from './definition';
import type { Finding } from './errors';

/** The steps that the selected ones refer to or wait for, and that are not selected themselves. */
export function neededBy(selected: readonly string[], definition: readonly StepDefinition[]): string[] {
  const steps = allSteps(definition).filter(({ Name }) => selected.includes(Name));
  return [...new Set(steps.flatMap(dependenciesOf))].filter((name) => !selected.includes(name));
}

/**
 * What is wrong with a selection of steps: all steps between two selected ones must be selected, and what they need of others must come from
 * an execution before.
 *
 * @see https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SelectiveExecutionConfig.html
 */
export function checkSelection(
  definition: readonly StepDefinition[],
  selected: readonly string[],
  source: string | undefined,
): Finding[] {
  const steps = new Map(allSteps(definition).map((step) => [step.Name, step]));
  const unknown = selected.filter((name) => !steps.has(name));
  if (unknown.length > 0 || selected.length === 0)
    return unknown.map((name) => ({
      where: `step ${name}`,
      problem: 'it was selected, and the pipeline does not have it.',
      fix: `choose among: ${[...steps.keys()].join(', ')}.`,
    }));
  const before = (name: string, seen = new Set<string>()): Set<string> => {
    for (const each of dependenciesOf(steps.get(name) as StepDefinition)) {
      if (seen.has(each) || !steps.has(each)) continue;
      seen.add(each);
      before(each, seen);
    }
    return seen;
  };
  const earlier = new Set(selected.flatMap((name) => [...before(name)]));
  const findings: Finding[] = [...earlier]
    .filter((name) => !selected.includes(name) && selected.some((other) => before(name).has(other)))
    .map((name) => ({
      where: `step ${name}`,
      problem: 'it lies between two selected steps, and is not selected.',
      fix: 'select it too.',
    }));
  const needed = neededBy(selected, definition);
  if (findings.length === 0 && source === undefined && needed.length > 0)
    findings.push({
      where: `the selected steps ${selected.join(', ')}`,
      problem: `they need what ${needed.join(', ')} made.`,
      fix: 'give the execution that made it, by its ARN, or select these steps too.',
    });
  return findings;
}
