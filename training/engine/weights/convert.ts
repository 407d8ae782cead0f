// Weights in and out of model folders: a PyTorch or MONAI state dict becomes a model, a model becomes a state dict.

import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { CompiledRuntime } from '../../compiler/compiled';
import { askedModalities } from '../../data/volumes/recipe';
import { shapeOf } from '../../data/volumes/volume';
import { UserError } from '../../errors';
import type { Hyperparameters } from '../../hyperparameters';
import { buildNetwork, type NetworkShape } from '../../models';
import type { Network } from '../../models/network';
import { packageRoot } from '../../native/cache';
import { inspectMachine } from '../../native/machine';
import {
  findArtifact,
  inputOf,
  type ModelConfig,
  networkOf,
  readConfig,
  readWeights,
  type SegmenterConfig,
  writeServable,
  writeWeights,
} from '../artifact';
import { Model, torchShape, toStateDict, type Weights } from '../model';
import { readSafetensors, writeSafetensors } from './safetensors';
import { unwrapped } from './transfer';

/** The suffixes of PyTorch's own files, which are programs for Python's unpickler. */
const PICKLED = new Set(['.pt', '.pth', '.ckpt', '.bin']);

/** @throws UserError for a file of PyTorch's own, with the command that turns it into one that can be read */
export async function readStateDict(path: string): Promise<Weights> {
  if (!existsSync(path)) throw new UserError(`there is no file ${path}.`, 'check the path.');
  if (PICKLED.has(extname(path))) {
    const target = `${basename(path, extname(path))}.safetensors`;
    throw new UserError(
      `${path} is a file of PyTorch's own, which only Python can read.`,
      `python3 ${join(packageRoot, 'training', 'weights_to_safetensors.py')} ${path} ${target}`,
    );
  }
  return readSafetensors(path);
}

/** How many channels the first layer of a network takes in a state dict; 1 where the state dict has no such layer. */
function channelsOfWeights(given: Weights, hyperparameters: Hyperparameters, shape: Omit<NetworkShape, 'inChannels'>) {
  const [one, two] = [1, 2].map((inChannels) => buildNetwork(hyperparameters, { ...shape, inChannels })) as [
    Network,
    Network,
  ];
  const weights = unwrapped(given, one);
  for (const [n, spec] of one.parameters.entries()) {
    const wider = torchShape(two.parameters[n] as typeof spec);
    const axis = torchShape(spec).findIndex((length, place) => length !== wider[place]);
    const found = axis < 0 ? undefined : weights.get(spec.name)?.shape[axis];
    if (found !== undefined) return found;
  }
  return 1;
}

/**
 * The configuration of a segmenter whose weights come from elsewhere; label values are 0, 1, 2 ... in the order of the classes.
 *
 * @throws UserError when there are other modalities than the weights have channels, or the hyperparameters contradict each other
 */
export function segmenterConfig(
  weights: Weights,
  hyperparameters: Hyperparameters,
  classes: readonly string[],
): SegmenterConfig {
  const shape = shapeOf(hyperparameters.roi_size);
  const of = { classes: classes.length, imageSize: shape };
  const channels = channelsOfWeights(weights, { ...hyperparameters, deep_supervision: false }, of);
  const modalities = askedModalities(hyperparameters) ?? ['image'];
  if (modalities.length > 1 && modalities.length !== channels)
    throw new UserError(
      `the weights take ${channels} channels; there are ${modalities.length} modalities: ${modalities.join(', ')}.`,
      'name one modality for each channel, or none where all images of a subject are read.',
    );
  return {
    ...{ format: 'scanline-segmenter', version: 1, hyperparameters },
    window: { shape, channels },
    ...{ modalities, classes, labels: classes.map((_, value) => value) },
  };
}

/**
 * Writes a model folder with the weights of a state dict: weights, configuration and SavedModel, as training leaves them.
 *
 * @throws UserError naming every weight that does not fit
 */
export async function weightsToModel(weights: Weights, config: ModelConfig, folder: string): Promise<void> {
  const runtime = new CompiledRuntime({ threads: inspectMachine().cores });
  try {
    const network = networkOf(config);
    const model = new Model(network, runtime);
    await model.load(unwrapped(weights, network));
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
