/**
 * The pipeline language.
 *
 * @module scanline-sagemaker/pipeline
 */
export * from './check';
export * from './condition';
export * from './definition';
export * from './errors';
export * from './expression';
export * from './parameter';
export * from './pipeline';
export * from './selection';
export type { StartOptions, StartRequest } from './start';
export * from './steps/check-steps';
export * from './steps/control-steps';
export * from './steps/emr-step';
export * from './steps/endpoint-steps';
export * from './steps/function-steps';
export * from './steps/model-steps';
export * from './steps/notebook-job-step';
export * from './steps/processing-step';
export * from './steps/retry';
export * from './steps/step';
export * from './steps/training-steps';
