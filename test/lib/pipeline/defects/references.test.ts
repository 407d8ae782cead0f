// Planted defects of references and of what they lead to, and of the kinds of values.
import { testDefects } from './planted';

testDefects({
  'a type of step that there is not': {
    step: 'Train',
    change: (_, step, { Steps }) => {
      Steps.length = 0;
      Steps.push({ ...step, Type: 'Trainings' });
    },
    problem: /its type is Trainings/,
    fix: /Training/,
  },
  'a reference to a property that the step does not have': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Train.ModelArtifacts.S3ModelArtifact' };
    },
    problem: /Steps\.Train\.ModelArtifacts\.S3ModelArtifact; a ModelArtifacts has no S3ModelArtifact/,
    fix: /S3ModelArtifacts/,
  },
  'several references to a step that there is not': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.Image = { Get: 'Steps.Nobody.AlgorithmSpecification.TrainingImage' };
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Nobody.ModelArtifacts.S3ModelArtifacts' };
    },
    problem: /it refers to the step Nobody, which the pipeline does not have/,
    fix: /add that step/,
  },
  'a reference to a step that answers nothing': {
    step: 'Configure',
    change: (args) => {
      args.EndpointConfigName = { Get: 'Steps.Gate.Outcome' };
    },
    problem: /a Condition step has nothing that can be referred to/,
    fix: /dependsOn/,
  },
  'a list that is gone on from without brackets': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.Image = { Get: 'Steps.Train.InputDataConfig.ChannelName' };
    },
    problem: /where InputDataConfig is a list/,
    fix: /\[0\]/,
  },
  'an output of a function that it does not declare': {
    step: 'Wait',
    change: (args) => {
      args.score = { Get: "Steps.Ask.OutputParameters['nothing']" };
    },
    problem: /the output nothing, which step Ask does not declare/,
    fix: /verdict, score/,
  },
  'a variable of the execution that there is not': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Execution.Name' };
    },
    problem: /refers to Execution\.Name/,
    fix: /Execution\.PipelineName/,
  },
  'a reference that begins with nothing known': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Parameter.Mode' };
    },
    problem: /refers to Parameter\.Mode/,
    fix: /begin with Parameters/,
  },
  'a number where a text must be': {
    step: 'Deploy',
    change: (args) => {
      args.EndpointName = { Get: 'Steps.Train.TrainingTimeInSeconds' };
    },
    problem: /EndpointName is Steps\.Train\.TrainingTimeInSeconds, a number, and must be a text/,
    fix: /join\(''/,
  },
  'a text parameter where a number must be': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceCount = { Get: 'Parameters.Mode' };
    },
    problem: /ResourceConfig\.InstanceCount is Parameters\.Mode, a text, and must be a number/,
    fix: /refer to a number/,
  },
  'a whole structure where a text must be': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.ModelDataUrl = { Get: 'Steps.Train.ModelArtifacts' };
    },
    problem: /a structure, and must be a text/,
    fix: /refer to a text/,
  },
  'a text where a number must be': {
    step: 'Train',
    change: (args) => {
      args.ResourceConfig.InstanceCount = '1';
    },
    problem: /ResourceConfig\.InstanceCount is string 1, and must be a number/,
    fix: /a number/,
  },
  'a hyperparameter that is no text': {
    step: 'Train',
    change: (args) => {
      args.HyperParameters.epochs = 3;
    },
    problem: /HyperParameters\.epochs is number 3, and must be a text/,
    fix: /a text/,
  },
  'a text that is gone on from': {
    step: 'MakeModel',
    change: (args) => {
      args.PrimaryContainer.Image = { Get: 'Steps.Train.RoleArn.Name' };
    },
    problem: /Steps\.Train\.RoleArn\.Name, where RoleArn is a text/,
    fix: /leave out what follows it/,
  },
});
