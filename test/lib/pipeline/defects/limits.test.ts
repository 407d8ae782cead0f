// Planted defects of size: more of something than SageMaker takes.
import { testDefects } from './planted';

testDefects({
  'more than 100 hyperparameters': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`h${index}`, '1']));
    },
    problem: /HyperParameters has 101 entries, and may have 100/,
    fix: /a file/,
  },
  'a hyperparameter with too long a name': {
    step: 'Tune',
    change: (args) => {
      args.TrainingJobDefinition.StaticHyperParameters = { ['h'.repeat(257)]: '1' };
    },
    problem: /a name of 257 characters/,
    fix: /up to 256/,
  },
  'too long a hyperparameter': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters.note = 'h'.repeat(2501);
    },
    problem: /HyperParameters\.note has 2501 characters/,
    fix: /up to 2500/,
  },
  'too long a value in the environment': {
    step: 'Split',
    change: (args) => {
      args.Environment = { NOTE: 'h'.repeat(257) };
    },
    problem: /Environment\.NOTE has 257 characters/,
    fix: /up to 256/,
  },
  'more than 50 tags': {
    step: 'Train',
    change: (args) => {
      args.Tags = Array.from({ length: 51 }, (_, index) => ({ Key: `k${index}`, Value: 'v' }));
    },
    problem: /Tags has 51 entries, and may have 50/,
    fix: /leave some out/,
  },
  'more than 20 channels': {
    step: 'Train',
    change: (args) => {
      const [channel] = args.InputDataConfig;
      args.InputDataConfig = Array.from({ length: 21 }, (_, i) => ({ ...channel, ChannelName: `c${i}` }));
    },
    problem: /its InputDataConfig has 21 entries, and may have 20/,
    fix: /leave some out/,
  },
  'more than 10 outputs': {
    step: 'Split',
    change: (args) => {
      const { Outputs } = args.ProcessingOutputConfig;
      const extra = Array.from({ length: 11 - Outputs.length }, (_, i) => ({ ...Outputs[0], OutputName: `o${i}` }));
      Outputs.push(...extra);
    },
    problem: /its ProcessingOutputConfig\.Outputs has 11 entries, and may have 10/,
    fix: /leave some out/,
  },
  'more than 200 parameters': {
    step: 'Train',
    change: (_, __, { Parameters }) => {
      for (let i = 0; i < 200; i++) Parameters.push({ Name: `P${i}`, Type: 'String', DefaultValue: '' });
    },
    where: 'the pipeline',
    problem: /201 parameters, and may have 200/,
    fix: /a file/,
  },
  'a definition of more than a megabyte': {
    step: 'Train',
    change: (_, step) => {
      step.Description = 'd'.repeat(1_048_576);
    },
    where: 'the pipeline',
    problem: /bytes, and may have 1048576/,
    fix: /divide/,
  },
});
