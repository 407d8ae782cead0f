// A control plane for a test, with an image whose commands are small scripts, and AWS's clients for it.
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import {
  type CreateTrainingJobRequest,
  DescribePipelineExecutionCommand,
  SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { type LocalSageMaker, startLocalSageMaker } from '../../../lib/local';
import { temporaryFolder } from '../../training/temporary-folder';

// the SDK's advice on the version of Node.js is not about what is tested here
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';

export const IMAGE = 'registry.test/fake:1';
export const ROLE = 'arn:aws:iam::000000000000:role/test';

/** A training whose metric is the loss that it prints, as `loss=0.5;`. */
export const TRAINING = {
  AlgorithmSpecification: {
    TrainingImage: IMAGE,
    TrainingInputMode: 'File',
    MetricDefinitions: [{ Name: 'loss', Regex: 'loss=([0-9.]+);' }],
  },
  RoleArn: ROLE,
  OutputDataConfig: { S3OutputPath: 's3://bucket/models' },
  ResourceConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 },
  StoppingCondition: { MaxRuntimeInSeconds: 60 },
} satisfies Omit<CreateTrainingJobRequest, 'TrainingJobName'>;

export interface TestPlane extends LocalSageMaker {
  readonly folder: string;
  readonly client: SageMakerClient;
  readonly runtime: SageMakerRuntimeClient;
  /** Puts an object into S3. */
  put(uri: string, content: string): void;
}

/** Writes the commands of an image: shell scripts by their names. @returns the image's folder */
export function imageFolder(scripts: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'bin'));
  for (const [name, script] of Object.entries(scripts)) {
    const file = join(folder, 'bin', name);
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
  }
  return folder;
}

export function clientsOf(url: string): { client: SageMakerClient; runtime: SageMakerRuntimeClient } {
  const settings = {
    endpoint: url,
    region: 'us-east-1',
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    maxAttempts: 1,
  };
  return { client: new SageMakerClient(settings), runtime: new SageMakerRuntimeClient(settings) };
}

/** Starts a control plane that ends with the test. */
export async function controlPlane(
  context: TestContext,
  scripts: Readonly<Record<string, string>> = {},
  folder = temporaryFolder(),
): Promise<TestPlane> {
  const plane = await startLocalSageMaker({ folder, images: new Map([[IMAGE, imageFolder(scripts)]]) });
  const clients = clientsOf(plane.url);
  let closed: Promise<void> | undefined;
  const close = () => {
    closed ??= plane.close();
    return closed;
  };
  context.after(close);
  const put = (uri: string, content: string) => {
    const path = plane.s3.path(uri);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  };
  return { ...plane, ...clients, folder, put, close };
}

/** Looks again and again until there is something to see. @throws Error when there is nothing within the seconds */
export async function eventually<Value>(
  look: () => Value | undefined | Promise<Value | undefined>,
  seconds = 20,
): Promise<Value> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`nothing was seen within ${seconds} s of: ${look}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits for the end of an execution. */
export function endOf(client: SageMakerClient, executionArn: string) {
  return eventually(async () => {
    const execution = await client.send(new DescribePipelineExecutionCommand({ PipelineExecutionArn: executionArn }));
    return execution.PipelineExecutionStatus === 'Executing' || execution.PipelineExecutionStatus === 'Stopping'
      ? undefined
      : execution;
  });
}

/** Whether a process runs; one that has ended and was not yet waited for does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}
