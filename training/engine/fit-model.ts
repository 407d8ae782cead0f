// What a training moves: the network on its runtime, the step that moves it, and where its weights begin.
import { CompiledRuntime } from '../compiler/compiled';
import { EagerRuntime } from '../compiler/eager';
import { UserError } from '../errors';
import type { Hyperparameters } from '../hyperparameters';
import { makeLoss } from '../losses';
import { parameterCount } from '../models/network';
import { inspectMachine } from '../native/machine';
import { backend, native } from '../native/tensorflow';
import { type ClassifierConfig, networkOf } from './artifact';
import type { Trainee } from './checkpoint';
import type { FitOptions } from './fit';
import type { FitData } from './fit-data';
import { Inference } from './inference';
import { Model } from './model';
import { LossScale } from './optimization/loss-scale';
import { makeOptimizer } from './optimization/optimizers';
import type { Updater } from './optimization/updater';
import { choosePrecision } from './precision';
import { TrainingStep } from './training-step';
import { describeTransfer, frozenParameters, planTransfer, readPretrained, replaceable } from './transfer';

export interface FitModel {
  readonly config: ClassifierConfig;
  /** The weights, and all that a checkpoint holds beside them. */
  readonly trainee: Trainee;
  readonly step: TrainingStep;
  readonly updater: Updater;
  /** By the averages of the weights, where they are averaged. */
  readonly inference: Inference;
  readonly lossScale: LossScale | undefined;
  /** All that was compiled, as a serialised GraphDef; undefined where it runs op by op. */
  readonly graph: Uint8Array | undefined;
  /** Draws the first weights, or takes those that are pretrained. */
  initialise(): Promise<void>;
  dispose(): void;
}

/** @throws UserError for settings that contradict each other, or weights that do not fit */
export async function fitModel(options: FitOptions, data: FitData, line: (text: string) => void): Promise<FitModel> {
  const { hyperparameters: h, eager = false } = options;
  const threads = options.threads ?? inspectMachine().cores;
  native.setKernelThreads(threads);
  const gpu = backend.binding.isUsingGpuDevice();
  const { precision, note } = choosePrecision(h.precision, { gpu, eager });
  if (note !== undefined) line(note);
  const { image } = data;
  const { classes } = data.folders;
  const config: ClassifierConfig = { format: 'scanline-classifier', version: 1, hyperparameters: h, image, classes };
  const network = networkOf(config);
  const shape = {
    inChannels: image.channels,
    classes: classes.length,
    imageSize: [image.height, image.width],
  } as const;
  const parts = replaceable(h, shape);
  const pretrained =
    h.pretrained === '' ? undefined : planTransfer(network, await readPretrained(h.pretrained), parts, h.pretrained);
  const frozen = frozenParameters(network, h.freeze);

  const runtime = eager ? new EagerRuntime() : new CompiledRuntime({ threads, precision, gpu });
  const model = new Model(network, runtime, (name) => frozen.has(name));
  const lossScale = precision === 'fp16' ? new LossScale() : undefined;
  const optimizer = makeOptimizer(runtime, model.trained, {
    name: h.optimizer,
    weightDecay: h.weight_decay,
    momentum: h.momentum,
    rateFactor: ({ name }) => (parts.head.has(name) ? 1 : h.backbone_lr_factor),
  });
  const step = new TrainingStep(runtime, model, optimizer, {
    image,
    normalize: h.normalize,
    loss: classifierLoss(h, data.classWeights),
    seed: h.seed,
    accumulate: h.accumulate_grad_batches,
    averageDecay: h.ema_decay,
    ...(h.gradient_clip_algorithm === 'norm' ? { clipNorm: h.gradient_clip_val } : { clipValue: h.gradient_clip_val }),
    ...(lossScale && { lossScale }),
  });
  const { updater } = step;
  const count = parameterCount(network).toLocaleString('en');
  const still = frozen.size > 0 ? `, ${frozen.size} of ${network.parameters.length} tensors frozen` : '';
  line(
    `${h.model_name}: ${count} parameters${still}, ${image.channels} x ${image.height} x ${image.width} images, ${precision}, ` +
      `${eager ? 'eager' : 'compiled'}, ${threads} threads`,
  );
  const inference = new Inference(runtime, model, image, h.normalize, updater.averages);
  return {
    config,
    trainee: { model, state: updater.state, averages: updater.averages },
    step,
    updater,
    inference,
    lossScale,
    graph: runtime instanceof CompiledRuntime ? runtime.graphDefinition() : undefined,
    initialise: async () => {
      await model.initialise(h.seed);
      if (pretrained) {
        for (const text of describeTransfer(pretrained, h.pretrained)) line(text);
        await model.loadPart(pretrained.taken);
      }
      await updater.initialise();
    },
    dispose: () => runtime.dispose(),
  };
}

/** @throws UserError for a loss that is for segmentation */
function classifierLoss(h: Hyperparameters, classWeights: readonly number[] | undefined) {
  const name = h.loss === 'auto' ? 'cross_entropy' : h.loss;
  if (name !== 'cross_entropy' && name !== 'focal') {
    throw new UserError(
      `loss is ${h.loss}, which compares regions: it is for segmentation.`,
      'choose cross_entropy or focal for classes.',
    );
  }
  return makeLoss({ name, classWeights, labelSmoothing: h.label_smoothing, gamma: h.focal_gamma });
}
