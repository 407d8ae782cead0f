// SageMaker's `train`: trains on the job's channels, or runs the program that the job brings; leaves the model in /opt/ml/model.
import { join } from 'node:path';
import { runEntryPoint, trainingEnvironment } from '../../../training/container';
import { readHyperparameters } from '../../../training/settings';
import { runScript, scriptOf } from '../script-mode';
import { supervise } from '../supervise';

runEntryPoint(async () => {
  const script = scriptOf();
  if (script) return runScript(script);
  const environment = trainingEnvironment();
  const { hyperparametersFile } = environment;
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  // TensorFlow is loaded there alone: a program that the job brings loads it for itself
  await supervise(join(__dirname, '..', 'trainer.js'), environment, hyperparameters);
});
