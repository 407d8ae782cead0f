// The shortest useful app: `cdk deploy --app 'node dist/examples/minimal/app.js'`.
import { App } from 'aws-cdk-lib';
import { TrainingStack } from 'scanline-sagemaker';

new TrainingStack(new App(), 'Chest', {
  pipelineName: 'chest-xray',
  groupBy: 'pattern:^(patient\\d+)_', // no patient in two parts
  leastAccuracy: 0.9, // what is worse is not registered
  hyperparameters: { model_name: 'densenet121', img_size: [224], batch_size: 32, num_epochs: 20, precision: 'bf16' },
});
