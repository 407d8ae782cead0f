// Trains a classifier. The whole course of a training can be read here, from top to bottom.
import { existsSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CompiledRuntime } from '../compiler/compiled';
import { EagerRuntime } from '../compiler/eager';
import { probeChannels } from '../data/decode';
import { describeImages, findImages, fingerprint, type ImageFolders, type PartFolders } from '../data/image-folders';
import { DecodePool, Loader, type LoaderOptions, type OnBadFile } from '../data/loader';
import { UserError } from '../errors';
import type { Hyperparameters } from '../hyperparameters';
import { pair } from '../models';
import { parameterCount } from '../models/network';
import { inspectMachine } from '../native/machine';
import { backend, native } from '../native/tensorflow';
import { TrainingConsole } from '../tracking/console';
import { TensorBoard } from '../tracking/tensorboard';
import { type ClassifierConfig, networkOf, readWeights, writeServable } from './artifact';
import { Checkpoints, type EpochRecord, type Identity, type Progress, startOfTraining } from './checkpoint';
import { evaluate, Inference } from './inference';
import { LossScale } from './loss-scale';
import { Model } from './model';
import { makeOptimizer } from './optimizers';
import { choosePrecision } from './precision';
import { learningRate } from './schedules';
import { Speed } from './speed';
import { TrainingStep } from './training-step';

export interface FitOptions {
  readonly hyperparameters: Hyperparameters;
  readonly folders: PartFolders;
  /** Gets {model_name}/{model,logs}. */
  readonly outputDir: string;
  /** Given: also gets {model_name}/best_model_{epoch}. */
  readonly modelDir?: string;
  /** Where checkpoints and the best model are written while training. @default {outputDir}/{model_name}/model */
  readonly checkpointDir?: string;
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
  /** Aborted: training writes a checkpoint after the step in progress and returns. */
  readonly signal?: AbortSignal;
}

export interface FitResult {
  /** The folder of the best model; undefined when training was interrupted. */
  readonly bestModel?: string;
  readonly history: readonly EpochRecord[];
}

/** Share of the machine's memory that the decoded images of a part may take. */
const CACHE_SHARE = 0.125;

/** @throws UserError for data, settings or checkpoints that the user must mend */
export async function fit(options: FitOptions): Promise<FitResult> {
  const console = new TrainingConsole(join(options.outputDir, options.hyperparameters.model_name, 'logs'));
  const pool = new DecodePool(options.hyperparameters.num_workers);
  const resources: Disposable[] = [];
  try {
    return await train(options, console, pool, resources);
  } finally {
    for (const resource of resources) resource.dispose();
    await pool.close();
    await console.close();
  }
}

/** Something that must be freed however training ends. */
interface Disposable {
  dispose(): void;
}

async function train(
  options: FitOptions,
  console: TrainingConsole,
  pool: DecodePool,
  resources: Disposable[],
): Promise<FitResult> {
  const { hyperparameters: h, eager = false } = options;
  const output = join(options.outputDir, h.model_name);
  const machine = inspectMachine();
  const threads = options.threads ?? machine.cores;
  native.setKernelThreads(threads);

  // data
  const data = findImages(options.folders, {
    validFraction: h.valid_fraction,
    seed: h.seed,
    labelPaths: options.labelPaths,
  });
  for (const line of [...data.notes, ...describeImages(data)]) console.line(line);
  const [height, width] = pair(h.img_size);
  const channels =
    h.in_channels === 'auto' ? await probeChannels(data.samples.train.map(({ path }) => path)) : Number(h.in_channels);
  const image = { height, width, channels };
  const loaderOptions: Omit<LoaderOptions, 'samples'> = {
    size: image,
    batchSize: h.batch_size,
    pool,
    onBadFile: options.onBadFile ?? 'fail',
    report: (path, reason) => console.line(`left out: ${path} cannot be read (${reason})`),
  };
  const cacheBytes = machine.memory * CACHE_SHARE;
  const augmentation = {
    flip: h.flip,
    rotate: h.rotate,
    zoom: h.zoom,
    intensity: h.intensity,
    probability: h.augment_prob,
  };
  const trainLoader = new Loader({
    ...loaderOptions,
    cacheBytes,
    samples: data.samples.train,
    random: { seed: h.seed, augmentation },
  });
  const validLoader = new Loader({ ...loaderOptions, cacheBytes, samples: data.samples.valid });
  const classWeights = classWeightsOf(h.class_weights, data);

  // model
  const gpu = backend.binding.isUsingGpuDevice();
  const { precision, note } = choosePrecision(h.precision, { gpu, eager });
  if (note !== undefined) console.line(note);
  const config: ClassifierConfig = {
    format: 'scanline-classifier',
    version: 1,
    hyperparameters: h,
    image,
    classes: data.classes,
  };
  const network = networkOf(config);
  const runtime = eager ? new EagerRuntime() : new CompiledRuntime({ threads, precision, gpu });
  resources.push(runtime);
  const model = new Model(network, runtime);
  const optimizer = makeOptimizer(runtime, model.trained, {
    name: h.optimizer,
    weightDecay: h.weight_decay,
    momentum: h.momentum,
  });
  const lossScale = precision === 'fp16' ? new LossScale() : undefined;
  const step = new TrainingStep(runtime, model, optimizer, {
    image,
    normalize: h.normalize,
    classWeights,
    seed: h.seed,
    ...(lossScale && { lossScale }),
  });
  const inference = new Inference(runtime, model, image, h.normalize);
  const count = parameterCount(network).toLocaleString('en');
  console.line(
    `${h.model_name}: ${count} parameters, ${channels} x ${height} x ${width} images, ${precision}, ` +
      `${eager ? 'eager' : 'compiled'}, ${threads} threads`,
  );

  // where it starts
  const models = options.checkpointDir ?? join(output, 'model');
  const checkpoints = new Checkpoints(models, identityOf(data, options), h.num_to_keep);
  const from = checkpointToResume(options.resume ?? 'auto', checkpoints);
  let progress = startOfTraining();
  if (from === undefined) {
    await model.initialise(h.seed);
    await optimizer.initialise();
  } else {
    progress = await checkpoints.restore(from, model, optimizer);
    if (progress.lossScale) lossScale?.restore(progress.lossScale);
    console.line(`resumed from ${from}: epoch ${progress.epoch}, step ${progress.step}`);
  }
  const patience = h.early_stopping_rounds > 0 ? h.early_stopping_rounds : Number.POSITIVE_INFINITY;
  const schedule = {
    name: h.lr_schedule,
    peak: h.learning_rate,
    steps: h.num_epochs * trainLoader.batches,
    warmupSteps: h.warmup_steps,
  };
  const tensorboard = new TensorBoard(join(output, 'logs', 'tensorboard'));

  while (progress.epoch <= h.num_epochs && progress.validationsWithoutImprovement < patience) {
    const { epoch } = progress;
    const speed = new Speed();
    let rate = learningRate(Math.max(0, progress.step - 1), schedule);
    for await (const batch of speed.watch(trainLoader.epoch(epoch, progress.batch))) {
      rate = learningRate(progress.step, schedule);
      const { loss, correct, skipped } = await step.run(batch, rate, progress.step);
      if (!Number.isFinite(loss) && !(skipped && (lossScale?.state.scale ?? 0) >= 1)) throw divergence(progress, rate);
      if (lossScale) progress.lossScale = lossScale.state;
      progress.step++;
      progress.batch = batch.number + 1;
      progress.epochLoss += loss * batch.count;
      progress.epochCorrect += correct;
      progress.epochImages += batch.count;
      speed.step(batch.count);
      console.step({
        epoch,
        epochs: h.num_epochs,
        batch: progress.batch,
        batches: trainLoader.batches,
        loss,
        ...speed.report(),
      });
      tensorboard.scalars(progress.step, { 'loss/step': loss, learning_rate: rate });
      if (options.signal?.aborted) {
        await checkpoints.save(model, optimizer, progress);
        await checkpoints.settled();
        console.line(
          `interrupted: checkpoint written at epoch ${epoch}, step ${progress.step}; the same command goes on from there`,
        );
        return { history: progress.history };
      }
      const due = h.checkpoint_interval > 0 && progress.step % h.checkpoint_interval === 0;
      if (due && progress.batch < trainLoader.batches) await checkpoints.save(model, optimizer, progress);
    }

    if (progress.epochImages === 0)
      throw new UserError(
        `none of the ${data.samples.train.length} training images could be read.`,
        'check the files, and that they are PNG or JPEG.',
      );
    const validated = epoch === h.num_epochs || epoch % h.val_interval === 0;
    const validation = validated ? await evaluate(inference, validLoader, data.classes, { classWeights }) : undefined;
    const record: EpochRecord = {
      epoch,
      train_loss: progress.epochLoss / progress.epochImages,
      train_accuracy: progress.epochCorrect / progress.epochImages,
      learning_rate: rate,
      images_per_second: speed.report().imagesPerSecond,
      ...(validation && { valid_loss: validation.loss, valid_accuracy: validation.accuracy }),
    };
    progress.history.push(record);
    console.metrics({ ...record });
    tensorboard.scalars(progress.step, {
      'loss/train': record.train_loss,
      'loss/valid': record.valid_loss,
      'accuracy/train': record.train_accuracy,
      'accuracy/valid': record.valid_accuracy,
      images_per_second: record.images_per_second,
    });
    tensorboard.flush();

    const improved =
      validation !== undefined && validation.loss < (progress.best?.valid_loss ?? Number.POSITIVE_INFINITY);
    if (improved) progress.best = { epoch, valid_loss: validation.loss, valid_accuracy: validation.accuracy };
    if (validation) progress.validationsWithoutImprovement = improved ? 0 : progress.validationsWithoutImprovement + 1;
    Object.assign(progress, { epoch: epoch + 1, batch: 0, epochLoss: 0, epochCorrect: 0, epochImages: 0 });
    await checkpoints.save(model, optimizer, progress, improved ? config : undefined);
  }
  await checkpoints.settled();

  // what is left behind
  if (progress.epoch <= h.num_epochs)
    console.line(`stopped early: no lower validation loss in ${patience} validations`);
  const bad = new Set([...trainLoader.bad, ...validLoader.bad]);
  if (bad.size > 0) console.line(`${bad.size} files that cannot be read were left out`);
  const best = bestOf(progress);
  const bestModel = checkpoints.bestModel(best.epoch);
  await model.load(await readWeights(bestModel));
  if (data.samples.test.length > 0) {
    const test = await evaluate(inference, new Loader({ ...loaderOptions, samples: data.samples.test }), data.classes, {
      classWeights,
    });
    console.metrics({ test_loss: test.loss, test_accuracy: test.accuracy });
  }
  await writeServable(bestModel, model, config);
  const copies = [
    options.checkpointDir && join(output, 'model'),
    options.modelDir && join(options.modelDir, h.model_name),
  ];
  for (const folder of copies) if (folder) await cp(bestModel, join(folder, basename(bestModel)), { recursive: true });
  console.line(`best model: epoch ${best.epoch}, validation loss ${best.valid_loss.toFixed(4)}, in ${bestModel}`);
  return { bestModel, history: progress.history };
}

/** The weights of the classes in the loss: balanced ones give every class the same sum, and 1 on average over the images. */
function classWeightsOf(
  asked: Hyperparameters['class_weights'],
  { classes, samples }: ImageFolders,
): readonly number[] | undefined {
  if (asked === 'none') return undefined;
  if (asked === 'balanced') {
    return classes.map(
      (_, label) =>
        samples.train.length / classes.length / samples.train.filter((sample) => sample.label === label).length,
    );
  }
  if (asked.length === classes.length) return asked;
  throw new UserError(
    `class_weights has ${asked.length} numbers; there are ${classes.length} classes: ${classes.join(', ')}.`,
    'give one number for each class, in this order.',
  );
}

/** Hyperparameters that do not touch the steps that are done, and so may change when a training is resumed. */
const FREE_TO_CHANGE = new Set(['num_workers', 'checkpoint_interval', 'num_to_keep', 'early_stopping_rounds']);

function identityOf({ samples }: ImageFolders, { hyperparameters, folders }: FitOptions): Identity {
  const fixed = Object.entries(hyperparameters).filter(([name]) => {
    const extends_ = name === 'num_epochs' && hyperparameters.lr_schedule === 'constant';
    return !FREE_TO_CHANGE.has(name) && !extends_;
  });
  const root = folders.train ?? folders.data ?? '';
  return { data: fingerprint([...samples.train, ...samples.valid], root), hyperparameters: Object.fromEntries(fixed) };
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

function bestOf({ best, step }: Progress): NonNullable<Progress['best']> {
  if (best) return best;
  throw new UserError(
    `after ${step} steps there is no best model: every validation loss was not a number.`,
    'lower learning_rate, or check the images with `scanline predict`.',
  );
}

function divergence({ epoch, step }: Progress, rate: number): UserError {
  return new UserError(
    `the loss is not a number at epoch ${epoch}, step ${step + 1} (learning rate ${rate}). The last checkpoint is intact.`,
    'lower learning_rate, add warmup_steps, or use precision fp32.',
  );
}
