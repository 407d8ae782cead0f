// How the anatomical planes are split and trained: for `npm start` and for the bench, which holds the result to MONAI's.
import type { TrainingStackProps } from '../../lib/stacks/training-stack';

export const planes = {
  // a block of neighbouring slices, as one would use the patient
  groupBy: 'pattern:^[a-z]+_b\\d+',
  fractions: [0.64, 0.16, 0.2],
  hyperparameters: {
    model_name: 'densenet121',
    img_size: [64],
    batch_size: 16,
    num_epochs: 12,
    val_interval: 3,
    learning_rate: 4e-4,
    lr_schedule: 'onecycle',
    precision: 'bf16',
    rotate: 15,
    zoom: 0.3,
    augment_prob: 0.8,
  },
} satisfies TrainingStackProps;
