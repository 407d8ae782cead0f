// Planted defects of training and tuning jobs.
import { strategy, testDefects } from './planted';

testDefects({
  'spot without checkpoints': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.StoppingCondition.MaxWaitTimeInSeconds = 7200;
    },
    problem: /without CheckpointConfig/,
    fix: /S3Uri/,
  },
  'spot without a longest wait': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
    },
    problem: /without StoppingCondition\.MaxWaitTimeInSeconds/,
    fix: /MaxWaitTimeInSeconds/,
  },
  'a wait that is shorter than the run': {
    step: 'Train',
    change: (args) => {
      args.StoppingCondition.MaxWaitTimeInSeconds = 3599;
    },
    problem: /MaxWaitTimeInSeconds is 3599, less than MaxRuntimeInSeconds, 3600/,
    fix: /at least 3600/,
  },
  'a warm pool with spot': {
    step: 'Train',
    change: (args) => {
      args.EnableManagedSpotTraining = true;
      args.CheckpointConfig = { S3Uri: 's3://bucket/checkpoints' };
      args.StoppingCondition.MaxWaitTimeInSeconds = 3600;
      args.ResourceConfig.KeepAlivePeriodInSeconds = 600;
    },
    problem: /warm pool, which spot training does not have/,
    fix: /leave out KeepAlivePeriodInSeconds/,
  },
  'a warm pool on a tuning job': {
    step: 'Tune',
    change: (args) => {
      args.TrainingJobDefinition.ResourceConfig.KeepAlivePeriodInSeconds = 600;
    },
    problem: /TrainingJobDefinition\.ResourceConfig.*warm pool, which tuning jobs do not have/,
    fix: /leave out KeepAlivePeriodInSeconds/,
  },
  'a metric that is not emitted': {
    step: 'Deploy',
    change: (args) => {
      const Value = { Get: "Steps.Train.FinalMetricDataList['accuracy'].Value" };
      args.EndpointName = { 'Std:Join': { On: '', Values: [Value] } };
    },
    problem: /the metric accuracy, which step Train does not emit/,
    fix: /there are: loss/,
  },
  'an objective that is not emitted': {
    step: 'Tune',
    change: (args) => {
      strategy(args).HyperParameterTuningJobObjective.MetricName = 'accuracy';
    },
    problem: /its objective is the metric accuracy/,
    fix: /there are: loss/,
  },
  'Hyperband without its bounds': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
    },
    problem: /Hyperband, without the bounds/,
    fix: /MinResource and MaxResource/,
  },
  'Hyperband with bounds that leave nothing': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
      strategy(args).StrategyConfig = { HyperbandStrategyConfig: { MinResource: 9, MaxResource: 9 } };
    },
    problem: /MinResource is 9, not less than MaxResource, 9/,
    fix: /MaxResource more/,
  },
  'Hyperband with early stopping': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Hyperband';
      strategy(args).StrategyConfig = { HyperbandStrategyConfig: { MinResource: 1, MaxResource: 9 } };
      strategy(args).TrainingJobEarlyStoppingType = 'Auto';
    },
    problem: /TrainingJobEarlyStoppingType is Auto/,
    fix: /Off/,
  },
  'a grid of numbers': {
    step: 'Tune',
    change: (args) => {
      strategy(args).Strategy = 'Grid';
    },
    problem: /Grid, with ranges of numbers/,
    fix: /CategoricalParameterRanges/,
  },
  'AutoML in a mode that pipelines do not run': {
    step: 'Table',
    change: (args) => {
      args.AutoMLJobConfig.Mode = 'AUTO';
    },
    problem: /Mode is AUTO/,
    fix: /ENSEMBLING/,
  },
  'an objective that one of several definitions does not emit': {
    step: 'Tune',
    change: (args) => {
      const { HyperParameterTuningJobObjective: objective, ParameterRanges: ranges } = strategy(args);
      delete strategy(args).HyperParameterTuningJobObjective;
      delete strategy(args).ParameterRanges;
      const job = { ...args.TrainingJobDefinition, HyperParameterRanges: ranges };
      delete args.TrainingJobDefinition;
      args.TrainingJobDefinitions = [
        { ...job, DefinitionName: 'a', TuningObjective: objective },
        { ...job, DefinitionName: 'b', TuningObjective: { ...objective, MetricName: 'dice' } },
      ];
    },
    problem: /its objective is the metric dice, which TrainingJobDefinitions\[1\] does not emit/,
    fix: /there are: loss/,
  },
});
