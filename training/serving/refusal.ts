// What a client did wrong, with the HTTP status that says so.

/** The status of what took longer than anybody waits. */
export const TIMED_OUT = 504;

export const TOO_LONG =
  'it takes longer than the server may for a request. Send a smaller volume or fewer instances, or give the server more time ' +
  '(SAGEMAKER_MODEL_SERVER_TIMEOUT, seconds) or a larger instance.';

export class Refusal extends Error {
  constructor(
    message: string,
    readonly statusCode = 400,
  ) {
    super(message);
  }
}
