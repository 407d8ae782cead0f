// What a CDK app imports: stages, stacks, and the pipeline language that they are written in.
export * from './pipeline';
export * from './stacks/training-stack';
export * from './stages/byoc-image';
export * from './stages/byoc-training';
export * from './stages/dataset';
export * from './stages/evaluation';
export * from './stages/quality-gate';
export * from './stages/registration';
export * from './stages/sagemaker-pipeline';
export * from './stages/split';
