// The trainer's hyperparameters and metrics, as data: all that lib sees of the trainer.
export * from './channels';
export * from './metrics';
export * from './spec';
export * from './specs';
export * from './task';
export * from './values';
