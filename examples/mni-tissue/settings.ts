// How the tissue segmentation is split and trained: for `npm start -- --task segmentation` and for the bench, which holds it to MONAI's.
import type { TrainingStackProps } from '../../lib/stacks/training-stack';

export const tissue = {
  task: 'segmentation',
  // training and validation volumes come in parts; the test part is half of the latter: all are crops of one brain, and of its back half
  fractions: [0.75, 0.125, 0.125],
  hyperparameters: {
    model_name: 'segresnet',
    init_filters: 8,
    roi_size: [48],
    batch_size: 2,
    num_epochs: 24,
    val_interval: 12,
    learning_rate: 2e-3,
    lr_schedule: 'onecycle',
    precision: 'bf16',
  },
} satisfies TrainingStackProps;
