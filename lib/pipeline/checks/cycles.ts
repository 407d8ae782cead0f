// Steps that, in the end, wait for themselves.
import { branchesOf, stepIn } from '../definition';
import type { Finding } from '../errors';
import { type Context, inStep } from './context';

/** The branches of a condition wait for the condition. */
export function checkCycles({ steps, references }: Context): Finding[] {
  const state = new Map<string, 'open' | 'done'>();
  const conditionOf = new Map(
    [...steps.values()].flatMap((step) => branchesOf(step).map((branch) => [branch.Name, step.Name])),
  );
  const findings: Finding[] = [];
  const path: string[] = [];
  const visit = (name: string) => {
    const step = steps.get(name);
    if (step === undefined || state.get(name) === 'done') return;
    if (state.get(name) === 'open') {
      const cycle = [...path.slice(path.indexOf(name)), name].join(' -> ');
      findings.push(inStep(step, `it waits for itself: ${cycle}.`, 'remove one of these dependencies or references.'));
      return;
    }
    state.set(name, 'open');
    path.push(name);
    const condition = conditionOf.get(name);
    const referred = (references.get(step) ?? []).flatMap((reference) => stepIn(reference) ?? []);
    for (const dependency of [...referred, ...(step.DependsOn ?? []), ...(condition ? [condition] : [])])
      visit(dependency);
    path.pop();
    state.set(name, 'done');
  };
  for (const name of steps.keys()) visit(name);
  return findings;
}
