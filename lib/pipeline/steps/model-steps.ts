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

export type ModelArguments = WithoutName<CreateModelInput, 'ModelName'>;

export interface ModelStepOptions extends RequestStepOptions<ModelArguments>, Cached, Retried {}

export class ModelStep extends RequestStep<ModelArguments, DescribeModelOutput> {
  readonly type = 'Model';

  constructor(name: string, options: ModelStepOptions) {
    super(name, options);
  }
}

export type RegisterModelArguments = WithoutName<CreateModelPackageInput, 'ModelPackageName'>;

export interface RegisterModelStepOptions extends RequestStepOptions<RegisterModelArguments>, Cached, Retried {}

export class RegisterModelStep extends RequestStep<RegisterModelArguments, DescribeModelPackageOutput> {
  readonly type = 'RegisterModel';

  constructor(name: string, options: RegisterModelStepOptions) {
    super(name, options);
  }
}

export type TransformArguments = WithoutName<CreateTransformJobRequest, 'TransformJobName'>;

/** Batch transform. */
export class TransformStep extends RequestStep<TransformArguments, DescribeTransformJobResponse> {
  readonly type = 'Transform';
}
