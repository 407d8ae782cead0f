// Checkpoints: all that a resumed training needs to go on as if it had never stopped.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Values, Variable } from '../compiler/runtime';
import { UserError } from '../errors';
import { type ClassifierConfig, writeWeights } from './artifact';
import type { LossScaleState } from './loss-scale';
import { type Model, toStateDict, type Weights } from './model';
import type { Optimizer } from './optimizers';
import { readSafetensors, writeSafetensors } from './safetensors';

/** One epoch's metrics, as they are printed and plotted. */
export interface EpochRecord {
  readonly epoch: number;
  readonly train_loss: number;
  readonly train_accuracy: number;
  readonly learning_rate: number;
  readonly images_per_second: number;
  readonly valid_loss?: number;
  readonly valid_accuracy?: number;
}

/** Where training stands. Random numbers are drawn from (seed, epoch, image) and (seed, step), so the position is their state. */
export interface Progress {
  /** The epoch in progress, from 1. */
  epoch: number;
  /** Batches of it that are done. */
  batch: number;
  /** Steps since the beginning. */
  step: number;
  /** Sums over the epoch so far. */
  epochLoss: number;
  epochCorrect: number;
  epochImages: number;
  best?: { epoch: number; valid_loss: number; valid_accuracy: number };
  validationsWithoutImprovement: number;
  history: EpochRecord[];
  /** Where the training is in fp16. */
  lossScale?: LossScaleState;
}

/** What must be the same for a training to be resumed. */
export interface Identity {
  /** Fingerprint of the training images. */
  readonly data: string;
  /** Hyperparameters that decide the course of training. */
  readonly hyperparameters: Readonly<Record<string, unknown>>;
}

interface StateFile {
  readonly format: 'scanline-checkpoint';
  readonly version: 1;
  readonly identity: Identity;
  readonly progress: Progress;
}

const STATE_FILE = 'state.json';
const MODEL_FILE = 'model.safetensors';
const OPTIMIZER_FILE = 'optimizer.safetensors';
const NAME = /^checkpoint_(\d+)_(\d+)$/;

/** Ends a name so that a folder under construction is not taken for a checkpoint. */
const PARTIAL = '.partial';

/** Ends the name of a folder that is being replaced. */
const OLD = '.old';

export function startOfTraining(): Progress {
  return {
    epoch: 1,
    batch: 0,
    step: 0,
    epochLoss: 0,
    epochCorrect: 0,
    epochImages: 0,
    validationsWithoutImprovement: 0,
    history: [],
  };
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  await handle.sync();
  await handle.close();
}

/** Puts a folder in place of `target`; a kill leaves the old one, there or aside, until the new one is there. */
async function replaceFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const partial = `${target}${PARTIAL}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await mkdir(partial, { recursive: true });
  await fill(partial);
  await syncFolder(partial);
  const old = `${target}${OLD}`;
  await rm(old, { recursive: true, force: true });
  if (existsSync(target)) await rename(target, old);
  await rename(partial, target);
  await syncFolder(dirname(target));
  await rm(old, { recursive: true, force: true });
}

/** The checkpoints in a folder, newest first. */
export function listCheckpoints(folder: string): { readonly path: string; readonly step: number }[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .flatMap((name) => {
      const match = NAME.exec(name);
      return match ? [{ path: join(folder, name), step: Number(match[2]) }] : [];
    })
    .sort((a, b) => b.step - a.step);
}

/**
 * Writes checkpoints, and the best model beside them, in the background: training goes on while a copy of its state is written. All
 * that is written appears whole or not at all, and nothing is dropped before what takes its place is there.
 */
export class Checkpoints {
  private pending: Promise<void> = Promise.resolve();
  private failure: unknown;

  constructor(
    private readonly folder: string,
    private readonly identity: Identity,
    private readonly numToKeep: number,
  ) {}

  /** The folder of the best model of an epoch. */
  bestModel(epoch: number): string {
    return join(this.folder, `best_model_${epoch}`);
  }

  /**
   * Takes a copy of the state and begins to write it, once what was begun before is written.
   *
   * @param best given: the present weights are the best ones, and this is their configuration
   * @throws what went wrong with the writing that was begun before
   */
  async save(model: Model, optimizer: Optimizer, progress: Progress, best?: ClassifierConfig): Promise<void> {
    await this.settled();
    const values = await model.values();
    const optimizerValues = await model.runtime.read(optimizer.state);
    const state = structuredClone(progress);
    const write = async () => {
      const weights = toStateDict(model.network, values, state.step);
      if (best) await this.writeBest(weights, best, state);
      await this.writeState(weights, optimizer.state, optimizerValues, state);
      this.dropOld(state);
    };
    this.pending = write().catch((error: unknown) => {
      this.failure = error;
    });
  }

  /** Waits until all is written. @throws what went wrong */
  async settled(): Promise<void> {
    await this.pending;
    if (this.failure !== undefined) throw this.failure;
  }

  private async writeBest(weights: Weights, config: ClassifierConfig, { best, history }: Progress): Promise<void> {
    await replaceFolder(this.bestModel(best?.epoch as number), async (folder) => {
      await writeWeights(folder, weights, config);
      await writeFile(join(folder, 'history.json'), `${JSON.stringify(history, null, 2)}\n`);
    });
  }

  private async writeState(
    weights: Weights,
    state: readonly Variable[],
    values: readonly Float32Array[],
    progress: Progress,
  ): Promise<void> {
    const file: StateFile = { format: 'scanline-checkpoint', version: 1, identity: this.identity, progress };
    await replaceFolder(join(this.folder, `checkpoint_${progress.epoch}_${progress.step}`), async (folder) => {
      await writeSafetensors(join(folder, MODEL_FILE), weights);
      const slots = state.map(({ name, shape }, i) => [name, { shape, data: values[i] as Float32Array }] as const);
      await writeSafetensors(join(folder, OPTIMIZER_FILE), new Map<string, Values>(slots));
      await writeFile(join(folder, STATE_FILE), `${JSON.stringify(file, null, 2)}\n`);
    });
  }

  /** Drops what is too many, and what was written further on in a course that was left, by starting over or from an older checkpoint. */
  private dropOld({ step, best }: Progress): void {
    const checkpoints = listCheckpoints(this.folder);
    const left = checkpoints.filter((checkpoint) => checkpoint.step > step);
    const old = [...left, ...checkpoints.slice(left.length + this.numToKeep)].map(({ path }) => path);
    const bests = readdirSync(this.folder)
      .filter((name) => best && /^best_model_\d+$/.test(name) && name !== `best_model_${best.epoch}`)
      .map((name) => join(this.folder, name));
    const unfinished = readdirSync(this.folder)
      .filter((name) => name.endsWith(PARTIAL) || name.endsWith(OLD))
      .map((name) => join(this.folder, name));
    for (const path of [...old, ...bests, ...unfinished]) rmSync(path, { recursive: true, force: true });
  }

  /** The newest checkpoint's path. */
  newest(): string | undefined {
    return listCheckpoints(this.folder)[0]?.path;
  }

  /**
   * Puts model and optimizer back where a checkpoint was written.
   *
   * @throws UserError when it is damaged, or of another training
   */
  async restore(path: string, model: Model, optimizer: Optimizer): Promise<Progress> {
    const state = readState(path);
    const differences = this.differences(state.identity);
    if (differences.length > 0) {
      throw new UserError(
        `${path} is of another training: ${differences.join('; ')}.`,
        'train into another folder, start over with --resume none, or use the settings and data of the checkpoint.',
      );
    }
    await model.load(await readSafetensors(join(path, MODEL_FILE)));
    const saved = await readSafetensors(join(path, OPTIMIZER_FILE));
    const values = optimizer.state.map((variable) => {
      const data = saved.get(variable.name)?.data;
      if (data instanceof Float32Array && data.length === variable.size) return [variable, data] as const;
      throw new UserError(`${path} lacks the optimizer's ${variable.name}.`, 'resume from another checkpoint.');
    });
    await model.runtime.write(new Map(values));
    await this.takeBest(path, state.progress);
    return state.progress;
  }

  /** Copies the best model so far from where the checkpoint is, if that is another folder: it may stay the best one. */
  private async takeBest(checkpoint: string, { best }: Progress): Promise<void> {
    if (best === undefined) return;
    const [source, target] = [join(dirname(checkpoint), `best_model_${best.epoch}`), this.bestModel(best.epoch)];
    if (!existsSync(source)) {
      throw new UserError(
        `${source} is missing: it was the best model when ${checkpoint} was written.`,
        'put it there, or start over with --resume none.',
      );
    }
    if (resolve(source) !== resolve(target)) {
      await replaceFolder(target, (folder) => cp(source, folder, { recursive: true }));
    }
  }

  private differences(other: Identity): string[] {
    const here = { 'training images': this.identity.data, ...this.identity.hyperparameters };
    const there: Record<string, unknown> = { 'training images': other.data, ...other.hyperparameters };
    return Object.entries(here)
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(there[name]))
      .map(([name, value]) => `${name} was ${JSON.stringify(there[name])}, is ${JSON.stringify(value)}`);
  }
}

function readState(path: string): StateFile {
  try {
    const state = JSON.parse(readFileSync(join(path, STATE_FILE), 'utf8')) as StateFile;
    if (state.format === 'scanline-checkpoint' && state.version === 1) return state;
    throw new Error(`it is ${state.format} version ${state.version}`);
  } catch (error) {
    throw new UserError(
      `${path} is not a checkpoint that can be resumed: ${(error as Error).message}.`,
      'resume from another, or start over with --resume none.',
    );
  }
}
