// What the server needs of a model, whatever its task: it reads instances, runs batches of them, and writes the results.

/** What a request asks about: a file's bytes, or numbers. */
export type Instance =
  | { readonly kind: 'file'; readonly bytes: Buffer }
  /** Rows of pixels, as JSON had them. */
  | { readonly kind: 'pixels'; readonly pixels: unknown };

/** What /models says of a model. */
export interface ModelDescription {
  readonly name: string;
  readonly task: string;
  /** Names of the outputs, in their order. */
  readonly classes: readonly string[];
  readonly input: { readonly height: number; readonly width: number; readonly channels: number };
  /** Content types of a request's body. */
  readonly accepts: readonly string[];
  /** Content types of an answer; the first is given where the client does not choose. */
  readonly produces: readonly string[];
}

export interface ServedModel<Input, Output> {
  readonly description: ModelDescription;
  /** @throws Refusal where the instance is not what the model takes */
  read(instance: Instance): Promise<Input>;
  /** Runs once, so that no request waits for the graph to be prepared. */
  warm(): Promise<void>;
  /** The output of each input. */
  run(inputs: readonly Input[]): Promise<readonly Output[]>;
  /**
   * The body of an answer.
   *
   * @param type one of `produces`
   * @param single whether the request was one instance, and not a list of them
   */
  write(outputs: readonly Output[], type: string, single: boolean): Buffer;
  close(): void;
}
