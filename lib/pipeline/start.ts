// The request that starts an execution, checked against the pipeline that it is for.
import type { StartPipelineExecutionRequest } from '@aws-sdk/client-sagemaker';
import type { ParameterDefinition } from './definition';
import { type Finding, PipelineError } from './errors';
import type { Step } from './steps/step';

/** How an execution is started. */
export interface StartOptions {
  /** Values of the parameters, by name. @default those that the parameters have */
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /**
   * Which version of the pipeline runs; each change of a pipeline makes one, numbered from 1, as ListPipelineVersions tells.
   *
   * @default the latest
   */
  readonly version?: number;
  /** What people read of the execution; up to 82 letters, digits and hyphens. @default SageMaker's own */
  readonly displayName?: string;
  /** @default none */
  readonly description?: string;
  /** Steps that run, with what an earlier execution made for the rest. @default all */
  readonly steps?: readonly Step[];
  /** With steps: the earlier execution. @default none: the steps may need nothing of others */
  readonly sourceExecutionArn?: string;
  /** How many steps may run at once. @default the pipeline's */
  readonly maxParallelSteps?: number;
}

/** The request, but for the token that the AWS SDK gives it. */
export type StartRequest = Omit<StartPipelineExecutionRequest, 'ClientRequestToken'>;

const FITS: Readonly<Record<string, (value: unknown) => boolean>> = {
  String: (value) => typeof value === 'string',
  Integer: (value) => Number.isInteger(value),
  Float: (value) => typeof value === 'number' && Number.isFinite(value),
  Boolean: (value) => typeof value === 'boolean',
};

/** Characters: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Parameter.html */
const LONGEST_VALUE = 1024;
/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html */
const DISPLAY_NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,81}$/;
/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_SelectiveExecutionConfig.html */
const MOST_SELECTED = 50;

function checkValue(parameter: ParameterDefinition, value: unknown): Finding[] {
  const { Name, Type = 'String', EnumValues, DefaultValue } = parameter;
  const where = `parameter ${Name}`;
  if (value === undefined) {
    if (DefaultValue !== undefined) return [];
    return [{ where, problem: 'it has no default, and no value was given.', fix: 'give it one.' }];
  }
  if (FITS[Type]?.(value) === false)
    return [{ where, problem: `its value is ${typeof value} ${value}.`, fix: `give it a value of type ${Type}.` }];
  if (String(value).length > LONGEST_VALUE) {
    const problem = `its value has ${String(value).length} characters.`;
    return [{ where, problem, fix: `give up to ${LONGEST_VALUE}, or the S3 URI of a file that has it.` }];
  }
  if (EnumValues?.includes(value) === false)
    return [{ where, problem: `its value is ${value}.`, fix: `choose one of: ${EnumValues.join(', ')}.` }];
  return [];
}

function checkVersion(version: number): Finding[] {
  if (Number.isInteger(version) && version >= 1) return [];
  return [{ where: 'the version', problem: `it is ${version}.`, fix: 'give a whole number from 1.' }];
}

function checkExecution({ displayName, steps = [], maxParallelSteps }: StartOptions): Finding[] {
  const findings: Finding[] = [];
  const refuse = (where: string, problem: string, fix: string) => findings.push({ where, problem, fix });
  if (displayName !== undefined && !DISPLAY_NAME.test(displayName))
    refuse('the display name', `it is '${displayName}'.`, 'use up to 82 letters, digits and -, no - first or last.');
  if (steps.length > MOST_SELECTED)
    refuse(
      'the steps',
      `${steps.length} are selected, and ${MOST_SELECTED} may be.`,
      'select fewer, or leave steps out.',
    );
  if (maxParallelSteps !== undefined && !(Number.isInteger(maxParallelSteps) && maxParallelSteps >= 1))
    refuse('maxParallelSteps', `it is ${maxParallelSteps}.`, 'give a whole number from 1.');
  return findings;
}

function checkParameters(
  parameters: readonly ParameterDefinition[],
  { parameters: given = {}, version }: StartOptions,
): Finding[] {
  // a version of its own may have other parameters than those that stand here
  if (version !== undefined) return checkVersion(version);
  const known = parameters.map(({ Name }) => Name);
  const findings = parameters.flatMap((parameter) => checkValue(parameter, given[parameter.Name]));
  for (const name of Object.keys(given).filter((each) => !known.includes(each))) {
    const fix = `choose among: ${known.join(', ') || 'none'}.`;
    findings.push({
      where: `parameter ${name}`,
      problem: 'a value was given, and the pipeline does not have it.',
      fix,
    });
  }
  return findings;
}

/**
 * The request for the parameters of a pipeline.
 *
 * @throws PipelineError naming all that is wrong
 */
export function startRequest(
  name: string,
  parameters: readonly ParameterDefinition[],
  options: StartOptions,
): StartRequest {
  const findings = [...checkParameters(parameters, options), ...checkExecution(options)];
  if (findings.length > 0) throw new PipelineError(name, findings);
  const { parameters: given = {}, version, displayName, description, maxParallelSteps } = options;
  const values = Object.entries(given).map(([Name, value]) => ({ Name, Value: String(value) }));
  return {
    PipelineName: name,
    ...(values.length > 0 && { PipelineParameters: values }),
    ...(version !== undefined && { PipelineVersionId: version }),
    ...(displayName !== undefined && { PipelineExecutionDisplayName: displayName }),
    ...(description !== undefined && { PipelineExecutionDescription: description }),
    ...(maxParallelSteps !== undefined && {
      ParallelismConfiguration: { MaxParallelExecutionSteps: maxParallelSteps },
    }),
  };
}
