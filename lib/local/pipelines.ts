// Pipelines: definitions that are kept, and checked before they are.
import { join } from 'node:path';
import type { CreatePipelineRequest, DescribePipelineResponse } from '@aws-sdk/client-sagemaker';
import { check, errorsOf, type StepDefinition } from '../pipeline';
import { notFound, ServiceError } from './errors';
import { arn, nameOf, requireName } from './names';
import { Collection } from './store';

/** Characters; SageMaker gives pipelines more of them than the rest. */
const LONGEST_NAME = 256;

/** A definition as it is run. */
export interface Definition {
  readonly Parameters?: readonly {
    readonly Name: string;
    readonly Type: string;
    readonly DefaultValue?: unknown;
    readonly EnumValues?: readonly unknown[];
  }[];
  readonly Steps: readonly StepDefinition[];
}

export class Pipelines {
  readonly pipelines: Collection<DescribePipelineResponse>;

  constructor(root: string) {
    this.pipelines = new Collection(join(root, 'pipelines'));
  }

  create(request: CreatePipelineRequest): string {
    const { PipelineDefinition: definition, RoleArn } = request;
    const name = requireName('pipeline', request.PipelineName, LONGEST_NAME);
    if (!definition || !RoleArn)
      throw new ServiceError('ValidationException', 'a pipeline needs a definition and a role');
    if (this.pipelines.get(name))
      throw new ServiceError('ValidationException', `a pipeline with the name ${name} already exists`);
    const pipelineArn = arn('pipeline', name);
    const now = new Date();
    this.put(
      name,
      { PipelineArn: pipelineArn, PipelineName: name, CreationTime: now, PipelineStatus: 'Active' },
      request,
      definition,
    );
    return pipelineArn;
  }

  update(name: string, request: Partial<CreatePipelineRequest>): string {
    const pipeline = this.describe(name);
    this.put(nameOf(name), pipeline, request, request.PipelineDefinition ?? (pipeline.PipelineDefinition as string));
    return pipeline.PipelineArn as string;
  }

  private put(
    name: string,
    pipeline: DescribePipelineResponse,
    request: Partial<CreatePipelineRequest>,
    definition: string,
  ): void {
    const findings = errorsOf(check(parseDefinition(definition))).map(
      ({ where, problem, fix }) => `${where}: ${problem} Fix: ${fix}`,
    );
    if (findings.length > 0) throw new ServiceError('ValidationException', findings.join('\n'));
    this.pipelines.put(name, {
      ...pipeline,
      ...(request.RoleArn !== undefined && { RoleArn: request.RoleArn }),
      PipelineDisplayName: request.PipelineDisplayName ?? pipeline.PipelineDisplayName ?? name,
      ...(request.PipelineDescription !== undefined && { PipelineDescription: request.PipelineDescription }),
      ...(request.ParallelismConfiguration && { ParallelismConfiguration: request.ParallelismConfiguration }),
      PipelineDefinition: definition,
      LastModifiedTime: new Date(),
    });
  }

  describe(nameOrArn: string): DescribePipelineResponse {
    const pipeline = this.pipelines.get(nameOf(nameOrArn));
    if (pipeline === undefined) throw notFound('pipeline', nameOrArn);
    return pipeline;
  }
}

function parseDefinition(text: string): Definition {
  let definition: Partial<Definition> | null;
  try {
    definition = JSON.parse(text);
  } catch (error) {
    throw new ServiceError('ValidationException', `the definition is not JSON: ${(error as Error).message}`);
  }
  if (!Array.isArray(definition?.Steps))
    throw new ServiceError('ValidationException', 'the definition has no list of Steps');
  return definition as Definition;
}

/** The value of each parameter, in its own type. */
export function chooseParameters(
  { Parameters = [] }: Definition,
  given: Readonly<Record<string, string | undefined>>,
): Record<string, unknown> {
  const unknown = Object.keys(given).filter((name) => !Parameters.some(({ Name }) => Name === name));
  if (unknown.length > 0) {
    const known = Parameters.map(({ Name }) => Name).join(', ') || 'none';
    throw new ServiceError(
      'ValidationException',
      `the pipeline has no parameter ${unknown.join(' and no parameter ')}; it has: ${known}`,
    );
  }
  return Object.fromEntries(
    Parameters.map(({ Name, Type, DefaultValue, EnumValues }) => {
      const text = given[Name];
      if (text === undefined && DefaultValue === undefined)
        throw new ServiceError('ValidationException', `the parameter ${Name} has no default and must be given`);
      const value = text === undefined ? DefaultValue : fromText(Name, Type, text);
      if (EnumValues && !EnumValues.includes(value)) {
        throw new ServiceError(
          'ValidationException',
          `the parameter ${Name} is ${value}; allowed are ${EnumValues.join(', ')}`,
        );
      }
      return [Name, value];
    }),
  );
}

function fromText(name: string, type: string, text: string): unknown {
  if (type === 'String') return text;
  const value = type === 'Boolean' ? { true: true, false: false }[text.toLowerCase()] : Number(text);
  const right =
    type === 'Integer' ? Number.isInteger(value) : type === 'Float' ? Number.isFinite(value) : value !== undefined;
  if (!right) throw new ServiceError('ValidationException', `the parameter ${name} is '${text}', which is no ${type}`);
  return value;
}
