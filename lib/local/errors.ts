// Errors as SageMaker's API reports them.

/** A refusal that a client sees: its type is what the AWS SDK names the exception. */
export class ServiceError extends Error {
  constructor(
    readonly type:
      | 'ValidationException'
      | 'ResourceNotFound'
      | 'ResourceInUse'
      | 'ConflictException'
      | 'UnknownOperationException',
    message: string,
    readonly status = 400,
  ) {
    super(message);
  }
}

export function notFound(what: string, name: string): ServiceError {
  return new ServiceError('ResourceNotFound', `there is no ${what} ${name}`);
}
