// A task without data: samples of the shape that the hyperparameters ask for, made of numbers.
import { shapeOf } from '../data/volumes/volume';
import type { SegmenterConfig } from '../engine/artifact';
import { type ClassifierConfig, inputOf } from '../engine/artifact';
import type { TaskBatch } from '../engine/tasks/task';
import { type Hyperparameters, taskOf } from '../hyperparameters';
import { type Loss, makeLoss } from '../losses';
import { pair } from '../models';

export interface SyntheticTask {
  readonly config: ClassifierConfig | SegmenterConfig;
  readonly loss: Loss;
  readonly batch: Omit<TaskBatch, 'number'>;
}

const CLASSES = ['0', '1'] as const;

function configOf(h: Hyperparameters): ClassifierConfig | SegmenterConfig {
  if (taskOf(h.model_name) === 'segmentation') {
    return {
      ...{ format: 'scanline-segmenter', version: 1, hyperparameters: h },
      ...{ window: { shape: shapeOf(h.roi_size), channels: 1 }, modalities: ['image'] },
      ...{ classes: CLASSES, labels: [0, 1] },
    };
  }
  const [height, width] = pair(h.img_size);
  const channels = h.in_channels === 'auto' ? 1 : Number(h.in_channels);
  return {
    ...{ format: 'scanline-classifier', version: 1, hyperparameters: h },
    ...{ image: { height, width, channels }, classes: CLASSES },
  };
}

/** Two classes, one channel unless in_channels says otherwise; the loss that the task has by default. */
export function syntheticTask(h: Hyperparameters): SyntheticTask {
  const config = configOf(h);
  const { sample } = inputOf(config);
  const segments = config.format === 'scanline-segmenter';
  const voxels = sample.slice(0, -1).reduce((product, length) => product * length, 1);
  const size = h.batch_size * sample.reduce((product, length) => product * length, 1);
  return {
    config,
    loss: makeLoss({ name: segments ? 'dice_ce' : 'cross_entropy' }),
    batch: {
      count: h.batch_size,
      images: Float32Array.from({ length: size }, (_, i) => ((i * 7919) % 251) / (segments ? 251 : 1)),
      labels: Int32Array.from({ length: segments ? h.batch_size * voxels : h.batch_size }, (_, i) => i % 2),
    },
  };
}
