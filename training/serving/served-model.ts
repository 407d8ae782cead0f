// What the server needs of a model, whatever its task: it reads instances, runs batches of them, and writes the results.

/** What a request asks about: a file's bytes, or numbers. */
export type Instance =
  | { readonly kind: 'file'; readonly bytes: Buffer }
  /** Rows of pixels, as JSON had them. */
  | { readonly kind: 'pixels'; readonly pixels: unknown };

/** What a request asks for. */
export interface Asked {
  /** Content type of the answer: one of `produces`. */
  readonly type: string;
  /** Whether the answer says where the model has looked. */
  readonly explain: boolean;
  /** Aborted once nobody waits for the answer any more; what takes long looks at it, and throws its reason. */
  readonly signal: AbortSignal;
}

/** What /models says of a model. */
export interface ModelDescription {
  readonly name: string;
  readonly task: string;
  /** Names of the outputs, in their order. */
  readonly classes: readonly string[];
  /** What the network sees: an image, or windows of a volume with a channel for each modality. */
  readonly input:
    | { readonly height: number; readonly width: number; readonly channels: number }
    | { readonly window: readonly number[]; readonly channels: number; readonly modalities: readonly string[] };
  /** What stands for each class in masks. @default there are no masks */
  readonly labels?: readonly number[];
  /** How it can say where it has looked. @default it cannot */
  readonly explanation?: string;
  /** Content types of a request's body. */
  readonly accepts: readonly string[];
  /** Content types of an answer; the first is given where the client does not choose. */
  readonly produces: readonly string[];
}

export interface ServedModel<Input, Output> {
  readonly description: ModelDescription;
  /** Most inputs that `run` takes. @default as many as the server was told */
  readonly maxBatch?: number;
  /** @throws Refusal where the instance is not what the model takes, or what is asked for cannot be given */
  read(instance: Instance, asked: Asked): Promise<Input>;
  /** Runs once, so that no request waits for the graph to be prepared. */
  warm(): Promise<void>;
  /** The output of each input. @throws Refusal, of a batch of one, where the input shows not to be what the model takes */
  run(inputs: readonly Input[]): Promise<readonly Output[]>;
  /**
   * The body of an answer.
   *
   * @param type one of `produces`
   * @param single whether the request was one instance, and not a list of them
   * @throws Refusal where the type has no room for so many
   */
  write(outputs: readonly Output[], type: string, single: boolean): Buffer;
  close(): void;
}
