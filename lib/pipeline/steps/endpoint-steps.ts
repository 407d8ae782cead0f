// Steps that deploy: an endpoint's configuration, the endpoint, and a component on it. Their names are theirs to choose.
import type {
  CreateEndpointConfigInput,
  CreateEndpointInput,
  CreateInferenceComponentInput,
  DescribeEndpointConfigOutput,
  DescribeEndpointOutput,
  DescribeInferenceComponentOutput,
} from '@aws-sdk/client-sagemaker';
import type { Resolvable } from '../expression';
import { type Cached, RequestStep, type RequestStepOptions, type Retried } from './step';

/** The request for an endpoint's configuration. */
export type EndpointConfigArguments = Resolvable<CreateEndpointConfigInput>;

/** The request, and when it is repeated. */
export interface EndpointConfigStepOptions extends RequestStepOptions<EndpointConfigArguments>, Cached, Retried {}

/** Makes an endpoint's configuration. */
export class EndpointConfigStep extends RequestStep<EndpointConfigArguments, DescribeEndpointConfigOutput> {
  readonly type = 'EndpointConfig';

  constructor(name: string, options: EndpointConfigStepOptions) {
    super(name, options);
  }
}

/** The request for an endpoint. */
export type EndpointArguments = Resolvable<CreateEndpointInput>;

/** The request, and whether an earlier one stands for it. */
export interface EndpointStepOptions extends RequestStepOptions<EndpointArguments>, Cached {}

/** Makes an endpoint, or moves the one of that name to the configuration. */
export class EndpointStep extends RequestStep<EndpointArguments, DescribeEndpointOutput> {
  readonly type = 'Endpoint';

  constructor(name: string, options: EndpointStepOptions) {
    super(name, options);
  }
}

/** The request for an inference component. */
export type InferenceComponentArguments = Resolvable<CreateInferenceComponentInput>;

/** Puts a model on an endpoint that several share. */
export class InferenceComponentStep extends RequestStep<InferenceComponentArguments, DescribeInferenceComponentOutput> {
  readonly type = 'InferenceComponent';

  constructor(name: string, options: RequestStepOptions<InferenceComponentArguments>) {
    super(name, options);
  }
}
