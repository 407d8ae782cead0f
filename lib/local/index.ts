/**
 * A SageMaker control plane for this machine: its API over HTTP, its jobs run for real, its state in a folder.
 *
 * @module scanline-sagemaker/local
 */
import { join } from 'node:path';
import { Executions } from './executions/executions';
import { ContainerExecutor, type ContainerSettings } from './jobs/container-executor';
import { type Executor, ProcessExecutor } from './jobs/executor';
import { ProcessingJobs } from './jobs/processing-jobs';
import type { JobKind } from './jobs/runner';
import { TrainingJobs } from './jobs/training-jobs';
import { lockFolder } from './lock';
import { Endpoints } from './models/endpoints';
import { Registry } from './models/registry';
import { makeOperations } from './operations';
import { Pipelines } from './pipelines';
import { FolderS3 } from './s3';
import { makeServer } from './server';

export { resolveTemplate } from './executions/cloudformation';
export type { ContainerSettings } from './jobs/container-executor';
export { findContainerTool } from './jobs/container-tool';
export { ProcessExecutor } from './jobs/executor';
export { FolderInUseError } from './lock';
export { ACCOUNT, REGION } from './names';

/** Where its state lies, and what it runs. */
export interface LocalSageMakerOptions {
  /** Gets all state: resources, S3, jobs. */
  readonly folder: string;
  /** For each image, by its URI, the folder whose bin/ has its commands. */
  readonly images: ReadonlyMap<string, string>;
  /** Jobs run in containers of their images. @default as processes, by the commands of `images` */
  readonly containers?: ContainerSettings | undefined;
  /** @default a free one */
  readonly port?: number;
}

/** A control plane that runs. */
export interface LocalSageMaker {
  /** Address for the `endpoint` of AWS's clients. */
  readonly url: string;
  /** S3, by which data comes in and results come out. */
  readonly s3: FolderS3;
  /** The file that has what a job printed. */
  jobLog(kind: JobKind, name: string): string;
  /** Ends the server and all that it started; executions that are not over go on with the next control plane of the folder. */
  close(): Promise<void>;
}

/**
 * Starts a control plane on 127.0.0.1; executions that one before it left unfinished go on.
 * @throws FolderInUseError while another one has the folder
 */
export async function startLocalSageMaker(options: LocalSageMakerOptions): Promise<LocalSageMaker> {
  const unlock = lockFolder(options.folder);
  try {
    return await start(options, unlock);
  } catch (error) {
    unlock();
    throw error;
  }
}

async function start(
  { folder, images, containers, port = 0 }: LocalSageMakerOptions,
  unlock: () => void,
): Promise<LocalSageMaker> {
  const s3 = new FolderS3(join(folder, 's3'));
  const executor: Executor = containers ? new ContainerExecutor(containers, folder) : new ProcessExecutor(images);
  const processing = new ProcessingJobs(folder, s3, executor);
  const training = new TrainingJobs(folder, s3, executor);
  const jobs = { 'processing-job': processing.runner, 'training-job': training.runner };
  const registry = new Registry(folder);
  const endpoints = new Endpoints(folder, s3, executor, registry);
  const pipelines = new Pipelines(folder);
  const executions = new Executions(folder, s3, pipelines, { processing, training, registry, endpoints });
  const server = makeServer(
    makeOperations({ processing, training, registry, endpoints, pipelines, executions }),
    endpoints,
  );
  const url = await server.listen({ port, host: '127.0.0.1' });
  executions.resume();
  return {
    url,
    s3,
    jobLog: (kind, name) => jobs[kind].log(name),
    close: async () => {
      executions.suspend();
      for (const runner of Object.values(jobs)) runner.suspend();
      await executor.close();
      await server.close();
      await Promise.all(
        [executions, processing.runner, training.runner, endpoints].map((service) => service.settled()),
      );
      unlock();
    },
  };
}
