// What a server that keeps trainings is told, whichever it is.

export type RunStatus = 'FINISHED' | 'FAILED' | 'KILLED';

export type Values = Readonly<Record<string, number | undefined>>;

/** A server that keeps trainings. None of it waits for the server but `close`, and a server that is down stops nothing. */
export interface Tracker {
  /** What an epoch gave; values that are not finite are left out. */
  metrics(epoch: number, values: Values): void;
  /** What the model of an epoch gave on data that nothing was chosen by. */
  results(epoch: number, values: Values): void;
  /** The folder of the finished model. */
  model(folder: string): void;
  /** Ends the run, and waits until all is sent, or sending has failed. */
  close(status: RunStatus): Promise<void>;
}

/** What trackers are opened with. */
export interface TrackerOptions {
  readonly runName: string;
  /** Remembers the run, and what could not be sent, across restarts. */
  readonly stateFile: string;
  /** Whether to go on with the run that the state file remembers. */
  readonly resume: boolean;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Takes what a person should know; it never holds a password or key. */
  readonly line: (text: string) => void;
}

/** What of `values` is a number that a server takes. */
export function finite(values: Values): Record<string, number> {
  const entries = Object.entries(values).filter((entry): entry is [string, number] => Number.isFinite(entry[1]));
  return Object.fromEntries(entries);
}
