// Which registered versions the models of a pipeline are made of: its role must be allowed to read them.
import type { StepDefinition } from '../../pipeline';

/** A version: its full ARN, or what of it stands behind arn:aws:sagemaker:REGION:ACCOUNT: in this account. */
export type ModelPackage = { readonly arn: string } | { readonly resource: string };

function containersOf({ PrimaryContainer, Containers }: Readonly<Record<string, unknown>>): Record<string, unknown>[] {
  return [PrimaryContainer, Containers]
    .flat()
    .filter((container) => typeof container === 'object' && container !== null) as Record<string, unknown>[];
}

/** A version that a step registers is one of its group; one that is chosen at the start may be any. */
function packageOf(name: unknown, steps: readonly StepDefinition[]): ModelPackage[] {
  if (name === undefined) return [];
  if (typeof name === 'string') return [{ arn: name }];
  const [root, step] = String((name as { readonly Get?: unknown }).Get).split('.');
  const group = root === 'Steps' && steps.find(({ Name }) => Name === step)?.Arguments?.ModelPackageGroupName;
  return [{ resource: `model-package/${typeof group === 'string' ? `${group}/` : ''}*` }];
}

/** The versions that the Model steps name. */
export function modelPackages(steps: readonly StepDefinition[]): ModelPackage[] {
  return steps
    .filter(({ Type }) => Type === 'Model')
    .flatMap(({ Arguments = {} }) => containersOf(Arguments))
    .flatMap(({ ModelPackageName }) => packageOf(ModelPackageName, steps));
}
