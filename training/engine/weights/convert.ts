// Weights in and out of model folders: a PyTorch or MONAI state dict becomes a model, a model becomes a state dict.

import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { CompiledRuntime } from '../../compiler/compiled';
import { UserError } from '../../errors';
import { packageRoot } from '../../native/cache';
import { inspectMachine } from '../../native/machine';
import {
  findArtifact,
  inputOf,
  type ModelConfig,
  networkOf,
  readConfig,
  readWeights,
  writeServable,
  writeWeights,
} from '../artifact';
import { Model, toStateDict, type Weights } from '../model';
import { readSafetensors, writeSafetensors } from './safetensors';
import { unwrapped } from './transfer';

/** The suffixes of PyTorch's own files, which are programs for Python's unpickler. */
const PICKLED = new Set(['.pt', '.pth', '.ckpt', '.bin']);

/** @throws UserError for a file of PyTorch's own, with the command that turns it into one that can be read */
async function readStateDict(path: string): Promise<Weights> {
  if (!existsSync(path)) throw new UserError(`there is no file ${path}.`, 'check the path.');
  if (PICKLED.has(extname(path))) {
    const target = `${basename(path, extname(path))}.safetensors`;
    throw new UserError(
      `${path} is a file of PyTorch's own, which only Python can read.`,
      `python3 ${join(packageRoot, 'training', 'weights_to_safetensors.py')} ${path} ${target}`,
    );
  }
  return unwrapped(await readSafetensors(path));
}

/**
 * Writes a model folder with the weights of a state dict: weights, configuration and SavedModel, as training leaves them.
 *
 * @throws UserError when there is no such file, or naming every weight that does not fit
 */
export async function weightsToModel(path: string, config: ModelConfig, folder: string): Promise<void> {
  const weights = await readStateDict(path);
  const runtime = new CompiledRuntime({ threads: inspectMachine().cores });
  try {
    const network = networkOf(config);
    const model = new Model(network, runtime);
    await model.load(weights);
    await writeWeights(folder, toStateDict(network, await model.values(), 0), config);
    await writeServable(folder, model, config);
  } finally {
    runtime.dispose();
  }
}

/**
 * Writes the weights of a model as a state dict, which MONAI's network takes by `load_state_dict(safetensors.torch.load_file(path))`.
 *
 * @returns how many tensors there are
 * @throws UserError when the folder holds no model
 */
export async function modelToWeights(folder: string, path: string): Promise<number> {
  const artifact = findArtifact(folder);
  const weights = await readWeights(artifact);
  const config = readConfig(artifact);
  const { hyperparameters, classes } = config;
  await writeSafetensors(path, weights, {
    network: hyperparameters.model_name,
    classes: JSON.stringify(classes),
    sample: JSON.stringify(inputOf(config).sample),
  });
  return weights.size;
}

/** The configuration of an existing model. @throws UserError when the folder holds none */
export function configOf(folder: string): ModelConfig {
  return readConfig(findArtifact(folder));
}
