// The error for what a user can mend: a wrong setting, a bad file, a missing tool. Anything else that is thrown is our own defect.

/** A problem that the user can mend; its message says what was wrong, where, and how to mend it. */
export class UserError extends Error {
  override readonly name = 'UserError';

  constructor(
    /** What was wrong and where, with what is allowed. */
    readonly problem: string,
    /** What to do about it. */
    readonly fix: string,
  ) {
    super(`${problem}\n  Fix: ${fix}`);
  }
}
