// SageMaker's `train`: trains on the job's channels, or runs the program that the job brings; leaves the model in /opt/ml/model.
import { runEntryPoint, trainingEnvironment } from '../../../training/container';
import { readHyperparameters } from '../../../training/settings';
import { runScript, scriptOf } from '../script-mode';

runEntryPoint(async () => {
  const script = scriptOf();
  if (script) return runScript(script);
  const { hyperparametersFile, folders, ...places } = trainingEnvironment();
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  // TensorFlow is loaded here alone: a program that the job brings loads it for itself
  const { fitFolds } = await import('../../../training/engine/cross-validation.js');
  const print = (text: string) => console.log(text);
  await fitFolds({ hyperparameters, folders, ...places, signal: stop.signal }, print);
});
