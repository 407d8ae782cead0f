// Reads a definition, ours or another's, and finds what SageMaker would refuse or what would fail while it runs.
import type { Finding } from './errors';

/** A step as it stands in a definition. */
export interface StepDefinition {
  readonly Name: string;
  readonly Type: string;
  readonly Arguments?: Readonly<Record<string, unknown>>;
  readonly DependsOn?: readonly string[];
  readonly PropertyFiles?: readonly {
    readonly PropertyFileName: string;
    readonly OutputName: string;
    readonly FilePath: string;
  }[];
}

interface ParameterDefinition {
  readonly Name: string;
  readonly DefaultValue?: unknown;
  readonly EnumValues?: readonly unknown[];
}

interface Definition {
  readonly Parameters?: readonly unknown[];
  readonly Steps?: readonly unknown[];
}

/** What SageMaker allows as the name of a step: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_PipelineExecutionStep.html */
const STEP_NAME = /^[A-Za-z0-9][-_A-Za-z0-9]{0,63}$/;

/** The steps inside a step: the branches of a condition. */
export function branchesOf(step: StepDefinition): readonly StepDefinition[] {
  if (step.Type !== 'Condition') return [];
  const { IfSteps = [], ElseSteps = [] } = (step.Arguments ?? {}) as {
    IfSteps?: StepDefinition[];
    ElseSteps?: StepDefinition[];
  };
  return [...IfSteps, ...ElseSteps];
}

/** All steps of a definition, those in branches too. */
export function allSteps(steps: readonly StepDefinition[]): StepDefinition[] {
  return steps.flatMap((step) => [step, ...allSteps(branchesOf(step))]);
}

/** The paths of all `{"Get": path}` in a value, without those inside the branches of a condition. */
export function referencesIn(value: unknown): string[] {
  if (Array.isArray(value)) return value.flatMap(referencesIn);
  if (typeof value !== 'object' || value === null) return [];
  if ('Get' in value && typeof value.Get === 'string') return [value.Get];
  return Object.entries(value).flatMap(([key, entry]) =>
    key === 'IfSteps' || key === 'ElseSteps' ? [] : referencesIn(entry),
  );
}

/** The name of the step that a path refers to. */
export function stepIn(path: string): string | undefined {
  return /^Steps\.([^.[]+)/.exec(path)?.[1];
}

/** Names of the steps that must have run before a step: those it refers to and those it names. */
export function dependenciesOf(step: StepDefinition): string[] {
  const referred = referencesIn(step.Arguments).flatMap((path) => stepIn(path) ?? []);
  return [...new Set([...referred, ...(step.DependsOn ?? [])])];
}

function checkNames(kind: string, names: readonly string[]): Finding[] {
  const findings: Finding[] = [];
  for (const name of new Set(names)) {
    const where = `${kind} ${name}`;
    if (names.filter((other) => other === name).length > 1) {
      findings.push({ where, problem: 'the name stands more than once.', fix: `give each ${kind} a name of its own.` });
    }
    if (!STEP_NAME.test(name)) {
      findings.push({
        where,
        problem: 'the name is not allowed.',
        fix: 'use up to 64 letters, digits, - and _, a letter or digit first.',
      });
    }
  }
  return findings;
}

/** Defaults that are not among the values that their parameters allow. */
function checkDefaults(parameters: readonly ParameterDefinition[]): Finding[] {
  return parameters
    .filter(
      ({ DefaultValue, EnumValues }) => DefaultValue !== undefined && EnumValues?.includes(DefaultValue) === false,
    )
    .map(({ Name, DefaultValue, EnumValues = [] }) => ({
      where: `parameter ${Name}`,
      problem: `its default is ${DefaultValue}, which it does not allow.`,
      fix: `choose one of: ${EnumValues.join(', ')}.`,
    }));
}

function checkReference(
  where: string,
  path: string,
  steps: ReadonlyMap<string, StepDefinition>,
  parameters: readonly string[],
): Finding[] {
  const [root, name] = path.split('.');
  if (root === 'Parameters' && !parameters.includes(name as string)) {
    return [
      {
        where,
        problem: `it refers to the parameter ${name}, which the pipeline does not have.`,
        fix: `add it to the parameters (there are: ${parameters.join(', ') || 'none'}).`,
      },
    ];
  }
  if (root !== 'Steps') return [];
  const step = steps.get(stepIn(path) as string);
  if (step === undefined) {
    return [
      {
        where,
        problem: `it refers to the step ${stepIn(path)}, which the pipeline does not have.`,
        fix: 'add that step to the steps of the pipeline.',
      },
    ];
  }
  const file = /\.PropertyFiles\.([^.[]+)/.exec(path)?.[1];
  const files = (step.PropertyFiles ?? []).map(({ PropertyFileName }) => PropertyFileName);
  if (file !== undefined && !files.includes(file)) {
    return [
      {
        where,
        problem: `it refers to the property file ${file}, which step ${step.Name} does not have.`,
        fix: `its property files are: ${files.join(', ') || 'none'}.`,
      },
    ];
  }
  const output = /\.ProcessingOutputConfig\.Outputs\['([^']+)'\]/.exec(path)?.[1];
  const outputs = outputNames(step);
  if (output !== undefined && !outputs.includes(output)) {
    return [
      {
        where,
        problem: `it refers to the output ${output}, which step ${step.Name} does not produce.`,
        fix: `its outputs are: ${outputs.join(', ') || 'none'}.`,
      },
    ];
  }
  return [];
}

function outputNames(step: StepDefinition): string[] {
  const config = step.Arguments?.ProcessingOutputConfig as { Outputs?: { OutputName: string }[] } | undefined;
  return (config?.Outputs ?? []).map(({ OutputName }) => OutputName);
}

function checkPropertyFiles(step: StepDefinition): Finding[] {
  const outputs = outputNames(step);
  return (step.PropertyFiles ?? [])
    .filter(({ OutputName }) => !outputs.includes(OutputName))
    .map(({ PropertyFileName, OutputName }) => ({
      where: `step ${step.Name}`,
      problem: `its property file ${PropertyFileName} is in the output ${OutputName}, which it does not produce.`,
      fix: `its outputs are: ${outputs.join(', ') || 'none'}.`,
    }));
}

/** A step that, in the end, waits for itself; the branches of a condition wait for the condition. */
function checkCycles(steps: ReadonlyMap<string, StepDefinition>): Finding[] {
  const state = new Map<string, 'open' | 'done'>();
  const conditionOf = new Map(
    [...steps.values()].flatMap((step) => branchesOf(step).map((branch) => [branch.Name, step.Name])),
  );
  const findings: Finding[] = [];
  const visit = (name: string, path: readonly string[]) => {
    const step = steps.get(name);
    if (step === undefined || state.get(name) === 'done') return;
    if (state.get(name) === 'open') {
      const cycle = [...path.slice(path.indexOf(name)), name].join(' -> ');
      findings.push({
        where: `step ${name}`,
        problem: `it waits for itself: ${cycle}.`,
        fix: 'remove one of these dependencies or references.',
      });
      return;
    }
    state.set(name, 'open');
    const condition = conditionOf.get(name);
    for (const dependency of [...dependenciesOf(step), ...(condition ? [condition] : [])])
      visit(dependency, [...path, name]);
    state.set(name, 'done');
  };
  for (const name of steps.keys()) visit(name, []);
  return findings;
}

/** What is wrong with a definition, all at once. */
export function check(definition: Definition): Finding[] {
  const steps = allSteps((definition.Steps ?? []) as StepDefinition[]);
  const byName = new Map(steps.map((step) => [step.Name, step]));
  const defined = (definition.Parameters ?? []) as ParameterDefinition[];
  const parameters = defined.map(({ Name }) => Name);
  return [
    ...checkNames(
      'step',
      steps.map(({ Name }) => Name),
    ),
    ...checkNames('parameter', parameters),
    ...checkDefaults(defined),
    ...steps.flatMap((step) =>
      [...new Set(referencesIn(step.Arguments))].flatMap((path) =>
        checkReference(`step ${step.Name}`, path, byName, parameters),
      ),
    ),
    ...steps.flatMap(checkPropertyFiles),
    ...steps.flatMap((step) =>
      (step.DependsOn ?? [])
        .filter((name) => !byName.has(name))
        .map((name) => ({
          where: `step ${step.Name}`,
          problem: `it depends on the step ${name}, which the pipeline does not have.`,
          fix: 'add that step, or remove the dependency.',
        })),
    ),
    ...checkCycles(byName),
  ];
}
