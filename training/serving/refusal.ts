// What a client did wrong, with the HTTP status that says so.

export class Refusal extends Error {
  constructor(
    message: string,
    readonly statusCode = 400,
  ) {
    super(message);
  }
}
