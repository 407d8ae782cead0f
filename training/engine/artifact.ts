// A trained classifier in a folder: weights, what rebuilds the network, its classes, and a SavedModel for TensorFlow.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Runtime } from '../compiler/runtime';
import { writeSavedModel } from '../compiler/saved-model';
import type { ImageSize } from '../data/decode';
import { LABEL_FILE, labelsToJson } from '../data/labels';
import { UserError } from '../errors';
import type { Hyperparameters } from '../hyperparameters';
import { buildNetwork } from '../models';
import type { Network } from '../models/network';
import { tensorflowVersion } from '../native/install';
import { flavour } from '../native/tensorflow';
import { Inference } from './inference';
import { Model, type Weights } from './model';
import { normalize, probabilities } from './preprocessing';
import { readSafetensors, writeSafetensors } from './safetensors';

/** What config.json holds: all that a network is rebuilt from, besides its weights. */
export interface ClassifierConfig {
  readonly format: 'scanline-classifier';
  readonly version: 1;
  readonly hyperparameters: Hyperparameters;
  readonly image: ImageSize;
  readonly classes: readonly string[];
}

/** How good a model was in validation: what score.json holds. */
export interface Score {
  readonly epoch: number;
  /** Name of the metric. */
  readonly monitor: string;
  readonly mode: 'min' | 'max';
  readonly score: number;
}

export const SCORE_FILE = 'score.json';
const CONFIG_FILE = 'config.json';
const WEIGHTS_FILE = 'model.safetensors';
const SAVED_MODEL_FOLDER = 'saved_model';

export function networkOf({ hyperparameters, image, classes }: ClassifierConfig): Network {
  return buildNetwork(hyperparameters, {
    inChannels: image.channels,
    classes: classes.length,
    imageSize: [image.height, image.width],
  });
}

/** Writes weights and what rebuilds their network. MONAI's network takes the weights by `load_state_dict`. */
export async function writeWeights(folder: string, weights: Weights, config: ClassifierConfig): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(join(folder, LABEL_FILE), labelsToJson(config.classes));
  await writeSafetensors(join(folder, WEIGHTS_FILE), weights);
}

export function readWeights(folder: string): Promise<Weights> {
  return readSafetensors(join(folder, WEIGHTS_FILE));
}

/** Writes the SavedModel beside the weights: raw pixel values [null, H, W, C] in, `probabilities` and `logits` out. */
export async function writeServable(folder: string, model: Model, config: ClassifierConfig): Promise<void> {
  const { height, width, channels } = config.image;
  const frozen = await model.frozen();
  const body = ({ images }: Record<string, Tensor>) => {
    const logits = frozen(normalize(images as Tensor, config.hyperparameters.normalize));
    return { probabilities: probabilities(logits), logits };
  };
  const inputs = { images: { dtype: 'float32', shape: [-1, height, width, channels] } } as const;
  await writeSavedModel(join(folder, SAVED_MODEL_FOLDER), inputs, body, tensorflowVersion(flavour));
}

/** Where training puts models, below what it was given as --out or model_dir. */
function modelFoldersBelow(folder: string): string[] {
  const isFolder = (path: string) => existsSync(path) && statSync(path).isDirectory();
  const children = (path: string) => (isFolder(path) ? readdirSync(path).map((name) => join(path, name)) : []);
  const places = [folder, join(folder, 'model'), ...children(folder).flatMap((path) => [path, join(path, 'model')])];
  return places
    .flatMap(children)
    .filter((path) => /^best_model_\d+$/.test(basename(path)) && existsSync(join(path, CONFIG_FILE)));
}

/** The best, by their scores, of the models of the training that a model is of. */
function bestBeside(path: string): string {
  const scored = modelFoldersBelow(dirname(path))
    .filter((other) => dirname(other) === dirname(path) && existsSync(join(other, SCORE_FILE)))
    .map((other) => ({ other, ...(JSON.parse(readFileSync(join(other, SCORE_FILE), 'utf8')) as Score) }));
  const better = (a: Score, b: Score) => (a.mode === 'min' ? a.score < b.score : a.score > b.score);
  return scored.length === 0 ? path : scored.reduce((a, b) => (better(b, a) ? b : a)).other;
}

/**
 * The folder of a classifier: `folder` itself, or the best best_model_* of the newest training below it.
 *
 * @throws UserError when there is none
 */
export function findArtifact(folder: string): string {
  if (existsSync(join(folder, CONFIG_FILE))) return folder;
  const age = (path: string) => statSync(join(path, CONFIG_FILE)).mtimeMs;
  const newest = modelFoldersBelow(folder).sort((a, b) => age(b) - age(a))[0];
  if (newest !== undefined) return bestBeside(newest);
  throw new UserError(
    `${folder} holds no trained model: no ${CONFIG_FILE} and no best_model_*.`,
    'give the folder that training wrote to --out.',
  );
}

export function readConfig(folder: string): ClassifierConfig {
  const path = join(folder, CONFIG_FILE);
  const config = JSON.parse(readFileSync(path, 'utf8')) as ClassifierConfig;
  if (config.format === 'scanline-classifier' && config.version === 1) return config;
  throw new UserError(
    `${path} is ${config.format} version ${config.version}, which this Scanline does not know.`,
    'use the Scanline that wrote it.',
  );
}

/** A classifier ready to be asked. */
export interface OpenClassifier {
  readonly config: ClassifierConfig;
  readonly inference: Inference;
}

/**
 * Loads a classifier into a runtime.
 *
 * @throws UserError when the folder holds none, or it is damaged
 */
export async function openClassifier(folder: string, runtime: Runtime): Promise<OpenClassifier> {
  const path = findArtifact(folder);
  const config = readConfig(path);
  const model = new Model(networkOf(config), runtime);
  await model.load(await readWeights(path));
  return { config, inference: new Inference(runtime, model, config.image, config.hyperparameters.normalize) };
}
