// A trained model in a folder: weights, what rebuilds the network, its classes, and a SavedModel for TensorFlow.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import type { Runtime } from '../compiler/runtime';
import { writeSavedModel } from '../compiler/saved-model';
import type { ImageSize } from '../data/decode';
import { LABEL_FILE, labelsToJson } from '../data/labels';
import type { Shape } from '../data/volumes/volume';
import { UserError } from '../errors';
import type { Hyperparameters } from '../hyperparameters';
import { buildNetwork, type NetworkShape } from '../models';
import type { Network } from '../models/network';
import { tensorflowVersion } from '../native/install';
import { flavour } from '../native/tensorflow';
import { Model, type Weights } from './model';
import { Inference } from './prediction/inference';
import { imageInput, type NetworkInput, probabilities, windowInput } from './prediction/preprocessing';
import { readSafetensors, writeSafetensors } from './weights/safetensors';

/** What config.json holds: all that a network is rebuilt from, besides its weights. */
export interface ClassifierConfig {
  /** Tells a classifier from a segmenter. */
  readonly format: 'scanline-classifier';
  /** Of this format. */
  readonly version: 1;
  /** All of them: what the network was built from and trained with. */
  readonly hyperparameters: Hyperparameters;
  /** Pixels and channels of the images that the network sees. */
  readonly image: ImageSize;
  /** Names of the classes, in the order of the logits. */
  readonly classes: readonly string[];
}

/** What config.json holds of a network that gives a class to each voxel. */
export interface SegmenterConfig {
  /** Tells a segmenter from a classifier. */
  readonly format: 'scanline-segmenter';
  /** Of this format. */
  readonly version: 1;
  /** All of them: what the network was built from and trained with. */
  readonly hyperparameters: Hyperparameters;
  /** What the network sees: windows of prepared volumes. */
  readonly window: { readonly shape: Shape; readonly channels: number };
  /** Names of the channels, in their order. */
  readonly modalities: readonly string[];
  /** Names of the classes, the background first, in the order of the logits. */
  readonly classes: readonly string[];
  /** What stands for each class in label volumes. */
  readonly labels: readonly number[];
  /** The value of voxels that do not count; it may be that of a class. @default all count */
  readonly ignored?: number;
}

/** What config.json holds; its `format` tells which of the two it is. */
export type ModelConfig = ClassifierConfig | SegmenterConfig;

/** What the network of a model is fed with. */
export function inputOf(config: ModelConfig): NetworkInput {
  return config.format === 'scanline-segmenter'
    ? windowInput(config.window.shape, config.window.channels)
    : imageInput(config.image, config.hyperparameters.normalize);
}

/** The number that voxels have which do not count: that of their class, or where they are of none the one beyond the last. */
export function ignoredNumber({ ignored, labels }: SegmenterConfig): number | undefined {
  if (ignored === undefined) return undefined;
  const place = labels.indexOf(ignored);
  return place < 0 ? labels.length : place;
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
const FORMATS: ReadonlySet<string> = new Set(['scanline-classifier', 'scanline-segmenter']);

const CONFIG_FILE = 'config.json';
const WEIGHTS_FILE = 'model.safetensors';
const SAVED_MODEL_FOLDER = 'saved_model';

/** What the data decided of a network. */
export function networkShape(config: ModelConfig): NetworkShape {
  const { sample } = inputOf(config);
  return { inChannels: sample.at(-1) as number, classes: config.classes.length, imageSize: sample.slice(0, -1) };
}

/** The network that a trained model has. @throws UserError when the hyperparameters contradict each other */
export function networkOf(config: ModelConfig): Network {
  return buildNetwork({ ...config.hyperparameters, deep_supervision: false }, networkShape(config));
}

/** The network with what is of use to training alone. @throws UserError when the hyperparameters contradict each other */
export function trainingNetworkOf(config: ModelConfig): Network {
  return buildNetwork(config.hyperparameters, networkShape(config));
}

/** Writes weights and what rebuilds their network. MONAI's network takes the weights by `load_state_dict`. */
export async function writeWeights(folder: string, weights: Weights, config: ModelConfig): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, CONFIG_FILE), `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(join(folder, LABEL_FILE), labelsToJson(config.classes));
  await writeSafetensors(join(folder, WEIGHTS_FILE), weights);
}

/** The weights in a model's folder, by the names of MONAI's state dict. @throws UserError where the file is damaged */
export function readWeights(folder: string): Promise<Weights> {
  return readSafetensors(join(folder, WEIGHTS_FILE));
}

/**
 * Writes the SavedModel beside the weights, `probabilities` and `logits` out. In: raw pixel values [null, H, W, C] of images; of volumes
 * windows [null, I, J, K, C] that are prepared as the hyperparameters say.
 */
export async function writeServable(folder: string, model: Model, config: ModelConfig): Promise<void> {
  const frozen = await model.frozen();
  const { sample, prepare } = inputOf(config);
  const body = ({ images }: Record<string, Tensor>) => {
    const logits = frozen(prepare(images as Tensor));
    return { probabilities: probabilities(logits), logits };
  };
  const inputs = { images: { dtype: 'float32', shape: [-1, ...sample] } } as const;
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

export function readConfig(folder: string): ModelConfig {
  const path = join(folder, CONFIG_FILE);
  const config = JSON.parse(readFileSync(path, 'utf8')) as ModelConfig;
  if (FORMATS.has(config.format) && config.version === 1) return config;
  throw new UserError(
    `${path} is ${config.format} version ${config.version}, which this Scanline does not know.`,
    'use the Scanline that wrote it.',
  );
}

/** A model ready to be asked. */
export interface OpenModel<Config extends ModelConfig = ModelConfig> {
  readonly config: Config;
  readonly inference: Inference;
}

export type OpenClassifier = OpenModel<ClassifierConfig>;

/** Whether a model says of an image what it is, and not of each voxel of a volume. */
export function classifies(model: OpenModel): model is OpenClassifier {
  return model.config.format === 'scanline-classifier';
}

/**
 * Loads a model into a runtime.
 *
 * @throws UserError when the folder holds none, or it is damaged
 */
export async function openModel(folder: string, runtime: Runtime): Promise<OpenModel> {
  const path = findArtifact(folder);
  const config = readConfig(path);
  const model = new Model(networkOf(config), runtime);
  const inference = new Inference(runtime, model, inputOf(config));
  const loaded = model.load(await readWeights(path));
  // here, while TensorFlow takes the weights on threads of its own
  inference.record();
  await loaded;
  return { config, inference };
}
