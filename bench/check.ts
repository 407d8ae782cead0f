// A pipeline of 500 steps: milliseconds to make, check and serialise it. Target: under 100.
// usage: node dist/bench/check.js [STEPS]
import { ParameterString, Pipeline, ProcessingStep, type Step, TrainingStep } from '../lib/pipeline';

const IMAGE = '111122223333.dkr.ecr.eu-central-1.amazonaws.com/scanline:1';
const RoleArn = 'arn:aws:iam::111122223333:role/scanline';

/** Half of the steps prepare data from what the step before made; half train on it. */
function makeSteps(count: number, input: ParameterString): Step[] {
  const steps: Step[] = [];
  let uri: ConstructorParameters<typeof ParameterString>[0] | ReturnType<ProcessingStep['output']> | ParameterString =
    input;
  for (let i = 0; i < count; i += 2) {
    const split = new ProcessingStep(`Split${i}`, {
      arguments: {
        ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 30 } },
        AppSpecification: { ImageUri: IMAGE, ContainerArguments: ['--fold', String(i)] },
        RoleArn,
        ProcessingInputs: [
          { InputName: 'data', S3Input: { S3Uri: uri, LocalPath: '/opt/ml/processing/input', S3DataType: 'S3Prefix' } },
        ],
        ProcessingOutputConfig: {
          Outputs: [
            {
              OutputName: 'train',
              S3Output: { S3Uri: `s3://bucket/${i}`, LocalPath: '/opt/ml/processing/train', S3UploadMode: 'EndOfJob' },
            },
          ],
        },
      },
    });
    uri = split.output('train');
    const train = new TrainingStep(`Train${i}`, {
      arguments: {
        AlgorithmSpecification: {
          TrainingImage: IMAGE,
          TrainingInputMode: 'File',
          MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+)' }],
        },
        RoleArn,
        HyperParameters: Object.fromEntries(Array.from({ length: 20 }, (_, key) => [`hyperparameter_${key}`, '0.001'])),
        InputDataConfig: [
          { ChannelName: 'train', DataSource: { S3DataSource: { S3DataType: 'S3Prefix', S3Uri: uri } } },
        ],
        OutputDataConfig: { S3OutputPath: 's3://bucket/models' },
        ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.g5.xlarge', VolumeSizeInGB: 50 },
        StoppingCondition: { MaxRuntimeInSeconds: 3600 },
      },
    });
    steps.push(split, train);
  }
  return steps;
}

const count = Number(process.argv[2] ?? 500);
const times: number[] = [];
const cpu: number[] = [];
let bytes = 0;
for (let run = 0; run < 7; run++) {
  const start = performance.now();
  const before = process.cpuUsage();
  const input = new ParameterString('InputData', { defaultValue: 's3://bucket/raw' });
  const pipeline = new Pipeline('bench', { parameters: [input], steps: makeSteps(count, input) });
  bytes = JSON.stringify(pipeline.definition()).length;
  times.push(performance.now() - start);
  // of the thread that works and the garbage collector's: what other processes take does not count
  cpu.push(process.cpuUsage(before).user / 1000);
}
const [first = 0, ...rest] = times;
const median = [...rest].sort((a, b) => a - b)[Math.floor(rest.length / 2)] as number;
process.stdout.write(
  `${count} steps, ${bytes} characters: first ${first.toFixed(1)} ms, then ${median.toFixed(1)} ms (median of ${rest.length}; CPU, at least ${Math.min(...cpu).toFixed(1)} ms); target 100 ms\n`,
);
