// Checkpoints: all that a resumed training needs to go on as if it had never stopped.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { cp, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Values, Variable } from '../../compiler/runtime';
import { UserError } from '../../errors';
import { type ModelConfig, SCORE_FILE, type Score, writeWeights } from '../artifact';
import { type Averages, type Model, toStateDict, type Weights } from '../model';
import type { LossScaleState } from '../optimization/loss-scale';
import type { PlateauState } from '../optimization/schedules';
import type { Accumulated } from '../optimization/updater';
import { readSafetensors, writeSafetensors } from '../weights/safetensors';
import { listCheckpoints } from './checkpoint-list';

export { listCheckpoints };

/** One epoch's metrics, as they are printed and plotted. */
export interface EpochRecord {
  readonly epoch: number;
  readonly train_loss: number;
  readonly train_accuracy: number;
  readonly learning_rate: number;
  readonly images_per_second: number;
  readonly valid_loss?: number;
  readonly valid_accuracy?: number;
  readonly valid_f1?: number;
  readonly valid_auc?: number;
  readonly valid_dice?: number;
  readonly valid_iou?: number;
}

/** One of the best models so far. */
export interface BestModel {
  readonly epoch: number;
  /** What the monitored metric was. */
  readonly score: number;
}

/** What training moves: the network's weights, and all that goes with them. */
export interface Trainee {
  readonly model: Model;
  /** The optimizer's variables, the averages and the sums. */
  readonly state: readonly Variable[];
  /** Averages of weights: the best models have these. */
  readonly averages: Averages;
}

/** Where training stands. Random numbers are drawn from (seed, epoch, image) and (seed, step), so the position is their state. */
export interface Progress {
  /** The epoch in progress, from 1. */
  epoch: number;
  /** Batches of it that are done. */
  batch: number;
  /** Batches since the beginning. */
  step: number;
  /** Updates of the weights since the beginning: as many as steps, but where gradients are summed over several. */
  update: number;
  /** Sums over the epoch so far. */
  epochLoss: number;
  epochCorrect: number;
  epochImages: number;
  /** The best models that are kept, the best first. */
  best: BestModel[];
  validationsWithoutImprovement: number;
  history: EpochRecord[];
  /** Where the training is in fp16. */
  lossScale?: LossScaleState;
  /** Where gradients are summed over batches. */
  accumulated?: Accumulated;
  /** Where the learning rate is lowered on a plateau. */
  plateau?: PlateauState;
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
  readonly version: 2;
  readonly identity: Identity;
  readonly progress: Progress;
}

const STATE_FILE = 'state.json';
const MODEL_FILE = 'model.safetensors';
const OPTIMIZER_FILE = 'optimizer.safetensors';
/** A best model, with what rebuilds its network. */
export interface NewBest extends Score {
  readonly config: ModelConfig;
}

/** Ends a name so that a folder under construction is not taken for a checkpoint. */
const PARTIAL = '.partial';

/** Ends the name of a folder that is being replaced. */
const OLD = '.old';

export function startOfTraining(): Progress {
  return {
    epoch: 1,
    batch: 0,
    step: 0,
    update: 0,
    best: [],
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

/** Fills a folder; what fails leaves nothing of it, for on a full disk the room is needed to tell of it. @throws what failed, with its path */
async function fillWhole(partial: string, fill: (folder: string) => Promise<void>): Promise<void> {
  try {
    await mkdir(partial, { recursive: true });
    await fill(partial);
    await syncFolder(partial);
  } catch (error) {
    await rm(partial, { recursive: true, force: true }).catch(() => {});
    // an error of a write to an open file does not say which
    throw error instanceof Error
      ? Object.assign(error, { path: (error as NodeJS.ErrnoException).path ?? partial })
      : error;
  }
}

/** Puts a folder in place of `target`; a kill leaves the old one, there or aside, until the new one is there. */
async function replaceFolder(target: string, fill: (folder: string) => Promise<void>): Promise<void> {
  const partial = `${target}${PARTIAL}`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(dirname(target), { recursive: true });
  await fillWhole(partial, fill);
  const old = `${target}${OLD}`;
  await rm(old, { recursive: true, force: true });
  if (existsSync(target)) await rename(target, old);
  await rename(partial, target);
  await syncFolder(dirname(target));
  await rm(old, { recursive: true, force: true });
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
   * @param best given: the present weights are among the best ones
   * @throws what went wrong with the writing that was begun before
   */
  async save({ model, state, averages }: Trainee, progress: Progress, best?: NewBest): Promise<void> {
    await this.settled();
    // by one read, for each kind of one takes TensorFlow's preparations anew
    const all = await model.runtime.read([...model.all, ...state]);
    const [values, stateValues] = [all.slice(0, model.all.length), all.slice(model.all.length)];
    const averaged = best && averages.size > 0 ? await model.values(averages) : values;
    const copy = structuredClone(progress);
    const write = async () => {
      if (best) await this.writeBest(toStateDict(model.network, averaged, copy.step), best, copy.history);
      await this.writeState(toStateDict(model.network, values, copy.step, true), state, stateValues, copy);
      this.dropOld(copy);
    };
    this.pending = write().catch((error: unknown) => {
      this.failure = error;
    });
  }

  /** Writes the present weights as a model, and no checkpoint: what training is resumed from stays as it is. */
  async saveModel({ model, averages }: Trainee, progress: Progress, best: NewBest): Promise<void> {
    await this.settled();
    const weights = toStateDict(model.network, await model.values(averages), progress.step);
    await this.writeBest(weights, best, progress.history);
  }

  /** Waits until all is written. @throws what went wrong */
  async settled(): Promise<void> {
    await this.pending;
    if (this.failure !== undefined) throw this.failure;
  }

  private async writeBest(
    weights: Weights,
    { config, ...score }: NewBest,
    history: readonly EpochRecord[],
  ): Promise<void> {
    await replaceFolder(this.bestModel(score.epoch), async (folder) => {
      await writeWeights(folder, weights, config);
      await writeFile(join(folder, SCORE_FILE), `${JSON.stringify(score, null, 2)}\n`);
      await writeFile(join(folder, 'history.json'), `${JSON.stringify(history, null, 2)}\n`);
    });
  }

  private async writeState(
    weights: Weights,
    state: readonly Variable[],
    values: readonly Float32Array[],
    progress: Progress,
  ): Promise<void> {
    const file: StateFile = { format: 'scanline-checkpoint', version: 2, identity: this.identity, progress };
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
      .filter((name) => best.length > 0 && /^best_model_\d+$/.test(name))
      .filter((name) => !best.some(({ epoch }) => name === `best_model_${epoch}`))
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
   * Puts the weights, and all that goes with them, back to what they were when a checkpoint was written.
   *
   * @throws UserError when it is damaged, or of another training
   */
  async restore(path: string, { model, state: variables }: Trainee): Promise<Progress> {
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
    const values = variables.map((variable) => {
      const data = saved.get(variable.name)?.data;
      if (data instanceof Float32Array && data.length === variable.size) return [variable, data] as const;
      throw new UserError(`${path} lacks ${variable.name}.`, 'resume from another checkpoint.');
    });
    await model.runtime.write(new Map(values));
    await this.takeBest(path, state.progress);
    return state.progress;
  }

  /** Copies the best models so far from where the checkpoint is, if that is another folder: they may stay the best ones. */
  private async takeBest(checkpoint: string, { best }: Progress): Promise<void> {
    for (const { epoch } of best) {
      const [source, target] = [join(dirname(checkpoint), `best_model_${epoch}`), this.bestModel(epoch)];
      if (!existsSync(source)) {
        throw new UserError(
          `${source} is missing: it was one of the best models when ${checkpoint} was written.`,
          'put it there, or start over with --resume none.',
        );
      }
      if (resolve(source) !== resolve(target)) {
        await replaceFolder(target, (folder) => cp(source, folder, { recursive: true }));
      }
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
    if (state.format === 'scanline-checkpoint' && state.version === 2) return state;
    throw new Error(`it is ${state.format} version ${state.version}`);
  } catch (error) {
    throw new UserError(
      `${path} is not a checkpoint that can be resumed: ${(error as Error).message}.`,
      'resume from another, or start over with --resume none.',
    );
  }
}
