// What is wrong with a pipeline, found before it costs money.

/** An error refuses a pipeline; a warning is told, and the pipeline goes on. */
export type Severity = 'error' | 'warning';

/** A thing that is wrong. */
export interface Finding {
  /** The step, parameter or other part that it is about. */
  readonly where: string;
  /** What was wrong, and what is allowed. */
  readonly problem: string;
  /** What to do about it. */
  readonly fix: string;
  /** @default error */
  readonly severity?: Severity;
}

/** Those that refuse a pipeline. */
export function errorsOf(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ severity = 'error' }) => severity === 'error');
}

/** Those that are told, and refuse nothing. */
export function warningsOf(findings: readonly Finding[]): Finding[] {
  return findings.filter(({ severity }) => severity === 'warning');
}

/** Refuses a pipeline, with all that is wrong with it. */
export class PipelineError extends Error {
  /** The command line prints the message of such an error, without a stack. */
  override readonly name = 'UserError';

  constructor(
    pipeline: string,
    /** All that is wrong. */
    readonly findings: readonly Finding[],
  ) {
    const lines = findings.map(({ where, problem, fix }) => `  - ${where}: ${problem}\n    Fix: ${fix}`);
    super(
      `pipeline ${pipeline} is refused, for ${findings.length === 1 ? 'one reason' : `${findings.length} reasons`}:\n${lines.join('\n')}`,
    );
    // Node.js prints what is enumerable of an error that nobody catches: the message has it already
    Object.defineProperty(this, 'findings', { enumerable: false });
    Object.defineProperty(this, 'name', { enumerable: false });
  }
}
