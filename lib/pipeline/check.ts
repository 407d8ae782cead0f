// Finds what SageMaker would refuse in a definition, ours or another's, or what would fail while it runs.
import { checkArguments } from './checks/arguments';
import { checkConditions } from './checks/conditions';
import { contextOf } from './checks/context';
import { checkCredentials } from './checks/credentials';
import { checkCycles } from './checks/cycles';
import { formed } from './checks/form';
import { checkLimits } from './checks/limits';
import { checkNames } from './checks/names';
import { checkPolicies } from './checks/policies';
import { checkDependencies, checkPropertyFiles, checkReferences } from './checks/references';
import { checkTraining } from './checks/training';
import type { Definition } from './definition';
import type { Finding } from './errors';

/** What is wrong with a definition, all at once: errors, and warnings that refuse nothing. */
export function check(given: Definition): Finding[] {
  const { definition, findings } = formed(given);
  const context = contextOf(definition);
  return [
    ...findings,
    ...checkNames(context),
    ...context.all.flatMap((step) => [
      ...checkReferences(step, context),
      ...checkArguments(step, context),
      ...checkPropertyFiles(step),
      ...checkConditions(step, context),
      ...checkTraining(step),
      ...checkPolicies(step),
      ...checkDependencies(step, context),
    ]),
    ...checkCycles(context),
    ...checkCredentials(context),
    ...checkLimits(context),
  ];
}
