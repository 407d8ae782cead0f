// References: whether what they lead to is there, and what kind of value it is.
import { type StepDefinition, stepIn } from '../definition';
import type { Finding } from '../errors';
import type { Leaf, LeafKind, Shape } from '../steps/schema';
import { stepType } from '../steps/step-types';
import { type Context, fields, inStep, list, suggest } from './context';

/** What a reference leads to, or what is wrong with it; neither where it cannot be known. */
export interface Referred {
  readonly shape?: Shape;
  readonly problem?: string;
  readonly fix?: string;
}

const PARAMETERS: Readonly<Record<string, LeafKind>> = {
  String: 'text',
  Integer: 'number',
  Float: 'number',
  Boolean: 'boolean',
};

/** https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-variables.html */
const VARIABLES: Readonly<Record<string, readonly string[]>> = {
  Execution: [
    'StartDateTime',
    'CurrentDateTime',
    'PipelineName',
    'PipelineArn',
    'PipelineExecutionId',
    'PipelineExecutionArn',
    'TrainingJobName',
    'ProcessingJobName',
  ],
  PipelineExperimentConfig: ['ExperimentName', 'TrialName'],
};

const leaf = (kind: LeafKind = 'any'): Leaf => ({ kind });

/** What a path leads to. */
export function resolveReference(path: string, context: Context): Referred {
  const before = context.referred.get(path);
  if (before) return before;
  const referred = resolveAnew(path, context);
  context.referred.set(path, referred);
  return referred;
}

function resolveAnew(path: string, context: Context): Referred {
  const [root = '', name = ''] = path.split('.');
  if (root === 'Parameters') {
    const parameter = context.parameters.get(name);
    if (parameter) return { shape: leaf(PARAMETERS[parameter.Type ?? '']) };
    return {
      problem: `it refers to the parameter ${name}, which the pipeline does not have.`,
      fix: `add it to the parameters (there are: ${[...context.parameters.keys()].join(', ') || 'none'}).`,
    };
  }
  if (root === 'Steps') return resolveInStep(path, context);
  const variables = VARIABLES[root];
  if (variables?.includes(name)) return { shape: leaf(name.endsWith('DateTime') ? 'any' : 'text') };
  return {
    problem: `it refers to ${path}, which there is not.`,
    fix: variables
      ? `choose among: ${variables.map((variable) => `${root}.${variable}`).join(', ')}.`
      : 'references begin with Parameters, Steps, Execution or PipelineExperimentConfig.',
  };
}

function resolveInStep(path: string, context: Context): Referred {
  const step = context.steps.get(stepIn(path) as string);
  if (step === undefined) {
    return {
      problem: `it refers to the step ${stepIn(path)}, which the pipeline does not have.`,
      fix: 'add that step to the steps of the pipeline.',
    };
  }
  const file = /\.PropertyFiles\.([^.[]+)/.exec(path)?.[1];
  if (file !== undefined) {
    const files = (step.PropertyFiles ?? []).map(({ PropertyFileName }) => PropertyFileName);
    if (files.includes(file)) return {};
    return {
      problem: `it refers to the property file ${file}, which step ${step.Name} does not have.`,
      fix: `its property files are: ${files.join(', ') || 'none'}.`,
    };
  }
  const type = stepType(step.Type);
  if (type === undefined) return {};
  if (type.response === undefined) {
    return {
      problem: `it refers to ${path}; a ${step.Type} step has nothing that can be referred to.`,
      fix: 'use dependsOn where the order is what matters.',
    };
  }
  const parts = path.slice(`Steps.${step.Name}`.length).matchAll(/\.([^.[]+)|\[(\d+)\]|\['([^']*)'\]/g);
  return walk(step, path, [...parts], type.response);
}

/** Follows a path through the shape of what a step answers. */
function walk(step: StepDefinition, path: string, parts: readonly RegExpMatchArray[], from: Shape): Referred {
  let shape = from;
  let list: string | undefined;
  for (const [, member, index, key] of parts) {
    if (shape.kind === 'structure' && member !== undefined) {
      const next = shape.member(member);
      if (next === undefined) {
        return {
          problem: `it refers to ${path}; a ${shape === from ? `${step.Type} step` : shape.name} has no ${member}.`,
          fix: `choose among: ${suggest(member, shape.members)}.`,
        };
      }
      shape = next;
      list = member;
    } else if (shape.kind === 'list' && member === undefined) {
      const named = key === undefined ? undefined : resolveNamed(step, list as string, key);
      if (named) return named;
      shape = shape.item;
    } else if (shape.kind === 'map' && (key ?? index) !== undefined) {
      const named = resolveNamed(step, list as string, (key ?? index) as string);
      if (named) return named;
      shape = shape.value;
    } else if (shape.kind === 'any') {
      return {};
    } else {
      const brackets = shape.kind === 'list' || shape.kind === 'map';
      return {
        problem: `it refers to ${path}, where ${list ?? step.Name} is ${describe(shape)}.`,
        fix: brackets ? "go on with [0] in a list, ['name'] in a map." : 'leave out what follows it.',
      };
    }
  }
  return { shape };
}

export function describe(shape: Shape): string {
  return (
    { structure: 'a structure', list: 'a list', map: 'a map', text: 'a text', any: 'a value' }[shape.kind as string] ??
    `a ${shape.kind}`
  );
}

/** Entries that are found by a name which the step itself gives them. */
function resolveNamed(step: StepDefinition, where: string, name: string): Referred | undefined {
  if (where === 'Outputs' && step.Type === 'Processing') {
    const outputs = outputNames(step);
    if (outputs.includes(name)) return undefined;
    return {
      problem: `it refers to the output ${name}, which step ${step.Name} does not produce.`,
      fix: `its outputs are: ${outputs.join(', ') || 'none'}.`,
    };
  }
  if (where === 'FinalMetricDataList' && step.Type === 'Training') {
    const metrics = metricNames(fields(step.Arguments?.AlgorithmSpecification));
    if (metrics === undefined || metrics.includes(name)) return undefined;
    return {
      problem: `it refers to the metric ${name}, which step ${step.Name} does not emit.`,
      fix: `add it to its MetricDefinitions (there are: ${metrics.join(', ') || 'none'}).`,
    };
  }
  if (where === 'OutputParameters') {
    const outputs = step.OutputParameters ?? [];
    const output = outputs.find(({ OutputName }) => OutputName === name);
    if (output) return { shape: leaf(PARAMETERS[output.OutputType]) };
    return {
      problem: `it refers to the output ${name}, which step ${step.Name} does not declare.`,
      fix: `its outputs are: ${outputs.map(({ OutputName }) => OutputName).join(', ') || 'none'}.`,
    };
  }
  return undefined;
}

/** Names of the outputs of a processing step. */
export function outputNames(step: StepDefinition): string[] {
  return list(fields(step.Arguments?.ProcessingOutputConfig).Outputs).map((output) =>
    String(fields(output).OutputName),
  );
}

/** What a job emits; undefined where that cannot be known, as of AWS's own algorithms, which define their metrics themselves. */
export function metricNames(specification: Readonly<Record<string, unknown>>): string[] | undefined {
  const { MetricDefinitions, AlgorithmName, TrainingImage } = specification;
  const names = list(MetricDefinitions).map((definition) => fields(definition).Name);
  if (names.some((name) => typeof name !== 'string')) return undefined;
  const isOwn = typeof TrainingImage === 'string' && AlgorithmName === undefined;
  if (names.length === 0 && (!isOwn || AWS_ALGORITHM.test(TrainingImage))) return undefined;
  return names as string[];
}

/** Images of AWS's own algorithms: https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html */
const AWS_ALGORITHM =
  /^\d{12}\.dkr\.ecr\.[^/]+\/(sagemaker-xgboost|xgboost|linear-learner|kmeans|pca|factorization-machines|image-classification|object-detection|semantic-segmentation|blazingtext|seq2seq|forecasting-deepar|object2vec|ntm|lda|knn|randomcutforest|ipinsights|jumpstart-)/;

/** References to what is not there; several to one step that is not there are one finding. */
export function checkReferences(step: StepDefinition, context: Context): Finding[] {
  const found = new Map<string, Finding>();
  for (const path of context.references.get(step) ?? []) {
    const { problem, fix } = resolveReference(path, context);
    if (problem !== undefined) found.set(problem, inStep(step, problem, fix as string));
  }
  return [...found.values()];
}

export function checkPropertyFiles(step: StepDefinition): Finding[] {
  const outputs = outputNames(step);
  return (step.PropertyFiles ?? [])
    .filter(({ OutputName }) => !outputs.includes(OutputName))
    .map(({ PropertyFileName, OutputName }) =>
      inStep(
        step,
        `its property file ${PropertyFileName} is in the output ${OutputName}, which it does not produce.`,
        `its outputs are: ${outputs.join(', ') || 'none'}.`,
      ),
    );
}

export function checkDependencies(step: StepDefinition, { steps }: Context): Finding[] {
  return (step.DependsOn ?? [])
    .filter((name) => !steps.has(name))
    .map((name) =>
      inStep(
        step,
        `it depends on the step ${name}, which the pipeline does not have.`,
        'add that step, or remove the dependency.',
      ),
    );
}
