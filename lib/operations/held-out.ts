// What an endpoint says of held-out images, and where what is held out lies.
import { readdirSync, readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import {
  DescribeProcessingJobCommand,
  type PipelineExecutionStep,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import type { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { invokeEndpoint } from './endpoint';
import { OperationError } from './errors';
import type { SamplePrediction } from './report-results';

/** Held-out images of each class that the endpoint is asked about. */
const SAMPLES_PER_CLASS = 6;

/** What an endpoint says of an image. */
interface Classification {
  readonly label: string;
  readonly probabilities: Readonly<Record<string, number>>;
}

/** The name at the end of an ARN. */
export const nameIn = (arn: string) => arn.slice(arn.indexOf('/') + 1);

/** S3 URI of what is held out: the output `test` of a processing job. @throws OperationError when no step has one */
export async function heldOutUri(client: SageMakerClient, steps: readonly PipelineExecutionStep[]): Promise<string> {
  for (const { Metadata } of steps) {
    const arn = Metadata?.ProcessingJob?.Arn;
    if (arn === undefined) continue;
    const job = await client.send(new DescribeProcessingJobCommand({ ProcessingJobName: nameIn(arn) }));
    const output = job.ProcessingOutputConfig?.Outputs?.find(({ OutputName }) => OutputName === 'test');
    if (output?.S3Output?.S3Uri !== undefined) return output.S3Output.S3Uri;
  }
  throw new OperationError('no step has an output `test` with held-out images.', 'name the output of the split so.');
}

/** At most so many of a list, from all over it. */
export function spread<Value>(values: readonly Value[], most: number): Value[] {
  const every = Math.max(1, Math.floor(values.length / most));
  return values.filter((_, i) => i % every === 0).slice(0, most);
}

/**
 * Asks an endpoint about images spread over each class.
 *
 * @param folder of a folder of PNG or JPEG images for each class
 */
export async function predictHeldOut(
  client: SageMakerRuntimeClient,
  endpoint: string,
  folder: string,
): Promise<SamplePrediction[]> {
  const samples: SamplePrediction[] = [];
  for (const actual of readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    const below = readdirSync(join(folder, actual.name), { recursive: true, encoding: 'utf8' });
    const paths = below.filter((name) => /\.(png|jpe?g)$/i.test(name)).sort();
    for (const path of spread(paths, SAMPLES_PER_CLASS)) {
      const image = readFileSync(join(folder, actual.name, path));
      const contentType = extname(path).toLowerCase() === '.png' ? 'image/png' : 'image/jpeg';
      const answer = await invokeEndpoint(client, endpoint, { body: image, contentType });
      const { label, probabilities } = JSON.parse(answer.toString('utf8')) as Classification;
      const probability = probabilities[label] as number;
      samples.push({ image, contentType, file: basename(path), actual: actual.name, predicted: label, probability });
    }
  }
  return samples;
}
