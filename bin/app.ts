// The CDK app that `cdk deploy` and `scanline run` take: an example as a training stack, chosen by `-c task=...`.
import { App } from 'aws-cdk-lib';
import { planes } from '../examples/mni-planes/settings';
import { tissue } from '../examples/mni-tissue/settings';
import { TrainingStack, type TrainingStackProps } from '../lib/stacks/training-stack';

const EXAMPLES: Readonly<Record<string, TrainingStackProps>> = {
  classification: {
    description: 'Tells the anatomical plane of an MRI slice: split, train, evaluate, gate, register',
    pipelineName: 'anatomical-plane',
    leastAccuracy: 0.9,
    ...planes,
  },
  segmentation: {
    description: 'Finds grey and white matter in MRI volumes: split, train, evaluate, gate, register',
    pipelineName: 'brain-tissue',
    leastDice: 0.7,
    ...tissue,
  },
};

const app = new App();
const task: unknown = app.node.tryGetContext('task');
const example = EXAMPLES[String(task ?? 'classification')] ?? {};
// what the context says of the stack wins over the example
const props = Object.entries(example).filter(([name]) => app.node.tryGetContext(name) === undefined);
new TrainingStack(app, 'ScanlineTraining', Object.fromEntries(props));
