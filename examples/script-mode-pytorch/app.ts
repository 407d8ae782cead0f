// A PyTorch program of one's own as a pipeline, on spot instances: `cdk deploy --app 'node dist/examples/script-mode-pytorch/app.js'`.
import { App, Duration, Stack } from 'aws-cdk-lib';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Dataset, SageMakerPipeline, ScriptModeTraining } from 'scanline-sagemaker';

// AWS's images have their registry by region, so it is better known here than at deployment
const env = { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION };
const stack = new Stack(new App(), 'ScriptModePyTorch', { env });
const role = new Role(stack, 'Role', { assumedBy: new ServicePrincipal('sagemaker.amazonaws.com') });
const dataset = new Dataset(stack, 'Dataset');
dataset.grantReadWrite(role);

const training = new ScriptModeTraining(stack, 'Train', {
  framework: 'pytorch',
  version: '2.6',
  entryPoint: 'train.py',
  sourceDir: 'examples/script-mode-pytorch/source',
  hyperparameters: { epochs: 10, learning_rate: 0.001 },
  metricDefinitions: { 'train:loss': 'train_loss=([0-9.]+)', 'train:accuracy': 'train_accuracy=([0-9.]+)' },
  channels: { train: dataset.uri },
  output: dataset.uriOf('models'),
  role,
  maxRuntime: Duration.hours(2),
  spot: true,
});

new SageMakerPipeline(stack, 'Pipeline', { pipelineName: 'script-mode-pytorch', role, steps: [training.step] });
