// The hyperparameters of where a training is told of: names, types and defaults. Pure data.
import type { HyperparameterSpec } from './spec';

export const TRACKING_HYPERPARAMETERS = [
  {
    name: 'use_mlflow',
    section: 'tracking',
    type: 'boolean',
    default: false,
    description: 'tell an MLflow server of the training; MLFLOW_TRACKING_URI in the environment switches it on too',
  },
  {
    name: 'mlflow_tracking_uri',
    section: 'tracking',
    type: 'text',
    default: '',
    pattern: '(https?://.+|arn:.+)?',
    allowed: 'an http:// or https:// address, or the ARN of a SageMaker MLflow server or app',
    description: 'the server (default: MLFLOW_TRACKING_URI)',
  },
  {
    name: 'mlflow_experiment_name',
    section: 'tracking',
    type: 'text',
    default: '',
    allowed: 'a name',
    description: 'the experiment, made where there is none (default: MLFLOW_EXPERIMENT_NAME, else scanline)',
  },
] as const satisfies readonly HyperparameterSpec[];
