// A stack in which a model is tuned, evaluated, registered and used for batch transform, and falls back to other instance types.
import { App, Duration, Stack } from 'aws-cdk-lib';
import {
  ByocImage,
  CapacityFallback,
  categorical,
  continuous,
  Dataset,
  Evaluation,
  ExecutionVariables,
  integer,
  JobRole,
  join,
  ParameterString,
  PipelineRole,
  Registration,
  SageMakerPipeline,
  Transform,
  Tuning,
} from '../../../lib';
import { temporaryFolder } from '../../training/temporary-folder';

const TYPES = ['ml.m5.4xlarge', 'ml.c5.4xlarge'];

/** As `cdk synth` has it, for policies that are merged have other findings. */
const CONTEXT = { '@aws-cdk/aws-iam:minimizePolicies': true };

export function tuningStack(outdir = temporaryFolder()): Stack {
  const stack = new Stack(new App({ outdir, context: CONTEXT }), 'Test');
  const { bucket, key } = new Dataset(stack, 'Dataset');
  const image = ByocImage.scanline(stack, 'Image');
  const role = new JobRole(stack, 'JobRole', { bucket, key, images: [image] });
  const instanceType = new ParameterString('InstanceType', { defaultValue: TYPES[0] as string });
  const uri = (name: string) =>
    join('/', `s3://${bucket.bucketName}/pipelines`, ExecutionVariables.pipelineExecutionId, name);
  const training = new Tuning(stack, 'Tune', {
    training: {
      image,
      channels: { train: `s3://${bucket.bucketName}/train` },
      output: uri('tuning'),
      role,
      instanceType: TYPES[0] as string,
      volumeKey: key,
      outputKey: key,
      networkIsolation: true,
      spot: true,
      maxRuntime: Duration.hours(1),
      hyperparameters: { num_epochs: 9 },
      tags: { project: 'planes' },
    },
    ranges: {
      learning_rate: continuous(1e-4, 1e-2, { scaling: 'Logarithmic' }),
      batch_size: integer(8, 32),
      optimizer: categorical(['adam', 'sgd']),
    },
    objective: 'valid_loss',
    strategy: 'Hyperband',
    minResource: 1,
    maxResource: 9,
    maxJobs: 6,
    maxParallelJobs: 2,
    maxTotalRuntime: Duration.hours(5),
    maxCost: 20,
    fallbackInstanceTypes: TYPES.slice(1),
    targetObjective: 0.01,
    maxJobsWithoutImprovement: 3,
    warmStartFrom: ['last-week'],
    seed: 1,
  });
  const evaluation = new Evaluation(stack, 'Evaluate', {
    training,
    test: `s3://${bucket.bucketName}/test`,
    output: uri('evaluation'),
    role,
    key,
    instanceType,
  });
  const registration = new Registration(stack, 'Register', { training, evaluation, role, key, groupName: 'planes' });
  const transform = new Transform(stack, 'Predict', {
    modelPackage: registration.step,
    role,
    key,
    input: `s3://${bucket.bucketName}/new`,
    output: uri('predictions'),
    contentType: 'application/jsonlines',
    accept: 'application/jsonlines',
    splitType: 'Line',
    batchStrategy: 'SingleRecord',
    maxPayload: 10,
    maxConcurrentTransforms: 4,
    invocationTimeout: 60,
    invocationRetries: 1,
    inputFilter: '$.image',
    outputFilter: "$['id','SageMakerOutput']",
    joinSource: 'Input',
    environment: { LOG: 'info' },
    tags: { project: 'planes' },
  });
  const steps = [training.step, evaluation.step, registration.step, registration.modelStep, ...transform.steps];
  const pipeline = new SageMakerPipeline(stack, 'Pipeline', {
    pipelineName: 'planes',
    role: new PipelineRole(stack, 'PipelineRole', { pipelineName: 'planes', steps, bucket, key, images: [image] }),
    parameters: [instanceType],
    steps,
    images: [image],
  });
  new CapacityFallback(stack, 'Fallback', { pipeline, parameter: instanceType, instanceTypes: TYPES });
  return stack;
}
