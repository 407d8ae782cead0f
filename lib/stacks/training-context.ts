// What of a training stack may be said at deployment: `cdk deploy -c name=value`.
import type { Construct } from 'constructs';
import { type Finding, PipelineError } from '../pipeline';
import { refusal } from '../stages/checks/checks';
import type { TrainingStackProps } from './training-stack';

/** Values of the context as text, and what is wrong with them otherwise. */
const READERS = {
  task: { read: oneOf('classification', 'segmentation'), allowed: 'classification or segmentation' },
  pipelineName: { read: text, allowed: 'a name' },
  trainingInstanceType: { read: text, allowed: 'an instance type, as ml.g5.xlarge' },
  groupBy: { read: text, allowed: 'pattern:REGEX, folder or csv:FILE:COLUMN' },
  leastAccuracy: { read: share, allowed: 'a number from 0 to 1' },
  leastDice: { read: share, allowed: 'a number from 0 to 1' },
} as const satisfies Partial<Record<keyof TrainingStackProps, { read: (value: unknown) => unknown; allowed: string }>>;

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Numbers come as text from the command line, and as numbers from cdk.json. */
function share(value: unknown): number | undefined {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && number >= 0 && number <= 1 ? number : undefined;
}

function oneOf<Text extends string>(...allowed: readonly Text[]): (value: unknown) => Text | undefined {
  return (value) => allowed.find((each) => each === value);
}

/**
 * The props with what the context says of those that are not given.
 *
 * @throws PipelineError naming each value of the context that cannot be
 */
export function withContext(scope: Construct, props: TrainingStackProps): TrainingStackProps {
  const findings: Finding[] = [];
  const said: Record<string, unknown> = {};
  for (const [name, { read, allowed }] of Object.entries(READERS)) {
    const value: unknown = scope.node.tryGetContext(name);
    if (value === undefined || props[name as keyof TrainingStackProps] !== undefined) continue;
    said[name] = read(value);
    if (said[name] !== undefined) continue;
    const fix = `correct -c ${name}=..., or the context in cdk.json`;
    findings.push(refusal(scope.node.path, `${name} of the context`, `'${value}'`, allowed, fix));
  }
  if (findings.length > 0) throw new PipelineError(scope.node.path, findings);
  return { ...props, ...said };
}
