// Measures the training steps of one precision, in a process of its own: its peak memory is then theirs.
import type { CompiledRuntime } from '../compiler/compiled';
import type { Precision } from '../compiler/session-config';
import type { PartFolders } from '../data/parts';
import { type FitModel, fitModel } from '../engine/fit-model';
import { choosePrecision } from '../engine/precision';
import { Speed } from '../engine/speed';
import { openTask } from '../engine/tasks';
import type { TaskBatch, TaskLoader } from '../engine/tasks/task';
import { UserError } from '../errors';
import { explain } from '../faults';
import type { Hyperparameters } from '../hyperparameters';
import { backend } from '../native/tensorflow';
import { measurePeak } from './peak';
import { type StepCost, stepCost } from './step-cost';
import { syntheticTask } from './synthetic-task';

export interface Settings {
  readonly hyperparameters: Hyperparameters;
  /** Where the data lie. @default none: samples are made up */
  readonly folders?: PartFolders;
  readonly threads: number;
  /** Steps that count. */
  readonly steps: number;
  /** Steps before them. */
  readonly warmup: number;
}

export interface Measurement {
  readonly precision: Precision;
  /** Milliseconds: the median of the steps that count, all with the same batch. */
  readonly millisecondsPerStep: number;
  readonly samplesPerSecond: number;
  /** The same with batches as they are loaded, and the share of the time that steps waited for them. @default there are no data */
  readonly loaded?: {
    readonly millisecondsPerStep: number;
    readonly samplesPerSecond: number;
    readonly waiting: number;
  };
  readonly cost: StepCost;
  /** Of a matrix product, floating-point operations per second. */
  readonly peak: number;
  /** Bytes: of the process before the first step, and at most. */
  readonly memory: { readonly before: number; readonly peak: number };
  /** What the network is, for people. */
  readonly description: string;
}

/** What is going on, for people. */
export type Report = (text: string) => void;

interface Source {
  readonly model: FitModel;
  readonly batch: Omit<TaskBatch, 'number'>;
  readonly loader?: TaskLoader;
  close(): Promise<void>;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

async function open({ hyperparameters, folders, threads }: Settings, line: Report): Promise<Source> {
  const options = { hyperparameters, folders: folders ?? {}, outputDir: '', threads };
  if (folders === undefined) {
    const { batch, ...task } = syntheticTask(hyperparameters);
    const model = await fitModel(options, task, { line, isNew: true });
    return { model, batch, close: async () => model.close() };
  }
  const task = await openTask(options, () => {});
  try {
    const model = await fitModel(options, task, { line, isNew: true });
    const close = async () => {
      model.close();
      await task.close();
    };
    for await (const batch of task.train.epoch(1, 0)) return { model, batch, loader: task.train, close };
  } catch (error) {
    await task.close();
    throw error;
  }
  await task.close();
  throw new UserError(`none of the training ${task.samples} could be read.`, 'see `scanline data check`.');
}

/** Steps over loaded batches, one epoch after the other; the batches before `warmup` do not count. */
async function withLoading({ step }: FitModel, loader: TaskLoader, settings: Settings): Promise<Measurement['loaded']> {
  const { steps, warmup, hyperparameters: h } = settings;
  const wanted = steps + warmup;
  let speed = new Speed();
  let done = 0;
  async function* batches(): AsyncGenerator<TaskBatch> {
    for (let epoch = 1; done < wanted; epoch++) yield* loader.epoch(epoch, 0);
  }
  const all = batches();
  while (done < wanted) {
    // the batches that were ready when the steps began would make the first ones look faster
    if (done === warmup) speed = new Speed();
    const counted = done < warmup ? warmup : wanted;
    for await (const batch of speed.watch(upTo(all, counted - done))) {
      await step.run(batch, h.learning_rate, done++);
      speed.step(batch.count);
    }
  }
  await all.return(undefined);
  const { millisecondsPerStep, imagesPerSecond, waiting } = speed.report();
  return { millisecondsPerStep, samplesPerSecond: imagesPerSecond, waiting };
}

/** The next few of what goes on afterwards. */
async function* upTo<Item>(items: AsyncIterator<Item>, count: number): AsyncGenerator<Item> {
  for (let i = 0; i < count; i++) {
    const { value, done } = await items.next();
    if (done) return;
    yield value;
  }
}

/** The trace of one more step, which takes longer than one that is not traced. */
async function traced({ trainee, step }: FitModel, batch: Source['batch'], number: number): Promise<StepCost> {
  let cost: StepCost | undefined;
  (trainee.model.runtime as CompiledRuntime).traceNextRun((metadata) => {
    cost = stepCost(metadata);
  });
  await step.run(batch, 0, number);
  return cost as StepCost;
}

/** @throws UserError for data or settings that the user must mend */
export async function measure(asked: Settings, report: Report): Promise<Measurement> {
  const gpu = backend.binding.isUsingGpuDevice();
  const { precision, note } = choosePrecision(asked.hyperparameters.precision, { gpu, eager: false });
  if (note !== undefined) report(note);
  const settings = { ...asked, hyperparameters: { ...asked.hyperparameters, precision } };
  const { hyperparameters: h, steps, warmup, threads } = settings;
  let description = '';
  const source = await open(settings, (text) => {
    description = text;
  }).catch((error) => {
    throw explain(error, { hyperparameters: h });
  });
  try {
    const { model, batch, loader } = source;
    await model.initialise();
    const before = process.memoryUsage.rss();
    const times: number[] = [];
    for (let number = 0; number < warmup + steps; number++) {
      report(number < warmup ? `warm-up ${number + 1} of ${warmup}` : `step ${number - warmup + 1} of ${steps}`);
      const start = performance.now();
      await model.step.run(batch, h.learning_rate, number);
      if (number >= warmup) times.push(performance.now() - start);
    }
    const peakMemory = process.resourceUsage().maxRSS * 1024;
    if (loader) report('steps with data loading');
    const loaded = loader && (await withLoading(model, loader, settings));
    report('a traced step');
    const cost = await traced(model, batch, warmup + steps);
    report('the peak of matrix products');
    const peak = await measurePeak({ threads, precision, gpu });
    const millisecondsPerStep = median(times);
    return {
      ...{ precision, millisecondsPerStep, samplesPerSecond: (batch.count * 1000) / millisecondsPerStep },
      ...(loaded && { loaded }),
      ...{ cost, peak, memory: { before, peak: peakMemory }, description },
    };
  } catch (error) {
    throw explain(error, { hyperparameters: h });
  } finally {
    await source.close();
  }
}
