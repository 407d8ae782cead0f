// What the server and its worker processes say to each other.
import type { ModelDescription } from './served-model';

/** A request, as it is handed to a worker. */
export interface Invocation {
  readonly id: number;
  readonly contentType: string;
  /** Content type of the answer. */
  readonly accept: string;
  /** Whether the answer is to say where the model has looked. */
  readonly explain: boolean;
  readonly body: Uint8Array;
  /** Milliseconds until nobody waits for the answer any more. */
  readonly remaining: number;
}

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  /** Instances that were answered. */
  readonly instances: number;
}

export type WorkerMessage =
  /** The model is loaded and has run once. */
  | { readonly kind: 'ready'; readonly model: ModelDescription; readonly maxBatch: number }
  /** The model cannot be served. */
  | { readonly kind: 'unusable'; readonly problem: string; readonly fix: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: Answer }
  | { readonly kind: 'batch'; readonly size: number; readonly seconds: number };

/** What a worker is started with. */
export interface WorkerSettings {
  /** Folder of the model. */
  readonly model: string;
  /** Most instances that run together. */
  readonly maxBatch: number;
  /** Milliseconds that the run of a batch may take. */
  readonly latency: number;
  /** Pixels of an image, height x width, before it is resized. */
  readonly maxPixels: number;
  /** Values of a volume, voxels x channels, as it is sent and at the spacing of the training. */
  readonly maxValues: number;
}
