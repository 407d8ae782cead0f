// The CDK app that `cdk deploy` and `scanline run` take: the example of examples/mni-planes as a training stack.
import { App } from 'aws-cdk-lib';
import { planes } from '../examples/mni-planes/settings';
import { TrainingStack } from '../lib/stacks/training-stack';

new TrainingStack(new App(), 'ScanlineTraining', {
  description: 'Tells the anatomical plane of an MRI slice: split, train, evaluate, gate, register',
  pipelineName: 'anatomical-plane',
  leastAccuracy: 0.9,
  ...planes,
});
