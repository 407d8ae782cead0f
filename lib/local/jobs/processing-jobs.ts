// Processing jobs: their inputs are put in place, their container run, their outputs taken away, as SageMaker does it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { CreateProcessingJobRequest, DescribeProcessingJobResponse } from '@aws-sdk/client-sagemaker';
import { arn, insideOptMl } from '../names';
import type { FolderS3 } from '../s3';
import type { Executor } from './executor';
import { isUnfinished, JobRunner, LOST, requireOneInstance, tooLong, writeJson } from './runner';

export class ProcessingJobs {
  readonly runner: JobRunner<DescribeProcessingJobResponse>;

  constructor(
    root: string,
    private readonly s3: FolderS3,
    executor: Executor,
  ) {
    this.runner = new JobRunner(root, 'processing-job', executor);
    const { jobs } = this.runner;
    for (const job of jobs.list().filter((job) => isUnfinished(job.ProcessingJobStatus)))
      jobs.put(job.ProcessingJobName as string, { ...job, ProcessingJobStatus: 'Failed', FailureReason: LOST });
  }

  describe(name: string): DescribeProcessingJobResponse {
    return this.runner.require(name);
  }

  /** Begins a job; `finished` settles when it has ended, one way or the other. */
  create(request: CreateProcessingJobRequest): { arn: string; finished: Promise<void> } {
    const name = this.runner.requireNew(request.ProcessingJobName);
    requireOneInstance(request.ProcessingResources?.ClusterConfig?.InstanceCount);
    const places = [
      ...(request.ProcessingInputs ?? []).map(({ S3Input }) => S3Input),
      ...(request.ProcessingOutputConfig?.Outputs ?? []).map(({ S3Output }) => S3Output),
    ];
    for (const place of places) if (place?.LocalPath) insideOptMl(place.LocalPath);
    const jobArn = arn('processing-job', name);
    const now = new Date();
    this.runner.jobs.put(name, {
      ...(request as unknown as DescribeProcessingJobResponse),
      ProcessingJobArn: jobArn,
      ProcessingJobStatus: 'InProgress',
      CreationTime: now,
      ProcessingStartTime: now,
    });
    return { arn: jobArn, finished: this.runner.begun(this.run(name, request)) };
  }

  /** Begins to end a job; what it leaves is kept. */
  stop(name: string): void {
    const job = this.describe(name);
    if (this.runner.stop(name)) this.runner.jobs.put(name, { ...job, ProcessingJobStatus: 'Stopping' });
  }

  private async run(name: string, request: CreateProcessingJobRequest): Promise<void> {
    try {
      this.end(name, await this.work(name, request));
    } catch (error) {
      this.end(name, { ProcessingJobStatus: 'Failed', FailureReason: `ClientError: ${(error as Error).message}` });
    }
  }

  private end(name: string, result: Partial<DescribeProcessingJobResponse>): void {
    if (this.runner.isSuspended(name)) return;
    this.runner.jobs.put(name, { ...this.describe(name), ...result, ProcessingEndTime: new Date() });
  }

  private async work(
    name: string,
    request: CreateProcessingJobRequest,
  ): Promise<Partial<DescribeProcessingJobResponse>> {
    const base = this.runner.base(name);
    const inside = (path: string) => join(base, insideOptMl(path));
    for (const { S3Input: input } of request.ProcessingInputs ?? []) {
      if (input?.S3Uri && input.LocalPath) this.s3.download(input.S3Uri, inside(input.LocalPath));
    }
    const outputs = (request.ProcessingOutputConfig?.Outputs ?? []).flatMap(({ S3Output: output }) =>
      output?.LocalPath && output.S3Uri ? [output] : [],
    );
    for (const { LocalPath } of outputs) mkdirSync(inside(LocalPath as string), { recursive: true });
    writeJson(join(base, 'config', 'processingjobconfig.json'), request);
    const { ImageUri, ContainerEntrypoint, ContainerArguments = [] } = request.AppSpecification ?? {};
    const maxRuntime = request.StoppingCondition?.MaxRuntimeInSeconds;
    const end = await this.runner.run(name, {
      image: ImageUri as string,
      entrypoint: ContainerEntrypoint,
      command: ContainerArguments,
      environment: request.Environment ?? {},
      ...(maxRuntime !== undefined && { maxRuntime }),
    });
    if (end.status === 'Failed') return { ProcessingJobStatus: 'Failed', FailureReason: end.reason };
    for (const { LocalPath, S3Uri } of outputs) this.s3.upload(inside(LocalPath as string), S3Uri as string);
    if (end.status !== 'MaxRuntimeExceeded') return { ProcessingJobStatus: end.status };
    return { ProcessingJobStatus: 'Stopped', FailureReason: tooLong(maxRuntime) };
  }
}
