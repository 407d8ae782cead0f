// SageMaker's `train`: trains on the job's channels, and leaves the model in /opt/ml/model.
import { join } from 'node:path';
import { runEntryPoint, trainingEnvironment } from '../../../training/container';
import { readHyperparameters } from '../../../training/settings';
import { supervise } from '../supervise';

runEntryPoint(async () => {
  const environment = trainingEnvironment();
  const { hyperparametersFile } = environment;
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  // TensorFlow is loaded there alone
  await supervise(join(__dirname, '..', 'trainer.js'), environment, hyperparameters);
});
