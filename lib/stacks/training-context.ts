// What of a training stack may be said at deployment: `cdk deploy -c name=value`.
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';
import { type Finding, PipelineError } from '../pipeline';
import { refusal } from '../stages/checks/checks';
import type { TrainingStackProps, TrainingTracking } from './training-stack';

/** Values of the context as text, and what is wrong with them otherwise. */
const READERS = {
  task: { read: oneOf('classification', 'segmentation'), allowed: 'classification or segmentation' },
  pipelineName: { read: text, allowed: 'a name' },
  trainingInstanceType: { read: text, allowed: 'an instance type, as ml.g5.xlarge' },
  groupBy: { read: text, allowed: 'pattern:REGEX, folder or csv:FILE:COLUMN' },
  leastAccuracy: { read: share, allowed: 'a number from 0 to 1' },
  leastDice: { read: share, allowed: 'a number from 0 to 1' },
} as const satisfies Partial<Record<keyof TrainingStackProps, { read: (value: unknown) => unknown; allowed: string }>>;

const TEXT = { read: text, allowed: 'a text' };

/** Of `tracking`: what each name of the context stands for. */
const TRACKING = {
  mlflowServerArn: { prop: 'serverArn', ...TEXT },
  mlflowServerName: { prop: 'serverName', ...TEXT },
  mlflowExperiment: { prop: 'experimentName', ...TEXT },
  tensorBoardUri: { prop: 'tensorBoardUri', ...TEXT },
  wandbSecretArn: { prop: 'wandbSecret', read: secretArn, allowed: 'the whole ARN of a secret in Secrets Manager' },
  wandbProject: { prop: 'wandbProject', ...TEXT },
} as const satisfies Readonly<
  Record<string, { prop: keyof TrainingTracking; read: (value: unknown) => unknown; allowed: string }>
>;

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** With the six letters that Secrets Manager puts behind the name. */
function secretArn(value: unknown): string | undefined {
  return /^arn:aws[a-z-]*:secretsmanager:[^:]+:\d{12}:secret:.+-[A-Za-z0-9]{6}$/.test(String(value))
    ? `${value}`
    : undefined;
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
  const said = (name: string, read: (value: unknown) => unknown, allowed: string): unknown => {
    const value: unknown = scope.node.tryGetContext(name);
    const known = value === undefined ? undefined : read(value);
    if (value !== undefined && known === undefined) {
      const fix = `correct -c ${name}=..., or the context in cdk.json`;
      findings.push(refusal(scope.node.path, `${name} of the context`, `'${value}'`, allowed, fix));
    }
    return known;
  };
  const own = Object.entries(READERS)
    .filter(([name]) => props[name as keyof TrainingStackProps] === undefined)
    .map(([name, { read, allowed }]) => [name, said(name, read, allowed)] as const);
  const tracked = Object.entries(TRACKING)
    .filter(([, { prop }]) => props.tracking?.[prop] === undefined)
    .map(([name, { prop, read, allowed }]) => [prop, said(name, read, allowed)] as const);
  if (findings.length > 0) throw new PipelineError(scope.node.path, findings);
  const tracking = trackingOf(scope, given(tracked));
  return { ...props, ...given(own), ...(tracking && { tracking: { ...props.tracking, ...tracking } }) };
}

function given(entries: readonly (readonly [string, unknown])[]): Record<string, unknown> {
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
}

function trackingOf(scope: Construct, { wandbSecret: arn, ...rest }: Record<string, unknown>) {
  if (arn === undefined && Object.keys(rest).length === 0) return undefined;
  const wandbSecret =
    arn === undefined ? {} : { wandbSecret: Secret.fromSecretCompleteArn(scope, 'WandbKey', `${arn}`) };
  return { ...rest, ...wandbSecret } as TrainingTracking;
}
