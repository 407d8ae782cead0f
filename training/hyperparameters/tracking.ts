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
  {
    name: 'use_wandb',
    section: 'tracking',
    type: 'boolean',
    default: false,
    description:
      'tell Weights & Biases of the training, with the key in WANDB_API_KEY; WANDB_API_KEY_SECRET_ARN, of a secret in Secrets Manager, switches it on too',
  },
  {
    name: 'wandb_project',
    section: 'tracking',
    type: 'text',
    default: '',
    pattern: '[^/\\\\#?%:]{0,128}',
    allowed: 'at most 128 characters, none of / \\ # ? % :',
    description: 'the project in W&B, made where there is none (default: WANDB_PROJECT, else scanline)',
  },
  {
    name: 'wandb_entity',
    section: 'tracking',
    type: 'text',
    default: '',
    pattern: '[\\w.-]*',
    allowed: 'a user or team: letters, digits, _ . -',
    description: "whose project it is (default: WANDB_ENTITY, else the key's own)",
  },
  {
    name: 'wandb_run_name',
    section: 'tracking',
    type: 'text',
    default: '',
    allowed: 'a name',
    description: 'how the run is shown (default: WANDB_NAME, else the name of the network)',
  },
] as const satisfies readonly HyperparameterSpec[];
