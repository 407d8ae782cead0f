// Training jobs: their channels and checkpoints are put in place, their container run, their model taken away, as SageMaker does it.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel, CreateTrainingJobRequest, DescribeTrainingJobResponse } from '@aws-sdk/client-sagemaker';
import { create } from 'tar';
import { invalid } from '../errors';
import { arn, insideOptMl, requireChannelName } from '../names';
import type { FolderS3 } from '../s3';
import type { Executor } from './executor';
import { LogMetrics } from './metrics';
import { isUnfinished, JobRunner, LOST, requireOneInstance, tooLong, writeJson } from './runner';

export class TrainingJobs {
  readonly runner: JobRunner<DescribeTrainingJobResponse>;
  /** Of the jobs that have not ended. */
  private readonly metrics = new Map<string, LogMetrics>();

  constructor(
    root: string,
    private readonly s3: FolderS3,
    executor: Executor,
  ) {
    this.runner = new JobRunner(root, 'training-job', executor);
    const { jobs } = this.runner;
    for (const job of jobs.list().filter((job) => isUnfinished(job.TrainingJobStatus)))
      jobs.put(job.TrainingJobName as string, {
        ...job,
        TrainingJobStatus: 'Failed',
        SecondaryStatus: 'Failed',
        FailureReason: LOST,
        FinalMetricDataList: this.metricsOf(job).read(true),
      });
  }

  /** With the metrics so far while the job runs, with those of its end after it. */
  describe(name: string): DescribeTrainingJobResponse {
    const job = this.runner.require(name);
    const metrics = this.metrics.get(name);
    return metrics === undefined ? job : { ...job, FinalMetricDataList: metrics.read() };
  }

  private metricsOf({ TrainingJobName, AlgorithmSpecification }: DescribeTrainingJobResponse): LogMetrics {
    return new LogMetrics(this.runner.log(TrainingJobName as string), AlgorithmSpecification?.MetricDefinitions);
  }

  /** Begins a job; `finished` settles when it has ended, one way or the other. */
  create(request: CreateTrainingJobRequest): { arn: string; finished: Promise<void> } {
    const name = this.runner.requireNew(request.TrainingJobName);
    requireOneInstance(request.ResourceConfig?.InstanceCount);
    for (const { Regex } of request.AlgorithmSpecification?.MetricDefinitions ?? []) requireRegex(Regex);
    for (const channel of request.InputDataConfig ?? []) requireLocalChannel(channel, request);
    const { LocalPath } = request.CheckpointConfig ?? {};
    if (LocalPath !== undefined) insideOptMl(LocalPath);
    const jobArn = arn('training-job', name);
    const now = new Date();
    this.runner.jobs.put(name, {
      ...(request as unknown as DescribeTrainingJobResponse),
      TrainingJobArn: jobArn,
      TrainingJobStatus: 'InProgress',
      SecondaryStatus: 'Training',
      CreationTime: now,
      TrainingStartTime: now,
    });
    this.metrics.set(name, this.metricsOf(this.describe(name)));
    return { arn: jobArn, finished: this.runner.begun(this.run(name, request)) };
  }

  /** Begins to end a job; what it leaves is kept. */
  stop(name: string): void {
    const job = this.describe(name);
    if (!this.runner.stop(name)) return;
    this.runner.jobs.put(name, { ...job, TrainingJobStatus: 'Stopping', SecondaryStatus: 'Stopping' });
  }

  private async run(name: string, request: CreateTrainingJobRequest): Promise<void> {
    try {
      this.end(name, await this.work(name, request));
    } catch (error) {
      this.end(name, {
        TrainingJobStatus: 'Failed',
        SecondaryStatus: 'Failed',
        FailureReason: `ClientError: ${(error as Error).message}`,
      });
    }
  }

  private end(name: string, result: Partial<DescribeTrainingJobResponse>): void {
    if (this.runner.isSuspended(name)) return;
    const job = this.describe(name);
    const FinalMetricDataList = this.metrics.get(name)?.read(true);
    this.metrics.delete(name);
    const now = new Date();
    const seconds = Math.round((now.getTime() - (job.TrainingStartTime?.getTime() ?? 0)) / 1000);
    this.runner.jobs.put(name, {
      ...job,
      ...result,
      FinalMetricDataList,
      TrainingEndTime: now,
      TrainingTimeInSeconds: seconds,
    });
  }

  private async work(name: string, request: CreateTrainingJobRequest): Promise<Partial<DescribeTrainingJobResponse>> {
    this.prepare(name, request);
    const { CheckpointConfig: checkpoints } = request;
    const maxRuntime = request.StoppingCondition?.MaxRuntimeInSeconds;
    const end = await this.runner.run(name, {
      image: request.AlgorithmSpecification?.TrainingImage as string,
      command: ['train'],
      ...(checkpoints && {
        mounts: new Map([[checkpoints.LocalPath ?? '/opt/ml/checkpoints', this.s3.path(checkpoints.S3Uri as string)]]),
      }),
      environment: {
        TRAINING_JOB_NAME: name,
        TRAINING_JOB_ARN: arn('training-job', name),
        ...request.Environment,
      },
      ...(maxRuntime !== undefined && { maxRuntime }),
    });
    if (end.status === 'Failed')
      return { TrainingJobStatus: 'Failed', SecondaryStatus: 'Failed', FailureReason: end.reason };
    const S3ModelArtifacts = await this.store(name, request);
    return {
      TrainingJobStatus: end.status === 'Completed' ? 'Completed' : 'Stopped',
      SecondaryStatus: end.status,
      ...(end.status === 'MaxRuntimeExceeded' && { FailureReason: tooLong(maxRuntime) }),
      ModelArtifacts: { S3ModelArtifacts },
    };
  }

  /** Makes /opt/ml what a container finds there. */
  private prepare(name: string, request: CreateTrainingJobRequest): void {
    const { InputDataConfig: channels = [], HyperParameters = {} } = request;
    const base = this.runner.base(name);
    for (const { ChannelName, DataSource } of channels) {
      this.s3.download(DataSource?.S3DataSource?.S3Uri as string, join(base, 'input', 'data', ChannelName as string));
    }
    const config = join(base, 'input', 'config');
    writeJson(join(config, 'hyperparameters.json'), HyperParameters);
    writeJson(
      join(config, 'inputdataconfig.json'),
      Object.fromEntries(channels.map((channel) => [channel.ChannelName, channel])),
    );
    writeJson(join(config, 'resourceconfig.json'), {
      current_host: 'algo-1',
      hosts: ['algo-1'],
      current_instance_type: request.ResourceConfig?.InstanceType,
      network_interface_name: 'lo',
    });
    for (const folder of ['model', 'output/data']) mkdirSync(join(base, folder), { recursive: true });
  }

  /** Puts the model and the output away as archives. @returns the S3 URI of the model */
  private async store(name: string, request: CreateTrainingJobRequest): Promise<string> {
    const base = this.runner.base(name);
    const output = `${request.OutputDataConfig?.S3OutputPath?.replace(/\/$/, '')}/${name}/output`;
    const archives = [
      { folder: join(base, 'model'), file: 'model.tar.gz' },
      { folder: join(base, 'output', 'data'), file: 'output.tar.gz' },
    ];
    for (const { folder, file } of archives) {
      const archive = join(this.runner.folder(name), file);
      const contents = readdirSync(folder);
      await create({ gzip: true, file: archive, cwd: folder }, contents.length > 0 ? contents : ['.']);
      this.s3.upload(archive, `${output}/${file}`);
      rmSync(archive);
    }
    return `${output}/model.tar.gz`;
  }
}

/** @throws ServiceError for what a channel cannot be on this machine */
function requireLocalChannel({ ChannelName, DataSource, InputMode }: Channel, request: CreateTrainingJobRequest): void {
  requireChannelName(ChannelName);
  if (DataSource?.S3DataSource === undefined)
    throw invalid(`the channel ${ChannelName} is on a file system; on this machine channels come from S3`);
  if ((InputMode ?? request.AlgorithmSpecification?.TrainingInputMode) === 'Pipe')
    throw invalid(`the channel ${ChannelName} has the input mode Pipe; on this machine it is File or FastFile`);
}

function requireRegex(text: string | undefined): void {
  try {
    new RegExp(text as string);
  } catch (error) {
    throw invalid(`a metric definition is wrong: ${(error as Error).message}`);
  }
}
