// SageMaker's `train`: trains on the job's channels, leaves the model in /opt/ml/model.
import { runEntryPoint, trainingEnvironment } from '../../../training/container';
import { fit } from '../../../training/engine/fit';
import { readHyperparameters } from '../../../training/settings';

runEntryPoint(async () => {
  const { hyperparametersFile, folders, ...places } = trainingEnvironment();
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  await fit({ hyperparameters, folders, ...places, signal: stop.signal });
});
