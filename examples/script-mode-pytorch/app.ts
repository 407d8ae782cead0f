// A PyTorch program of one's own as a pipeline, on spot instances: `cdk deploy --app 'node dist/examples/script-mode-pytorch/app.js'`.
import { App, Duration, Stack, Validations } from 'aws-cdk-lib';
import { Dataset, JobRole, PipelineRole, SageMakerPipeline, ScriptModeTraining } from 'scanline-sagemaker';

// AWS's images have their registry by region, so it is better known here than at deployment
const env = { account: process.env.CDK_DEFAULT_ACCOUNT, region: process.env.CDK_DEFAULT_REGION };
const stack = new Stack(new App(), 'ScriptModePyTorch', { env });
const dataset = new Dataset(stack, 'Dataset');
const { bucket, key } = dataset;
const role = new JobRole(stack, 'JobRole', { bucket, key, images: [] });

const training = new ScriptModeTraining(stack, 'Train', {
  framework: 'pytorch',
  version: '2.6',
  entryPoint: 'train.py',
  sourceDir: 'examples/script-mode-pytorch/source',
  hyperparameters: { epochs: 10, learning_rate: 0.001 },
  metricDefinitions: { 'train:loss': 'train_loss=([0-9.]+)', 'train:accuracy': 'train_accuracy=([0-9.]+)' },
  channels: { train: dataset.uri },
  output: dataset.uriOf('models'),
  outputKey: key,
  role,
  maxRuntime: Duration.hours(2),
  spot: true,
});

const pipelineName = 'script-mode-pytorch';
const steps = [training.step];
const pipeline = new SageMakerPipeline(stack, 'Pipeline', {
  pipelineName,
  role: new PipelineRole(stack, 'PipelineRole', { pipelineName, steps, bucket, key }),
  steps,
});
// what cdk-nag with scanline-sagemaker/nag would say
Validations.of(pipeline).acknowledge({
  id: 'Scanline-JobEnclosed[Train]',
  reason: 'pip fetches requirements.txt; with wheels in the source, networkIsolation could be true',
});
