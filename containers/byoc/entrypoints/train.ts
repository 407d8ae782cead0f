// SageMaker's `train`: trains on the job's channels, leaves the model in /opt/ml/model.
import { runEntryPoint, trainingEnvironment } from '../../../training/container';
import { fitFolds } from '../../../training/engine/cross-validation';
import { readHyperparameters } from '../../../training/settings';

runEntryPoint(async () => {
  const { hyperparametersFile, folders, ...places } = trainingEnvironment();
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  await fitFolds({ hyperparameters, folders, ...places, signal: stop.signal }, (text) => console.log(text));
});
