// The process that trains, as `train` starts it.
import { runEntryPoint, trainingEnvironment } from '../../training/container';
import { readHyperparameters } from '../../training/settings';

// without the one that looks after it, it would train on, and write, beside the one that takes its place
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
// which is no reason to stay when the training has ended
process.channel?.unref();

runEntryPoint(async () => {
  const { hyperparametersFile, folders, ...places } = trainingEnvironment();
  const hyperparameters = readHyperparameters({ hyperparametersFile, environment: process.env });
  const stop = new AbortController();
  // may come twice: to the whole process group, and passed on
  process.on('SIGTERM', () => stop.abort());
  // loads TensorFlow, during which a signal may come
  const { fitFolds } = await import('../../training/engine/cross-validation.js');
  const print = (text: string) => console.log(text);
  await fitFolds({ hyperparameters, folders, ...places, signal: stop.signal }, print);
});
