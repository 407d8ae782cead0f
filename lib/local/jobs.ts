// Processing and training jobs: their input is put in place, their container run, their output taken away, as SageMaker does it.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  CreateProcessingJobRequest,
  CreateTrainingJobRequest,
  DescribeProcessingJobResponse,
  DescribeTrainingJobResponse,
} from '@aws-sdk/client-sagemaker';
import { create } from 'tar';
import { notFound, ServiceError } from './errors';
import type { Executor, RunningContainer } from './executor';
import { LogMetrics } from './metrics';
import { ACCOUNT, arn, insideOptMl, REGION, requireChannelName, requireName } from './names';
import type { FolderS3 } from './s3';
import { Collection } from './store';

/** Characters of a failure file that SageMaker shows. */
const FAILURE_LENGTH = 1024;

/** Seconds between SIGTERM and SIGKILL for a job. */
const GRACE = 120;

/** Why a job that a control plane before this one ran has no end of its own. */
const LOST = 'InternalServerError: the control plane ended before the job did';

function requireNew(collection: Collection<unknown>, kind: string, given: string | undefined): string {
  const name = requireName(kind, given);
  if (collection.get(name) !== undefined) throw new ServiceError('ResourceInUse', `there is a ${kind} ${name} already`);
  return name;
}

function requireOneInstance(count: number | undefined): void {
  if ((count ?? 1) > 1)
    throw new ServiceError(
      'ValidationException',
      `the local control plane runs a job on one instance, not on ${count}`,
    );
}

export class Jobs {
  readonly processing: Collection<DescribeProcessingJobResponse>;
  readonly training: Collection<DescribeTrainingJobResponse>;
  private readonly running = new Map<string, RunningContainer>();
  /** Of the training jobs that have not ended. */
  private readonly logMetrics = new Map<string, LogMetrics>();
  private readonly stopped = new Set<string>();
  private finished: Promise<unknown> = Promise.resolve();
  private suspended = false;

  constructor(
    private readonly root: string,
    private readonly s3: FolderS3,
    private readonly executor: Executor,
  ) {
    this.processing = new Collection(join(root, 'processing-jobs'));
    this.training = new Collection(join(root, 'training-jobs'));
    for (const job of this.processing.list().filter((job) => isUnfinished(job.ProcessingJobStatus)))
      this.processing.put(job.ProcessingJobName as string, {
        ...job,
        ProcessingJobStatus: 'Failed',
        FailureReason: LOST,
      });
    for (const job of this.training.list().filter((job) => isUnfinished(job.TrainingJobStatus)))
      this.training.put(job.TrainingJobName as string, {
        ...job,
        TrainingJobStatus: 'Failed',
        SecondaryStatus: 'Failed',
        FailureReason: LOST,
        FinalMetricDataList: this.metricsOf(job).read(true),
      });
  }

  /** The folder that is /opt/ml for a job. */
  private base(name: string): string {
    return join(this.root, 'jobs', name, 'opt', 'ml');
  }

  /** The file that has what a job printed. */
  log(name: string): string {
    return join(this.root, 'jobs', name, 'log.txt');
  }

  describeProcessing(name: string): DescribeProcessingJobResponse {
    const job = this.processing.get(name);
    if (job === undefined) throw notFound('processing job', name);
    return job;
  }

  /** With the metrics so far while the job runs, with those of its end after it. */
  describeTraining(name: string): DescribeTrainingJobResponse {
    const job = this.training.get(name);
    if (job === undefined) throw notFound('training job', name);
    const metrics = this.logMetrics.get(name);
    return metrics === undefined ? job : { ...job, FinalMetricDataList: metrics.read() };
  }

  private metricsOf({ TrainingJobName, AlgorithmSpecification }: DescribeTrainingJobResponse): LogMetrics {
    return new LogMetrics(this.log(TrainingJobName as string), AlgorithmSpecification?.MetricDefinitions);
  }

  /** Begins a processing job; `finished` settles when it has ended, one way or the other. */
  createProcessing(request: CreateProcessingJobRequest): { arn: string; finished: Promise<void> } {
    const name = requireNew(this.processing, 'processing job', request.ProcessingJobName);
    requireOneInstance(request.ProcessingResources?.ClusterConfig?.InstanceCount);
    const places = [
      ...(request.ProcessingInputs ?? []).map(({ S3Input }) => S3Input),
      ...(request.ProcessingOutputConfig?.Outputs ?? []).map(({ S3Output }) => S3Output),
    ];
    for (const place of places) if (place?.LocalPath) insideOptMl(place.LocalPath);
    const jobArn = arn('processing-job', name);
    const now = new Date();
    this.processing.put(name, {
      ...(request as unknown as DescribeProcessingJobResponse),
      ProcessingJobArn: jobArn,
      ProcessingJobStatus: 'InProgress',
      CreationTime: now,
      ProcessingStartTime: now,
    });
    return { arn: jobArn, finished: this.begun(this.runProcessing(name, request)) };
  }

  private async runProcessing(name: string, request: CreateProcessingJobRequest): Promise<void> {
    const end = (result: Partial<DescribeProcessingJobResponse>) => {
      if (this.isSuspended(name)) return;
      this.processing.put(name, { ...this.describeProcessing(name), ...result, ProcessingEndTime: new Date() });
    };
    try {
      const base = this.base(name);
      const inside = (path: string) => join(base, insideOptMl(path));
      for (const { S3Input: input } of request.ProcessingInputs ?? []) {
        if (input?.S3Uri && input.LocalPath) this.s3.download(input.S3Uri, inside(input.LocalPath));
      }
      const outputs = (request.ProcessingOutputConfig?.Outputs ?? []).flatMap(({ S3Output: output }) =>
        output?.LocalPath && output.S3Uri ? [output] : [],
      );
      for (const { LocalPath } of outputs) mkdirSync(inside(LocalPath as string), { recursive: true });
      writeJson(join(base, 'config', 'processingjobconfig.json'), request);
      const { ImageUri, ContainerEntrypoint = [], ContainerArguments = [] } = request.AppSpecification ?? {};
      const failure = await this.runContainer(
        name,
        ImageUri as string,
        [...ContainerEntrypoint, ...ContainerArguments],
        request.Environment ?? {},
      );
      if (failure !== undefined) return end({ ProcessingJobStatus: 'Failed', FailureReason: failure });
      for (const { LocalPath, S3Uri } of outputs) this.s3.upload(inside(LocalPath as string), S3Uri as string);
      end({ ProcessingJobStatus: this.stopped.has(name) ? 'Stopped' : 'Completed' });
    } catch (error) {
      end({ ProcessingJobStatus: 'Failed', FailureReason: `ClientError: ${(error as Error).message}` });
    }
  }

  /** Begins a training job; `finished` settles when it has ended, one way or the other. */
  createTraining(request: CreateTrainingJobRequest): { arn: string; finished: Promise<void> } {
    const name = requireNew(this.training, 'training job', request.TrainingJobName);
    requireOneInstance(request.ResourceConfig?.InstanceCount);
    for (const { Regex } of request.AlgorithmSpecification?.MetricDefinitions ?? []) requireRegex(Regex);
    for (const { ChannelName } of request.InputDataConfig ?? []) requireChannelName(ChannelName);
    const jobArn = arn('training-job', name);
    const now = new Date();
    this.training.put(name, {
      ...(request as unknown as DescribeTrainingJobResponse),
      TrainingJobArn: jobArn,
      TrainingJobStatus: 'InProgress',
      SecondaryStatus: 'Training',
      CreationTime: now,
      TrainingStartTime: now,
    });
    this.logMetrics.set(name, this.metricsOf(this.describeTraining(name)));
    return { arn: jobArn, finished: this.begun(this.runTraining(name, request)) };
  }

  private async runTraining(name: string, request: CreateTrainingJobRequest): Promise<void> {
    const end = (result: Partial<DescribeTrainingJobResponse>) => {
      if (this.isSuspended(name)) return;
      const job = this.describeTraining(name);
      const FinalMetricDataList = this.logMetrics.get(name)?.read(true);
      this.logMetrics.delete(name);
      const now = new Date();
      const seconds = Math.round((now.getTime() - (job.TrainingStartTime?.getTime() ?? 0)) / 1000);
      this.training.put(name, {
        ...job,
        ...result,
        FinalMetricDataList,
        TrainingEndTime: now,
        TrainingTimeInSeconds: seconds,
      });
    };
    try {
      const base = this.base(name);
      for (const { ChannelName, DataSource } of request.InputDataConfig ?? []) {
        this.s3.download(DataSource?.S3DataSource?.S3Uri as string, join(base, 'input', 'data', ChannelName as string));
      }
      const config = join(base, 'input', 'config');
      writeJson(join(config, 'hyperparameters.json'), request.HyperParameters ?? {});
      writeJson(
        join(config, 'inputdataconfig.json'),
        Object.fromEntries((request.InputDataConfig ?? []).map((channel) => [channel.ChannelName, channel])),
      );
      writeJson(join(config, 'resourceconfig.json'), {
        current_host: 'algo-1',
        hosts: ['algo-1'],
        current_instance_type: request.ResourceConfig?.InstanceType,
        network_interface_name: 'lo',
      });
      for (const folder of ['model', 'output/data']) mkdirSync(join(base, folder), { recursive: true });
      const environment = {
        TRAINING_JOB_NAME: name,
        TRAINING_JOB_ARN: arn('training-job', name),
        ...request.Environment,
      };
      const failure = await this.runContainer(
        name,
        request.AlgorithmSpecification?.TrainingImage as string,
        ['train'],
        environment,
      );
      if (failure !== undefined)
        return end({ TrainingJobStatus: 'Failed', SecondaryStatus: 'Failed', FailureReason: failure });
      const output = `${request.OutputDataConfig?.S3OutputPath?.replace(/\/$/, '')}/${name}/output`;
      const archives = [
        { folder: join(base, 'model'), file: 'model.tar.gz' },
        { folder: join(base, 'output', 'data'), file: 'output.tar.gz' },
      ];
      for (const { folder, file } of archives) {
        const archive = join(this.root, 'jobs', name, file);
        const contents = readdirSync(folder);
        await create({ gzip: true, file: archive, cwd: folder }, contents.length > 0 ? contents : ['.']);
        this.s3.upload(archive, `${output}/${file}`);
        rmSync(archive);
      }
      const status = this.stopped.has(name) ? 'Stopped' : 'Completed';
      end({
        TrainingJobStatus: status,
        SecondaryStatus: status,
        ModelArtifacts: { S3ModelArtifacts: `${output}/model.tar.gz` },
      });
    } catch (error) {
      end({
        TrainingJobStatus: 'Failed',
        SecondaryStatus: 'Failed',
        FailureReason: `ClientError: ${(error as Error).message}`,
      });
    }
  }

  /** Runs the container of a job to its end; the reason of its failure, if it failed. */
  private async runContainer(
    name: string,
    image: string,
    command: string[],
    environment: Record<string, string>,
  ): Promise<string | undefined> {
    const base = this.base(name);
    const aws = { AWS_REGION: REGION, AWS_DEFAULT_REGION: REGION, AWS_ACCOUNT_ID: ACCOUNT };
    const container = this.executor.run({
      image,
      command,
      environment: { ...aws, ...environment },
      base,
      log: this.log(name),
    });
    this.running.set(name, container);
    const status = await container.exited;
    this.running.delete(name);
    if (this.isSuspended(name)) throw new Error(LOST);
    if (status === 0 || this.stopped.has(name)) return undefined;
    const file = join(base, 'output', 'failure');
    const reason = existsSync(file) ? readFileSync(file, 'utf8').slice(0, FAILURE_LENGTH) : `see ${this.log(name)}`;
    return `AlgorithmError: ${reason}, exit code: ${status}`;
  }

  private begun(job: Promise<void>): Promise<void> {
    this.finished = Promise.allSettled([this.finished, job]);
    return job;
  }

  /** Waits until no job runs any more. */
  async settled(): Promise<void> {
    await this.finished;
  }

  /** Begins to end a processing job; what it leaves is kept. */
  stopProcessing(name: string): void {
    const job = this.describeProcessing(name);
    if (!this.stop(name)) return;
    this.processing.put(name, { ...job, ProcessingJobStatus: 'Stopping' });
  }

  /** Begins to end a training job; what it leaves is kept. */
  stopTraining(name: string): void {
    const job = this.describeTraining(name);
    if (!this.stop(name)) return;
    this.training.put(name, { ...job, TrainingJobStatus: 'Stopping', SecondaryStatus: 'Stopping' });
  }

  /** From now on the end of a job that nobody asked to stop is not its own, and is not written down. */
  suspend(): void {
    this.suspended = true;
  }

  private isSuspended(name: string): boolean {
    return this.suspended && !this.stopped.has(name);
  }

  /** Whether the job runs, and will end. */
  private stop(name: string): boolean {
    const container = this.running.get(name);
    if (container === undefined) return false;
    this.stopped.add(name);
    void container.stop(GRACE);
    return true;
  }
}

function isUnfinished(status: string | undefined): boolean {
  return status === 'InProgress' || status === 'Stopping';
}

function requireRegex(text: string | undefined): void {
  try {
    new RegExp(text as string);
  } catch (error) {
    throw new ServiceError('ValidationException', `a metric definition is wrong: ${(error as Error).message}`);
  }
}

function writeJson(path: string, value: unknown): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, JSON.stringify(value, null, 2));
}
