// What a CDK app imports: stages, stacks, and the pipeline language that they are written in.
export * from './pipeline';
export * from './stacks/training-stack';
export * from './stages/byoc-image';
export * from './stages/byoc-training';
export * from './stages/dataset';
export * from './stages/evaluation';
export { JobRole, type JobRoleProps, PipelineRole, type PipelineRoleProps } from './stages/execution-role';
export type { Framework } from './stages/framework-image';
export type { Launcher, LauncherProps } from './stages/launcher';
export * from './stages/quality-gate';
export * from './stages/registration';
export * from './stages/sagemaker-pipeline';
export { PACKED_FILES_METADATA, ScriptModeTraining, type ScriptModeTrainingProps } from './stages/script-mode-training';
export type { PackedFile } from './stages/source-package';
export * from './stages/split';
export type { FileSystemChannel, InputMode, S3Channel, TrainingChannel } from './stages/training-channel';
export { RETRY_ON_CAPACITY, type TrainingSettings } from './stages/training-settings';
