// A pipeline of 500 steps: milliseconds to make it, and to check and serialise it, in a fresh process and then again.
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

/** Milliseconds, of the clock and of the processor: this process's threads, the garbage collector's and the compiler's among them. */
interface Taken {
  readonly clock: number;
  readonly processor: number;
}

function measure<Result>(body: () => Result): { readonly result: Result; readonly taken: Taken } {
  const start = performance.now();
  const before = process.cpuUsage();
  const result = body();
  return { result, taken: { clock: performance.now() - start, processor: process.cpuUsage(before).user / 1000 } };
}

const made: Taken[] = [];
const checked: Taken[] = [];
let characters = 0;
for (let run = 0; run < 7; run++) {
  const making = measure(() => {
    const input = new ParameterString('InputData', { defaultValue: 's3://bucket/raw' });
    return new Pipeline('bench', { parameters: [input], steps: makeSteps(count, input) });
  });
  const checking = measure(() => JSON.stringify(making.result.definition()).length);
  made.push(making.taken);
  checked.push(checking.taken);
  characters = checking.result;
}

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

function report(what: string, [first, ...rest]: readonly Taken[]): string {
  const of = (name: keyof Taken) =>
    `${first?.[name].toFixed(1)}, then ${median(rest.map((taken) => taken[name])).toFixed(1)}`;
  return `${what}: first ${of('clock')} ms; of the processor ${of('processor')} ms\n`;
}

process.stdout.write(`${count} steps, ${characters} characters; medians of ${checked.length - 1}\n`);
process.stdout.write(report('make the steps', made));
process.stdout.write(report('check and serialise (target: 100 ms)', checked));
