// Steps on a trained model: make it, register it, run a data set through it.
import type {
  CreateModelInput,
  CreateModelPackageInput,
  CreateTransformJobRequest,
  DescribeModelOutput,
  DescribeModelPackageOutput,
  DescribeTransformJobResponse,
} from '@aws-sdk/client-sagemaker';
import { type Cached, RequestStep, type RequestStepOptions, type Retried, type WithoutName } from './step';

/** The request for a model, without its name. */
export type ModelArguments = WithoutName<CreateModelInput, 'ModelName'>;

/** The request, and when it is repeated. */
export interface ModelStepOptions extends RequestStepOptions<ModelArguments>, Cached, Retried {}

/** Makes a model, of one container or several. */
export class ModelStep extends RequestStep<ModelArguments, DescribeModelOutput> {
  readonly type = 'Model';

  constructor(name: string, options: ModelStepOptions) {
    super(name, options);
  }
}

/** The request for a model package, without its name. */
export type RegisterModelArguments = WithoutName<CreateModelPackageInput, 'ModelPackageName'>;

/** The request, and when it is repeated. */
export interface RegisterModelStepOptions extends RequestStepOptions<RegisterModelArguments>, Cached, Retried {}

/** Registers a version of a model in a model package group. */
export class RegisterModelStep extends RequestStep<RegisterModelArguments, DescribeModelPackageOutput> {
  readonly type = 'RegisterModel';

  constructor(name: string, options: RegisterModelStepOptions) {
    super(name, options);
  }
}

/** The request for a batch transform, without its name. */
export type TransformArguments = WithoutName<CreateTransformJobRequest, 'TransformJobName'>;

/** Batch transform. */
export class TransformStep extends RequestStep<TransformArguments, DescribeTransformJobResponse> {
  readonly type = 'Transform';
}
