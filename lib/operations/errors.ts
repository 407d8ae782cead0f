// What a person who operates a pipeline can mend.

export class OperationError extends Error {
  /** The command line prints the message of such an error, without a stack. */
  override readonly name = 'UserError';

  constructor(problem: string, fix: string) {
    super(`${problem}\n  Fix: ${fix}`);
  }
}
