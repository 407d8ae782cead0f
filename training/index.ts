/**
 * The trainer as a library: what scripts of one's own import. Loading it loads TensorFlow, which `scanline setup` provides.
 *
 * @module scanline-sagemaker/training
 */
export { describeSplit, parseGroupKey, type SplitOptions, type SplitReport, split } from './data/split';
export {
  type ClassifierConfig,
  type ModelConfig,
  openModel,
  readWeights,
  type SegmenterConfig,
} from './engine/artifact';
export { type FitOptions, type FitResult, fit } from './engine/fit';
export {
  SegmentationCounter,
  type SegmentationCounterOptions,
  type SegmentationMetrics,
} from './engine/metrics/segmentation';
export { averageSurfaceDistance, hausdorffDistance, surfaceDistances } from './engine/metrics/surface';
export { openClassifier, openForInference, type Prediction, predict } from './engine/prediction/predict';
export { modelQualityReport } from './engine/prediction/report';
export {
  type Predict,
  type SlidingWindowOptions,
  slidingWindow,
  slidingWindowSlabs,
} from './engine/prediction/sliding-window';
export { readSafetensors, writeSafetensors } from './engine/weights/safetensors';
export { UserError } from './errors';
export { HYPERPARAMETERS, type Hyperparameters, METRICS } from './hyperparameters';
export { type Loss, type LossName, type LossOptions, makeLoss } from './losses';
export { buildNetwork } from './models';
export { DENSENET_VARIANTS, type DenseNetOptions, densenet } from './models/densenet';
export { type Network, parameterCount } from './models/network';
export { type ViTOptions, vit } from './models/vit';
export { readHyperparameters, type Sources } from './settings';
