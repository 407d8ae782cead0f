// The arguments of a step against the request that it makes: what is missing, what is not known, and what is of a wrong kind or range.
import type { StepDefinition } from '../definition';
import type { Finding } from '../errors';
import type { Shape, Structure } from '../steps/schema';
import { sdkEnumeration } from '../steps/schema';
import { STEP_TYPES, stepType } from '../steps/step-types';
import { type Context, fields, inStep, isExpression, isPlaceholder, suggest } from './context';
import { ENUMERATIONS, RANGES } from './members';
import { describe, resolveReference } from './references';
import { imageDefect, isImage, isRole, isS3Uri, roleDefect, s3UriDefect } from './uris';

/** Of each group of members one must be there: what SageMaker asks for beside what its requests call required. */
const ONE_OF: Readonly<Record<string, readonly (readonly string[])[]>> = {
  CreateTrainingJobRequest: [
    ['AlgorithmSpecification', 'ServerlessJobConfig'],
    ['ResourceConfig', 'ServerlessJobConfig'],
    ['StoppingCondition', 'ServerlessJobConfig'],
  ],
  AlgorithmSpecification: [['TrainingImage', 'AlgorithmName']],
  HyperParameterAlgorithmSpecification: [['TrainingImage', 'AlgorithmName']],
  ResourceConfig: [
    ['InstanceType', 'InstanceGroups', 'InstancePreferences'],
    ['InstanceCount', 'InstanceGroups', 'InstancePreferences'],
  ],
  CreateHyperParameterTuningJobRequest: [['TrainingJobDefinition', 'TrainingJobDefinitions']],
  HyperParameterTrainingJobDefinition: [['ResourceConfig', 'HyperParameterTuningResourceConfig']],
  CreateModelInput: [['PrimaryContainer', 'Containers'], ['ExecutionRoleArn']],
  CreateModelPackageInput: [['InferenceSpecification', 'SourceAlgorithmSpecification', 'ModelCard']],
  ContainerDefinition: [['Image', 'ModelPackageName']],
  'EMR step': [['ClusterId', 'ClusterConfig']],
};

/** What a step must have beside its arguments. */
const BESIDE: Readonly<Record<string, readonly string[]>> = {
  Lambda: ['FunctionArn'],
  Callback: ['SqsQueueUrl'],
  QualityCheck: ['CheckType'],
  ClarifyCheck: ['CheckType'],
};

/** Of what stands beside the arguments, the values that there are. */
const BESIDE_VALUES: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  QualityCheck: { CheckType: ['DATA_QUALITY', 'MODEL_QUALITY'] },
  ClarifyCheck: { CheckType: ['DATA_BIAS', 'MODEL_BIAS', 'MODEL_EXPLAINABILITY'] },
};

interface Facts {
  readonly enumeration: string | undefined;
  readonly range: readonly [number, number] | undefined;
  readonly isS3Uri: boolean;
  readonly isImage: boolean;
  readonly isRole: boolean;
}

const NONE: Facts = { enumeration: undefined, range: undefined, isS3Uri: false, isImage: false, isRole: false };

const known = new WeakMap<Structure, Map<string, Facts>>();

/** What is known of a member; found once, for a definition has many of each. */
function factsOf(shape: Structure, member: string): Facts {
  const members = known.get(shape) ?? new Map<string, Facts>();
  known.set(shape, members);
  const before = members.get(member);
  if (before) return before;
  const name = `${shape.name}.${member}`;
  const found = {
    enumeration: ENUMERATIONS[name]?.replace('[]', ''),
    range: RANGES[name],
    isS3Uri: isS3Uri(name),
    isImage: isImage(name),
    isRole: isRole(name),
  };
  members.set(member, found);
  return found;
}

export function checkArguments(step: StepDefinition, context: Context): Finding[] {
  if (!STEP_TYPES.includes(step.Type)) {
    return [
      inStep(
        step,
        `its type is ${step.Type}, which SageMaker does not have.`,
        `choose among: ${suggest(String(step.Type), STEP_TYPES)}.`,
      ),
    ];
  }
  const given = step as unknown as Record<string, unknown>;
  const beside = (BESIDE[step.Type] ?? [])
    .filter((member) => given[member] === undefined)
    .map((member) => inStep(step, `it has no ${member}.`, `give it ${member}.`));
  for (const [member, values] of Object.entries(BESIDE_VALUES[step.Type] ?? {})) {
    const value = given[member];
    if (typeof value === 'string' && !isPlaceholder(value) && !values.includes(value))
      beside.push(inStep(step, `its ${member} is ${value}.`, `choose among: ${values.join(', ')}.`));
  }
  const type = stepType(step.Type);
  if (type?.request === undefined) return beside;
  const walk = new ArgumentsWalk(step, context, new Set(type.named));
  walk.structure(fields(step.Arguments), type.request, '');
  return [...beside, ...walk.findings];
}

class ArgumentsWalk {
  readonly findings: Finding[] = [];

  constructor(
    private readonly step: StepDefinition,
    private readonly context: Context,
    private readonly named: ReadonlySet<string>,
  ) {}

  private add(problem: string, fix: string): void {
    this.findings.push(inStep(this.step, problem, fix));
  }

  structure(value: Readonly<Record<string, unknown>>, shape: Structure, path: string): void {
    const at = (member: string) => (path === '' ? member : `${path}.${member}`);
    const has = (member: string) => value[member] !== undefined && value[member] !== null;
    for (const member of shape.required) {
      if (!has(member) && !(path === '' && this.named.has(member)))
        this.add(`it has no ${at(member)}, which ${shape.name} must have.`, `give it ${at(member)}.`);
    }
    for (const members of ONE_OF[shape.name] ?? []) {
      if (members.some(has)) continue;
      this.add(`it has no ${members.map(at).join(' and no ')}.`, `give it ${members.map(at).join(' or ')}.`);
    }
    for (const member of Object.keys(value)) {
      const entry = value[member];
      const inner = shape.member(member);
      if (inner !== undefined) this.value(entry, inner, at(member), factsOf(shape, member));
      else if (!isPlaceholder(value))
        this.add(
          `it has ${at(member)}; ${shape.name} has no such member.`,
          `choose among: ${suggest(member, shape.members)}.`,
        );
    }
  }

  private value(value: unknown, shape: Shape, path: string, facts: Facts): void {
    if (value === undefined || value === null || isPlaceholder(value)) return;
    if (isExpression(value)) {
      this.expression(fields(value), shape, path, facts);
      return;
    }
    if (shape.kind === 'any') return;
    if (shape.kind === 'list') {
      if (!Array.isArray(value)) this.kind(value, shape, path);
      else value.forEach((item, index) => void this.value(item, shape.item, `${path}[${index}]`, facts));
    } else if (shape.kind === 'structure' || shape.kind === 'map') {
      if (typeof value !== 'object' || Array.isArray(value)) this.kind(value, shape, path);
      else if (shape.kind === 'structure') this.structure(fields(value), shape, path);
      else for (const [key, entry] of Object.entries(value)) this.value(entry, shape.value, `${path}.${key}`, NONE);
    } else if (typeof value !== (shape.kind === 'text' ? 'string' : shape.kind)) {
      this.kind(value, shape, path);
    } else {
      this.leaf(value as string | number | boolean, path, facts);
    }
  }

  private kind(value: unknown, shape: Shape, path: string): void {
    const found = Array.isArray(value)
      ? 'a list'
      : typeof value === 'object'
        ? 'a structure'
        : `${typeof value} ${value}`;
    this.add(`its ${path} is ${found}, and must be ${describe(shape)}.`, `write it as ${describe(shape)}.`);
  }

  private expression(value: Readonly<Record<string, unknown>>, shape: Shape, path: string, facts: Facts): void {
    const joined = 'Std:Join' in value;
    const reference = typeof value.Get === 'string' ? value.Get : undefined;
    const from = joined ? ({ kind: 'text' } as const) : reference && resolveReference(reference, this.context).shape;
    if (from && from.kind !== 'any' && shape.kind !== 'any' && from.kind !== shape.kind) {
      this.add(
        `its ${path} is ${reference ?? 'a Std:Join'}, ${describe(from)}, and must be ${describe(shape)}.`,
        shape.kind === 'text' && from.kind !== 'structure' && from.kind !== 'list' && from.kind !== 'map'
          ? "write it as text with join('', ...)."
          : `refer to ${describe(shape)}.`,
      );
      return;
    }
    if (joined) {
      if (facts.isS3Uri) this.defect(s3UriDefect(value), path);
      return;
    }
    const parameter = reference?.startsWith('Parameters.')
      ? this.context.parameters.get(reference.slice('Parameters.'.length))
      : undefined;
    if (parameter?.DefaultValue !== undefined && parameter.DefaultValue !== null)
      this.leaf(parameter.DefaultValue as string, `${path} (the default of parameter ${parameter.Name})`, facts);
  }

  private leaf(value: string | number | boolean, path: string, facts: Facts): void {
    const { enumeration, range } = facts;
    if (enumeration !== undefined) {
      const values = sdkEnumeration(enumeration);
      if (values.size > 0 && !values.has(value as string)) {
        this.add(
          `its ${path} is ${value}, which is no ${enumeration}.`,
          `choose among: ${suggest(String(value), [...values])}; or update @aws-sdk/client-sagemaker, if it is newer than that.`,
        );
      }
    }
    if (range && typeof value === 'number' && (value < range[0] || value > range[1]))
      this.add(
        `its ${path} is ${value}.`,
        `choose from ${range[0]} to ${range[1] === Infinity ? 'any more' : range[1]}.`,
      );
    if (typeof value !== 'string') return;
    if (facts.isS3Uri) this.defect(s3UriDefect(value), path);
    if (facts.isImage) this.defect(imageDefect(value), path);
    if (facts.isRole) this.defect(roleDefect(value), path);
  }

  private defect(defect: { problem: string; fix: string } | undefined, path: string): void {
    if (defect) this.add(`its ${path} ${defect.problem}`, defect.fix);
  }
}
