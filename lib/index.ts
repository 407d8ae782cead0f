// What a CDK app imports: stages, stacks, and the pipeline language that they are written in.
export * from './pipeline';
export * from './stacks/training-stack';
export * from './stages/byoc-image';
export { CapacityFallback, type CapacityFallbackProps } from './stages/capacity-fallback/capacity-fallback';
export * from './stages/dataset';
export {
  ApprovedModelEndpoint,
  type ApprovedModelEndpointProps,
  type ApprovedVariant,
} from './stages/endpoint/approved-model-endpoint';
export { Endpoint, type EndpointProps } from './stages/endpoint/endpoint';
export { EndpointDeployment, type EndpointDeploymentProps } from './stages/endpoint/endpoint-deployment';
export type { EndpointAlarmOptions, EndpointMetricOptions } from './stages/endpoint/endpoint-metrics';
export type {
  AsyncInference,
  DataCapture,
  EndpointAutoscaling,
  EndpointModel,
  EndpointSettings,
  EndpointUpdate,
  EndpointVariant,
  ExistingModel,
  ModelDataSource,
  ModelPackageSource,
  ScalingMetric,
  ServerlessInference,
  UpdateStrategy,
  VariantSettings,
} from './stages/endpoint/endpoint-settings';
export * from './stages/evaluation';
export { JobRole, type JobRoleProps, PipelineRole, type PipelineRoleProps } from './stages/execution-role';
export * from './stages/model-package-group';
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
