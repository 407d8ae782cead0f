// What a training moves: the network on its runtime, the step that moves it, and where its weights begin.
import { CompiledRuntime } from '../compiler/compiled';
import { EagerRuntime } from '../compiler/eager';
import type { Runtime } from '../compiler/runtime';
import { parameterCount } from '../models/network';
import { inspectMachine } from '../native/machine';
import { backend, native } from '../native/tensorflow';
import { inputOf, networkShape, trainingNetworkOf } from './artifact';
import type { Trainee } from './checkpoints/checkpoint';
import type { FitOptions } from './fit';
import { Model } from './model';
import { LossScale } from './optimization/loss-scale';
import { makeOptimizer } from './optimization/optimizers';
import { Updater } from './optimization/updater';
import { choosePrecision } from './precision';
import { Inference } from './prediction/inference';
import type { NetworkInput } from './prediction/preprocessing';
import type { Task } from './tasks';
import { TrainingStep } from './training-step';
import {
  describeTransfer,
  describeUntaught,
  frozenParameters,
  planTransfer,
  readPretrained,
  replaceable,
} from './weights/transfer';

export interface FitModel {
  /** The weights, and all that a checkpoint holds beside them. */
  readonly trainee: Trainee;
  readonly step: TrainingStep;
  readonly updater: Updater;
  /** By the averages of the weights, where they are averaged. */
  readonly inference: Inference;
  readonly lossScale: LossScale | undefined;
  /** All that was compiled, as a serialised GraphDef; undefined where it runs op by op. */
  graph(): Uint8Array | undefined;
  /** Draws the first weights, or takes those that are pretrained. */
  initialise(): Promise<void>;
  close(): void;
}

/**
 * @param isNew whether it begins with weights of its own, not with those of a checkpoint
 * @throws UserError for settings that contradict each other, or weights that do not fit
 */
export async function fitModel(
  options: FitOptions,
  task: Pick<Task, 'config' | 'loss'>,
  { line, isNew }: { line: (text: string) => void; isNew: boolean },
): Promise<FitModel> {
  const { hyperparameters: h, eager = false } = options;
  const threads = options.threads ?? inspectMachine().cores;
  native.setKernelThreads(threads);
  const gpu = backend.binding.isUsingGpuDevice();
  const { precision, note } = choosePrecision(h.precision, { gpu, eager });
  if (note !== undefined) line(note);
  const { config } = task;
  const network = trainingNetworkOf(config);
  const input = inputOf(config);
  const parts = replaceable(h, networkShape(config));
  const pretrained =
    h.pretrained === '' ? undefined : planTransfer(network, await readPretrained(h.pretrained), parts, h.pretrained);
  const frozen = frozenParameters(network, h.freeze);

  // ops side by side, as they are on a GPU, would keep what each of them needs at the same time
  const sparing = h.gradient_checkpointing && { concurrentOps: 1 };
  const runtime = eager ? new EagerRuntime() : new CompiledRuntime({ threads, precision, gpu, ...sparing });
  const model = new Model(network, runtime, (name) => frozen.has(name));
  const lossScale = precision === 'fp16' ? new LossScale() : undefined;
  const optimizer = makeOptimizer(runtime, model.trained, {
    name: h.optimizer,
    weightDecay: h.weight_decay,
    momentum: h.momentum,
    rateFactor: ({ name }) => (parts.head.has(name) ? 1 : h.backbone_lr_factor),
  });
  const updater = new Updater(runtime, model.trained, optimizer, {
    accumulate: h.accumulate_grad_batches,
    averageDecay: h.ema_decay,
    ...(h.gradient_clip_algorithm === 'norm' ? { clipNorm: h.gradient_clip_val } : { clipValue: h.gradient_clip_val }),
    ...(lossScale && { lossScale }),
  });
  // TensorFlow draws the weights on threads of its own while the step is recorded here
  const begun = isNew ? begin(runtime, model, updater, h.seed) : Promise.resolve();
  begun.catch(() => {});
  const step = new TrainingStep(runtime, model, updater, {
    ...input,
    loss: task.loss,
    seed: h.seed,
    checkpointing: h.gradient_checkpointing,
  });
  const count = parameterCount(network).toLocaleString('en');
  const still = frozen.size > 0 ? `, ${frozen.size} of ${network.parameters.length} tensors frozen` : '';
  line(
    `${h.model_name}: ${count} parameters${still}, ${describe(input)}, ${precision}, ` +
      `${eager ? 'eager' : 'compiled'}, ${threads} threads`,
  );
  const inference = new Inference(runtime, model, input, updater.averages);
  return {
    trainee: { model, state: updater.state, averages: updater.averages },
    step,
    updater,
    inference,
    lossScale,
    graph: () => (runtime instanceof CompiledRuntime ? runtime.graphDefinition() : undefined),
    initialise: async () => {
      await begun;
      if (!pretrained) return;
      const notes = [...describeTransfer(pretrained, h.pretrained), ...describeUntaught(pretrained, frozen)];
      for (const text of notes) line(text);
      await model.loadPart(pretrained.taken);
      await updater.startAverages();
    },
    close: () => runtime.dispose(),
  };
}

/** First values of all variables, by one program: each one more takes TensorFlow's preparations anew. */
async function begin(runtime: Runtime, model: Model, updater: Updater, seed: number): Promise<void> {
  const program = runtime.program({}, () => {
    model.draw(seed);
    updater.reset();
    return {};
  });
  await program.run({});
}

/** The samples of a network, channels first as people say them. */
function describe({ sample }: NetworkInput): string {
  const [channels, ...size] = [sample.at(-1), ...sample.slice(0, -1)];
  return `${channels} x ${size.join(' x ')} ${size.length === 2 ? 'images' : 'crops'}`;
}
