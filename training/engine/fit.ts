// Trains a network. The whole course of a training can be read here, from top to bottom.
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import type { OnBadFile } from '../data/loader';
import type { PartFolders } from '../data/parts';
import { UserError } from '../errors';
import { explain } from '../faults';
import { type Hyperparameters, SPECS } from '../hyperparameters';
import { TrainingConsole } from '../tracking/console';
import { openTrackers } from '../tracking/open-trackers';
import { SystemMetrics } from '../tracking/system-metrics';
import { TensorBoard } from '../tracking/tensorboard';
import type { RunStatus } from '../tracking/tracker';
import { readWeights, writeServable } from './artifact';
import { bestOf, modeOf, ranked, scoreOf } from './checkpoints/best';
import {
  Checkpoints,
  type EpochRecord,
  type Identity,
  listCheckpoints,
  type Progress,
  startOfTraining,
} from './checkpoints/checkpoint';
import { fitModel } from './fit-model';
import { learningRate, Plateau } from './optimization/schedules';
import { Speed } from './speed';
import { openTask, type Scores } from './tasks';

/** What is trained, on what, and where its results go. */
export interface FitOptions {
  /** All of them, as `readHyperparameters` gives them. */
  readonly hyperparameters: Hyperparameters;
  /** Folders of the training, validation and, where there is one, test part. */
  readonly folders: PartFolders;
  /** Gets {model_name}/{model,logs}. */
  readonly outputDir: string;
  /** Given: also gets {model_name}/best_model_{epoch}. */
  readonly modelDir?: string;
  /** Where checkpoints and the best models are written while training. @default {outputDir}/{model_name}/model */
  readonly checkpointDir?: string;
  /** Where TensorBoard's files are written. @default {outputDir}/{model_name}/logs/tensorboard */
  readonly tensorBoardDir?: string;
  /** auto: from the newest checkpoint where there is one; none: from the beginning; else the path of a checkpoint. @default auto */
  readonly resume?: string;
  /** Run op by op instead of as one graph. @default false */
  readonly eager?: boolean;
  /** @default all cores */
  readonly threads?: number;
  /** @default fail */
  readonly onBadFile?: OnBadFile;
  /** Further places for label_dict.json, after the data's own. */
  readonly labelPaths?: readonly string[];
  /** One epoch of a batch of each part, to see that all works. @default false */
  readonly fastDevRun?: boolean;
  /** Train and validate on so many batches of the training part, without augmentation: what works learns them by heart. @default all */
  readonly overfitBatches?: number;
  /** Seconds after which training ends with what it has; the checkpoint can be resumed. @default no limit */
  readonly maxTime?: number;
  /** Aborted: training writes a checkpoint after the step in progress and returns. */
  readonly signal?: AbortSignal;
}

/** What a training came to. */
export interface FitResult {
  /** The folder of the best model; undefined when training was interrupted. */
  readonly bestModel?: string;
  /** The epoch of the best model. */
  readonly best?: EpochRecord;
  /** Losses and metrics of each epoch, the earlier ones of a resumed training too. */
  readonly history: readonly EpochRecord[];
}

/** @throws UserError for data, settings or checkpoints that the user must mend */
export async function fit(options: FitOptions): Promise<FitResult> {
  return options.fastDevRun ? rehearse(options) : run(options);
}

/** Goes through all of a training, saving and loading too, in a folder that is gone afterwards. */
async function rehearse(options: FitOptions): Promise<FitResult> {
  const folder = await mkdtemp(join(tmpdir(), 'scanline-fast-dev-run-'));
  const { modelDir: _, checkpointDir: __, tensorBoardDir: ___, ...rest } = options;
  try {
    const { history, best } = await run({ ...rest, outputDir: folder, resume: 'none' });
    process.stdout.write('fast dev run: a batch of each part went through all of it; nothing was kept\n');
    return { history, ...(best && { best }) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function run(options: FitOptions): Promise<FitResult> {
  requireWritable(options);
  const console = new TrainingConsole();
  const resources: Resource[] = [];
  let status: RunStatus = 'FAILED';
  try {
    const result = await train(options, console, resources);
    status = result.bestModel === undefined ? 'KILLED' : 'FINISHED';
    return result;
  } catch (error) {
    const { hyperparameters } = options;
    throw explain(error, { hyperparameters, checkpoint: listCheckpoints(checkpointFolderOf(options))[0]?.path });
  } finally {
    for (const resource of resources) await resource.close(status);
    await console.close();
  }
}

/** Where checkpoints and the best models are written while training. */
function checkpointFolderOf({ checkpointDir, outputDir, hyperparameters }: FitOptions): string {
  return checkpointDir ?? join(outputDir, hyperparameters.model_name, 'model');
}

/** @throws UserError where a result could not be written: better before the training than after it */
function requireWritable({ outputDir, modelDir, checkpointDir }: FitOptions): void {
  for (const folder of [outputDir, modelDir, checkpointDir]) {
    if (folder === undefined) continue;
    try {
      mkdirSync(folder, { recursive: true });
      accessSync(folder, constants.W_OK);
    } catch (error) {
      throw explain(error);
    }
  }
}

/** Something that must be freed however training ends. */
interface Resource {
  close(status: RunStatus): void | Promise<void>;
}

async function train(options: FitOptions, console: TrainingConsole, resources: Resource[]): Promise<FitResult> {
  const { hyperparameters: h } = options;
  const output = join(options.outputDir, h.model_name);
  const line = (text: string) => console.line(text);
  const began = performance.now();

  // what is learned from, where it starts, and what learns
  const task = await openTask(options, line);
  resources.push(task);
  const models = checkpointFolderOf(options);
  const checkpoints = new Checkpoints(models, identityOf(task.fingerprint, options), h.num_to_keep);
  const from = checkpointToResume(options.resume ?? 'auto', checkpoints);
  const model = await fitModel(options, task, { line, isNew: from === undefined });
  resources.push(model);
  const { trainee, step, updater, inference, lossScale } = model;

  // how its rate moves, and what the best is
  const epochs = options.fastDevRun ? 1 : h.num_epochs;
  const monitor = h.monitor === 'auto' ? task.monitor : h.monitor;
  const mode = modeOf(monitor);
  const patience = h.early_stopping_rounds > 0 ? h.early_stopping_rounds : Number.POSITIVE_INFINITY;
  const plateau = new Plateau({ mode, patience: h.lr_patience, factor: h.lr_factor, peak: h.learning_rate });
  const schedule = {
    name: h.lr_schedule,
    steps: epochs * Math.ceil(task.train.batches / h.accumulate_grad_batches),
    warmupSteps: h.warmup_steps,
  };
  const rateAt = (update: number) =>
    learningRate(update, { ...schedule, peak: h.learning_rate * plateau.state.factor });

  let progress = startOfTraining();
  if (from === undefined) {
    await model.initialise();
  } else {
    progress = await checkpoints.restore(from, trainee);
    if (progress.lossScale) lossScale?.restore(progress.lossScale);
    if (progress.accumulated) updater.restore(progress.accumulated);
    if (progress.plateau) plateau.restore(progress.plateau);
    const over = progress.epoch > epochs || progress.validationsWithoutImprovement >= patience;
    line(
      over
        ? `this training has ended before, after ${progress.history.length} epoch${progress.history.length === 1 ? '' : 's'}: ${from}. More num_epochs go on from there; another --out, or --resume none, begins anew`
        : `resumed from ${from}: epoch ${progress.epoch}, step ${progress.step}`,
    );
  }
  // a rehearsal tells nobody
  const trackers = options.fastDevRun
    ? undefined
    : openTrackers(h, { folder: models, resume: from !== undefined, line });
  if (trackers) resources.push(trackers);
  // not before: what is refused above leaves no logs behind
  console.keep(join(output, 'logs'));
  const tensorboard = new TensorBoard(options.tensorBoardDir ?? join(output, 'logs', 'tensorboard'));
  const system = new SystemMetrics();
  const firstStep = progress.step;
  let outOfTime = false;

  while (progress.epoch <= epochs && progress.validationsWithoutImprovement < patience && !outOfTime) {
    const { epoch } = progress;
    const speed = new Speed();
    let rate = rateAt(Math.max(0, progress.update - 1));
    for await (const batch of speed.watch(task.train.epoch(epoch, progress.batch))) {
      rate = rateAt(progress.update);
      const last = batch.number + 1 === task.train.batches;
      const running = step.run(batch, rate, progress.step, { update: progress.update, last });
      if (progress.step === firstStep) {
        running.catch(() => {});
        // here, while TensorFlow prepares the first step on threads of its own
        inference.record();
        const graph = model.graph();
        if (graph) tensorboard.graph(graph);
      }
      const { loss, correct, ...done } = await running;
      const overflow = done.skipped && (lossScale?.state.scale ?? 0) >= 1;
      if (!Number.isFinite(loss) && !overflow && !(lossScale && !done.updated)) throw divergence(progress, rate);
      if (lossScale) progress.lossScale = lossScale.state;
      if (done.updated) progress.update++;
      progress.accumulated = updater.accumulated;
      progress.step++;
      progress.batch = batch.number + 1;
      progress.epochLoss += loss * batch.count;
      progress.epochCorrect += correct;
      progress.epochImages += batch.count;
      speed.step(batch.count);
      const { batches } = task.train;
      console.step({ epoch, epochs, batch: progress.batch, batches, loss, ...speed.report() });
      tensorboard.scalars(progress.step, { 'loss/step': loss, learning_rate: rate });
      if (batch.number === 0) tensorboard.image(progress.step, 'train/batch', await task.picture(batch));
      if (options.signal?.aborted) {
        await checkpoints.save(trainee, progress);
        await checkpoints.settled();
        line(`interrupted: checkpoint written at ${placeOf(progress)}; the same command goes on from there`);
        return { history: progress.history };
      }
      outOfTime = options.maxTime !== undefined && performance.now() - began > options.maxTime * 1000;
      const due = h.checkpoint_interval > 0 && progress.step % h.checkpoint_interval === 0;
      if ((due || outOfTime) && progress.batch < batches) await checkpoints.save(trainee, progress);
      if (outOfTime) break;
    }

    if (progress.epochImages === 0)
      throw new UserError(
        `none of the training ${task.samples} could be read.`,
        'check the files; `scanline data check` lists what is wrong with them.',
      );
    const validated = outOfTime || epoch === epochs || epoch % h.val_interval === 0;
    const validation = validated ? await task.validate(inference) : undefined;
    const record: EpochRecord = {
      epoch,
      train_loss: progress.epochLoss / progress.epochImages,
      train_accuracy: progress.epochCorrect / progress.epochImages,
      learning_rate: rate,
      images_per_second: speed.report().imagesPerSecond,
      ...(validation && named(validation.overall, 'valid')),
    };
    progress.history.push(record);
    console.metrics({ ...record });
    tensorboard.scalars(progress.step, chartsOf(record));
    tensorboard.flush();
    trackers?.metrics(epoch, {
      ...record,
      ...(validation && named(validation.ofClasses, 'valid')),
      ...system.report(),
    });

    let best: { epoch: number; score: number } | undefined;
    if (validation) {
      const candidate = { epoch, score: scoreOf(record, monitor) };
      const before = progress.best[0];
      progress.best = ranked(progress.best, candidate, mode, h.save_top_k);
      if (progress.best.includes(candidate)) best = candidate;
      const improved = progress.best[0] !== before;
      progress.validationsWithoutImprovement = improved ? 0 : progress.validationsWithoutImprovement + 1;
      if (h.lr_schedule === 'plateau') {
        plateau.update(candidate.score);
        progress.plateau = plateau.state;
      }
    }
    const written = best && { ...best, monitor, mode, config: task.config };
    if (outOfTime && progress.batch < task.train.batches) {
      // in the middle of an epoch: what was saved above is what a resumed training goes on from
      if (written) await checkpoints.saveModel(trainee, progress, written);
    } else {
      Object.assign(progress, { epoch: epoch + 1, batch: 0, epochLoss: 0, epochCorrect: 0, epochImages: 0 });
      await checkpoints.save(trainee, progress, written);
    }
  }
  await checkpoints.settled();

  // what is left behind
  if (outOfTime) line(`time is up at ${placeOf(progress)}; the same command goes on from the last checkpoint`);
  else if (progress.epoch <= epochs) line(`stopped early: no better ${monitor} in ${patience} validations`);
  if (task.leftOut() > 0) line(`${task.leftOut()} ${task.samples} that cannot be read were left out`);
  const best = bestOf(progress);
  const bestModel = checkpoints.bestModel(best.epoch);
  const finished = trainee.model;
  const present = !outOfTime && best.epoch === progress.epoch - 1 && updater.averages.size === 0;
  if (!present) {
    await finished.load(await readWeights(bestModel));
    await updater.startAverages();
  }
  if (task.test) {
    const test = named((await task.test(inference)).overall, 'test');
    console.metrics(test);
    trackers?.results(best.epoch, test);
  }
  await writeServable(bestModel, finished, task.config);
  const copies = [
    options.checkpointDir && join(output, 'model'),
    options.modelDir && join(options.modelDir, h.model_name),
  ];
  for (const folder of copies) if (folder) await cp(bestModel, join(folder, basename(bestModel)), { recursive: true });
  trackers?.model(bestModel);
  line(`best model: epoch ${best.epoch}, ${monitor} ${best.score.toFixed(4)}, in ${bestModel}`);
  const record = progress.history.find(({ epoch }) => epoch === best.epoch);
  return { bestModel, ...(record && { best: record }), history: progress.history };
}

const placeOf = ({ epoch, step }: Progress) => `epoch ${epoch}, step ${step}`;

/** An epoch's metrics by the charts that they are drawn in: those of both parts in one. */
function chartsOf({ epoch, ...metrics }: EpochRecord): Scores {
  return Object.fromEntries(
    Object.entries(metrics).map(([name, value]) => [name.replace(/^(train|valid)_(.*)$/, '$2/$1'), value]),
  );
}

/** The scores of a part by the names that they are printed under. */
function named(scores: Scores, part: 'valid' | 'test'): Scores {
  return Object.fromEntries(Object.entries(scores).map(([name, value]) => [`${part}_${name}`, value]));
}

/** Hyperparameters that do not touch the steps that are done, and so may change when a training is resumed. */
const FREE_TO_CHANGE = new Set([
  ...['num_workers', 'checkpoint_interval', 'num_to_keep', 'early_stopping_rounds'],
  'gradient_checkpointing',
]);

function identityOf(data: string, { hyperparameters }: FitOptions): Identity {
  const extendable = ['constant', 'plateau'].includes(hyperparameters.lr_schedule);
  const fixed = Object.entries(hyperparameters).filter(([name]) => {
    const extends_ = name === 'num_epochs' && extendable;
    return !FREE_TO_CHANGE.has(name) && SPECS.get(name)?.section !== 'tracking' && !extends_;
  });
  return { data, hyperparameters: Object.fromEntries(fixed) };
}

function checkpointToResume(asked: string, checkpoints: Checkpoints): string | undefined {
  if (asked === 'none') return undefined;
  if (asked === 'auto') return checkpoints.newest();
  if (existsSync(asked)) return asked;
  throw new UserError(
    `there is no checkpoint ${asked} to resume from.`,
    'give auto, none, or the path of a checkpoint_* folder.',
  );
}

function divergence({ epoch, step }: Progress, rate: number): UserError {
  return new UserError(
    `the loss is not a number at epoch ${epoch}, step ${step + 1} (learning rate ${rate}). The last checkpoint is intact.`,
    'lower learning_rate, add warmup_steps, or use precision fp32.',
  );
}
