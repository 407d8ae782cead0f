// How a step of each type runs on this machine: what is asked of which service, and what became of it.
import type { PipelineExecutionStep } from '@aws-sdk/client-sagemaker';
import type { StepDefinition } from '../../pipeline';
import type { ProcessingJobs } from '../jobs/processing-jobs';
import type { TrainingJobs } from '../jobs/training-jobs';
import type { Endpoints } from '../models/endpoints';
import type { Registry } from '../models/registry';
import { nameOf } from '../names';

type Metadata = PipelineExecutionStep['Metadata'];

/** How a step went. */
export interface Outcome {
  readonly metadata: Metadata;
  /** What Describe says of what the step made. */
  readonly properties?: unknown;
  readonly failure?: string;
  readonly stopped?: boolean;
  /** Steps that now may run. */
  readonly branch?: readonly StepDefinition[];
}

/** A step whose expressions have their values. */
export interface ResolvedStep {
  readonly arguments: Readonly<Record<string, unknown>>;
  /** For the job or the model that it makes. */
  readonly name: string;
  /** Makes known what was begun, before it has ended. */
  begun(metadata: Metadata): void;
}

export interface StepServices {
  readonly processing: ProcessingJobs;
  readonly training: TrainingJobs;
  readonly registry: Registry;
  readonly endpoints: Endpoints;
}

export type StepType = (step: ResolvedStep) => Outcome | Promise<Outcome>;

/** The types of steps that run here, but for conditions, which the execution itself decides. */
export function stepTypes({
  processing,
  training,
  registry,
  endpoints,
}: StepServices): Readonly<Record<string, StepType>> {
  return {
    Processing: async ({ arguments: request, name, begun }) => {
      const job = processing.create({ ...request, ProcessingJobName: name } as never);
      const metadata = { ProcessingJob: { Arn: job.arn } };
      begun(metadata);
      await job.finished;
      const properties = processing.describe(name);
      return { metadata, properties, ...endOf(properties.ProcessingJobStatus, properties.FailureReason) };
    },
    Training: async ({ arguments: request, name, begun }) => {
      const job = training.create({ ...request, TrainingJobName: name } as never);
      const metadata = { TrainingJob: { Arn: job.arn } };
      begun(metadata);
      await job.finished;
      const properties = training.describe(name);
      return { metadata, properties, ...endOf(properties.TrainingJobStatus, properties.FailureReason) };
    },
    RegisterModel: ({ arguments: request }) => {
      const packageArn = registry.createPackage(request as never);
      return { metadata: { RegisterModel: { Arn: packageArn } }, properties: registry.describePackage(packageArn) };
    },
    Model: ({ arguments: request, name }) => {
      const modelArn = registry.createModel({ ...request, ModelName: name } as never);
      return { metadata: { Model: { Arn: modelArn } }, properties: registry.describeModel(name) };
    },
    EndpointConfig: ({ arguments: request }) => {
      const configArn = endpoints.createConfig(request as never);
      const properties = endpoints.describeConfig(String(request.EndpointConfigName));
      return { metadata: { EndpointConfig: { Arn: configArn } }, properties };
    },
    Endpoint: async ({ arguments: request, begun }) => {
      const metadata = { Endpoint: { Arn: endpoints.deploy(request as never) } };
      begun(metadata);
      await endpoints.settled();
      const properties = endpoints.describe(String(request.EndpointName));
      const { EndpointStatus, EndpointConfigName, FailureReason } = properties;
      const moved = EndpointStatus === 'InService' && EndpointConfigName === request.EndpointConfigName;
      return { metadata, properties, ...(!moved && { failure: FailureReason ?? 'no reason' }) };
    },
    Fail: ({ arguments: request }) => {
      const message = String(request.ErrorMessage);
      return { metadata: { Fail: { ErrorMessage: message } }, failure: message };
    },
  };
}

/** Ends the job that a step waits for. */
export function stopJob({ processing, training }: StepServices, metadata: Metadata): void {
  if (metadata?.TrainingJob?.Arn) training.stop(nameOf(metadata.TrainingJob.Arn));
  if (metadata?.ProcessingJob?.Arn) processing.stop(nameOf(metadata.ProcessingJob.Arn));
}

/** What a job's end means for its step. */
function endOf(status: string | undefined, reason: string | undefined): Pick<Outcome, 'failure' | 'stopped'> {
  if (status === 'Completed') return {};
  if (status === 'Stopped' && reason === undefined) return { stopped: true, failure: 'its job was stopped' };
  return { failure: reason ?? 'no reason' };
}
