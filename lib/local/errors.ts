// Errors as SageMaker's API reports them.

/** A refusal that a client sees: its type is what the AWS SDK names the exception. */
export class ServiceError extends Error {
  constructor(
    readonly type:
      | 'ValidationException'
      | 'ResourceNotFound'
      | 'ResourceInUse'
      | 'ConflictException'
      | 'ModelError'
      | 'SerializationException'
      | 'ValidationError'
      | 'UnknownOperationException',
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

export function invalid(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}

/** Only for what SageMaker's API has this error for: pipelines, executions and jobs. */
export function notFound(what: string, name: string): ServiceError {
  return new ServiceError('ResourceNotFound', `there is no ${what} ${name}`);
}
