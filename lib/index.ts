// What a CDK app imports: stages, stacks, and the pipeline language that they are written in.
export * from './pipeline';
export * from './stacks/training-stack';
export * from './stages/byoc-image';
export { CapacityFallback, type CapacityFallbackProps } from './stages/capacity-fallback/capacity-fallback';
export * from './stages/dataset';
export * from './stages/evaluation';
export { JobRole, type JobRoleProps, PipelineRole, type PipelineRoleProps } from './stages/execution-role';
export * from './stages/quality-gate';
export * from './stages/registration';
export * from './stages/sagemaker-pipeline';
export * from './stages/split';
export { ByocTraining, type ByocTrainingProps, type TrainingHyperparameters } from './stages/training/byoc-training';
export type { Framework } from './stages/training/framework-image';
export type { Launcher, LauncherProps } from './stages/training/launcher';
export {
  PACKED_FILES_METADATA,
  ScriptModeTraining,
  type ScriptModeTrainingProps,
} from './stages/training/script-mode-training';
export type { PackedFile } from './stages/training/source-package';
export type { FileSystemChannel, InputMode, S3Channel, TrainingChannel } from './stages/training/training-channel';
export { RETRY_ON_CAPACITY, type TrainingSettings } from './stages/training/training-settings';
export type { TrainedModel } from './stages/training/training-stage';
export * from './stages/transform';
export {
  type CategoricalRange,
  type CategoricalValue,
  categorical,
  continuous,
  type HyperparameterRange,
  integer,
  type NumberRange,
  type Scaling,
  type ScalingOptions,
} from './stages/tuning/hyperparameter-range';
export { Tuning } from './stages/tuning/tuning';
export type { TunedImage, TunedScript, TuningProps, TuningStrategy } from './stages/tuning/tuning-props';
