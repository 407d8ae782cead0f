// Names of steps and parameters, and parameters in themselves.
import type { ParameterDefinition, StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Context, fields, inStep, isPlaceholder } from './context';

/** What SageMaker allows as the name of a step: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PipelineExecutionStep.html */
const STEP_NAME = {
  pattern: /^[A-Za-z0-9][-_A-Za-z0-9]{0,63}$/,
  fix: 'use up to 64 letters, digits, - and _, a letter or digit first.',
};
/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Parameter.html */
const PARAMETER_NAME = { pattern: /^[-_A-Za-z0-9]{1,256}$/, fix: 'use up to 256 letters, digits, - and _.' };

const TYPES: Readonly<Record<string, (value: unknown) => boolean>> = {
  String: (value) => typeof value === 'string',
  Integer: (value) => Number.isInteger(value),
  Float: (value) => typeof value === 'number',
  Boolean: (value) => typeof value === 'boolean',
};

function checkNamesOf(kind: string, names: readonly string[], { pattern, fix }: typeof STEP_NAME): Finding[] {
  const seen = new Set<string>();
  const twice = new Set(names.filter((name) => seen.size === seen.add(name).size));
  return [...seen].flatMap((name) => {
    const where = `${kind} ${name}`;
    const findings: Finding[] = [];
    if (twice.has(name))
      findings.push({ where, problem: 'the name stands more than once.', fix: `give each ${kind} a name of its own.` });
    if (!pattern.test(name)) findings.push({ where, problem: 'the name is not allowed.', fix });
    return findings;
  });
}

/** Lists of what a step names, by the member that has the name; SageMaker refuses one that stands twice. */
const NAMED_LISTS: Readonly<Record<string, string>> = {
  InputDataConfig: 'ChannelName',
  ProcessingInputs: 'InputName',
  Outputs: 'OutputName',
  ProductionVariants: 'VariantName',
  MetricDefinitions: 'Name',
  TrainingJobDefinitions: 'DefinitionName',
  PropertyFiles: 'PropertyFileName',
  OutputParameters: 'OutputName',
};

function checkNamedLists(step: StepDefinition, value: unknown, path: string, findings: Finding[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (typeof entry !== 'object' || entry === null || key === 'IfSteps' || key === 'ElseSteps') continue;
    const at = path === '' ? key : `${path}.${key}`;
    const named = NAMED_LISTS[key];
    if (named !== undefined && Array.isArray(entry)) {
      const names = entry.map((item) => fields(item)[named]).filter((name) => typeof name === 'string');
      for (const name of new Set(names.filter((each, index) => names.indexOf(each) !== index)))
        findings.push(inStep(step, `its ${at} has ${name} more than once.`, `give each a ${named} of its own.`));
    }
    checkNamedLists(step, entry, at, findings);
  }
}

function checkParameter({ Name, Type, DefaultValue, EnumValues }: ParameterDefinition): Finding[] {
  const where = `parameter ${Name}`;
  const findings: Finding[] = [];
  if (Type !== undefined && !(Type in TYPES))
    findings.push({ where, problem: `its type is ${Type}.`, fix: `choose among: ${Object.keys(TYPES).join(', ')}.` });
  if (DefaultValue === undefined || DefaultValue === null) return findings;
  if (TYPES[Type ?? '']?.(DefaultValue) === false)
    findings.push({
      where,
      problem: `its default is ${typeof DefaultValue} ${DefaultValue}, and its type is ${Type}.`,
      fix: 'change the one or the other.',
    });
  if (EnumValues?.includes(DefaultValue) === false)
    findings.push({
      where,
      problem: `its default is ${DefaultValue}, which it does not allow.`,
      fix: `choose one of: ${EnumValues.join(', ')}.`,
    });
  return findings;
}

export function checkNames({ all, definition }: Context): Finding[] {
  const inLists: Finding[] = [];
  for (const { Arguments, PropertyFiles, OutputParameters, ...step } of all)
    checkNamedLists(step as StepDefinition, { ...Arguments, PropertyFiles, OutputParameters }, '', inLists);
  const parameters = (definition.Parameters ?? []) as ParameterDefinition[];
  return [
    ...checkNamesOf(
      'step',
      all.map(({ Name }) => Name),
      STEP_NAME,
    ),
    ...checkNamesOf(
      'parameter',
      parameters.map(({ Name }) => Name),
      PARAMETER_NAME,
    ),
    ...parameters.flatMap(checkParameter),
    ...inLists,
  ];
}

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html */
const PIPELINE_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$/;

/** The name of a pipeline, which its definition does not have. */
export function checkPipelineName(name: string): Finding[] {
  if (isPlaceholder(name) || PIPELINE_NAME.test(name)) return [];
  const fix = 'use up to 256 letters, digits and -, a letter or digit first and last.';
  return [{ where: `pipeline ${name}`, problem: 'the name is not allowed.', fix }];
}
