// The CDK app that `cdk deploy` and `scanline run` take: the example of examples/mni-planes as a training stack.
import { App } from 'aws-cdk-lib';
import { TrainingStack } from '../lib/stacks/training-stack';

const app = new App();

new TrainingStack(app, 'ScanlineTraining', {
  description: 'Tells the anatomical plane of an MRI slice: split, train, evaluate, gate, register',
  pipelineName: 'anatomical-plane',
  // a block of neighbouring slices, as one would use the patient
  groupBy: 'pattern:^[a-z]+_b\\d+',
  fractions: [0.64, 0.16, 0.2],
  leastAccuracy: 0.9,
  hyperparameters: {
    model_name: 'densenet121',
    img_size: [64],
    batch_size: 16,
    num_epochs: 12,
    val_interval: 3,
    lr_schedule: 'onecycle',
    precision: 'bf16',
    rotate: 15,
    zoom: 0.3,
    augment_prob: 0.8,
  },
});
