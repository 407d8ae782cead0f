// What the trainer and the process that speaks to W&B say to each other.

/** A line of a run's history. */
export interface Row {
  /** When it was told, milliseconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Session {
  /** Address of W&B's API, without a slash at the end. */
  readonly server: string;
  readonly project: string;
  /** Empty: the key's own. */
  readonly entity: string;
  readonly id: string;
  readonly name: string;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** When the run began, milliseconds since 1970. */
  readonly began: number;
  /** Rows that the server has already. */
  readonly sent: number;
}

export type ToProcess =
  | { readonly kind: 'begin'; readonly session: Session }
  | { readonly kind: 'row'; readonly row: Row }
  | { readonly kind: 'finish'; readonly exitCode: number };

export type FromProcess =
  | { readonly kind: 'run'; readonly entity: string }
  /** How many rows the server has by now. */
  | { readonly kind: 'sent'; readonly rows: number }
  | { readonly kind: 'trouble'; readonly cause: string }
  /** All that was told is on the server, the end of the run too. */
  | { readonly kind: 'finished' };
