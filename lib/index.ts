/**
 * What a CDK app imports: stages, stacks, and the pipeline language that they are written in.
 *
 * @module scanline-sagemaker
 */
export * from './pipeline';
export * from './stacks/training-stack';
export { JobRole, type JobRoleProps, PipelineRole, type PipelineRoleProps } from './stages/access/execution-role';
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
export * from './stages/monitoring/budget';
export * from './stages/monitoring/dashboard';
export * from './stages/monitoring/notification';
export { PIPELINE_METRICS_NAMESPACE, PipelineStage } from './stages/pipeline-stage';
export * from './stages/quality-gate';
export type { ModelApprovalStatus } from './stages/registry/model-package-events';
export * from './stages/registry/model-package-group';
export * from './stages/registry/registration';
export {
  LOCAL_IMAGES_METADATA,
  SageMakerPipeline,
  type SageMakerPipelineProps,
} from './stages/sagemaker-pipeline';
export * from './stages/split';
export * from './stages/tracking';
export {
  ByocTraining,
  type ByocTrainingProps,
  type ForeignHyperparameters,
  type TrainingHyperparameters,
} from './stages/training/byoc-training';
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
export * from './triggers/awaited-execution';
export * from './triggers/github-actions';
export { ModelApproval, type ModelApprovalProps } from './triggers/model-approval';
export { NewData, type NewDataProps } from './triggers/new-data';
export { PipelineSchedule, type PipelineScheduleProps } from './triggers/schedule';
export type { DeliveryProps, StartParameters, StartProps } from './triggers/start';
