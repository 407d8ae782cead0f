// The operations of SageMaker's API that the local control plane answers, by their names.
import type {
  CreateEndpointConfigInput,
  CreateEndpointInput,
  CreateModelInput,
  CreateModelPackageGroupInput,
  CreateModelPackageInput,
  CreatePipelineRequest,
  CreateProcessingJobRequest,
  CreateTrainingJobRequest,
  DescribeModelPackageOutput,
  ListModelPackagesInput,
  ListPipelineExecutionsRequest,
  StartPipelineExecutionRequest,
  UpdateEndpointInput,
  UpdatePipelineRequest,
} from '@aws-sdk/client-sagemaker';
import type { Executions } from './executions/executions';
import type { ProcessingJobs } from './jobs/processing-jobs';
import type { TrainingJobs } from './jobs/training-jobs';
import type { Endpoints } from './models/endpoints';
import type { Registry } from './models/registry';
import { nameOf } from './names';
import type { Pipelines } from './pipelines';

export interface Services {
  readonly processing: ProcessingJobs;
  readonly training: TrainingJobs;
  readonly registry: Registry;
  readonly endpoints: Endpoints;
  readonly pipelines: Pipelines;
  readonly executions: Executions;
}

/** Takes the members of a request, gives those of the response. */
export type Operation = (request: never) => object | Promise<object>;

export function makeOperations({
  processing,
  training,
  registry,
  endpoints,
  pipelines,
  executions,
}: Services): Readonly<Record<string, Operation>> {
  return {
    CreatePipeline: (request: CreatePipelineRequest) => ({ PipelineArn: pipelines.create(request) }),
    UpdatePipeline: (request: UpdatePipelineRequest) => ({
      PipelineArn: pipelines.update(request.PipelineName ?? '', request),
    }),
    DescribePipeline: ({ PipelineName }: { PipelineName: string }) => pipelines.describe(PipelineName),
    ListPipelines: () => ({ PipelineSummaries: pipelines.pipelines.list() }),
    StartPipelineExecution: (request: StartPipelineExecutionRequest) => ({
      PipelineExecutionArn: executions.start(request),
    }),
    StopPipelineExecution: (request: ExecutionRequest) => ({
      PipelineExecutionArn: executions.stop(request.PipelineExecutionArn),
    }),
    DescribePipelineExecution: (request: ExecutionRequest) => executions.describe(request.PipelineExecutionArn),
    DescribePipelineDefinitionForExecution: (request: ExecutionRequest) =>
      executions.describeDefinition(request.PipelineExecutionArn),
    ListPipelineExecutions: (request: ListPipelineExecutionsRequest) => ({
      PipelineExecutionSummaries: executions.list(request),
    }),
    ListPipelineExecutionSteps: (request: ExecutionRequest) => ({
      PipelineExecutionSteps: executions.listSteps(request.PipelineExecutionArn),
    }),
    ListPipelineParametersForExecution: (request: ExecutionRequest) => ({
      PipelineParameters: executions.listParameters(request.PipelineExecutionArn),
    }),

    CreateProcessingJob: (request: CreateProcessingJobRequest) => ({
      ProcessingJobArn: processing.create(request).arn,
    }),
    DescribeProcessingJob: ({ ProcessingJobName }: { ProcessingJobName: string }) =>
      processing.describe(ProcessingJobName),
    StopProcessingJob: ({ ProcessingJobName }: { ProcessingJobName: string }) => {
      processing.stop(ProcessingJobName);
      return {};
    },
    CreateTrainingJob: (request: CreateTrainingJobRequest) => ({ TrainingJobArn: training.create(request).arn }),
    DescribeTrainingJob: ({ TrainingJobName }: { TrainingJobName: string }) => training.describe(TrainingJobName),
    StopTrainingJob: ({ TrainingJobName }: { TrainingJobName: string }) => {
      training.stop(TrainingJobName);
      return {};
    },

    CreateModel: (request: CreateModelInput) => ({ ModelArn: registry.createModel(request) }),
    DeleteModel: ({ ModelName }: { ModelName: string }) => {
      registry.describeModel(ModelName);
      registry.models.delete(ModelName);
      return {};
    },
    DescribeModel: ({ ModelName }: { ModelName: string }) => registry.describeModel(ModelName),
    CreateModelPackageGroup: (request: CreateModelPackageGroupInput) => ({
      ModelPackageGroupArn: registry.createGroup(request),
    }),
    DescribeModelPackageGroup: (request: GroupRequest) => registry.describeGroup(request.ModelPackageGroupName),
    CreateModelPackage: (request: CreateModelPackageInput) => ({ ModelPackageArn: registry.createPackage(request) }),
    DescribeModelPackage: ({ ModelPackageName }: { ModelPackageName: string }) =>
      registry.describePackage(ModelPackageName),
    UpdateModelPackage: ({
      ModelPackageArn,
      ...change
    }: Partial<DescribeModelPackageOutput> & { ModelPackageArn: string }) => ({
      ModelPackageArn: registry.updatePackage(ModelPackageArn, change),
    }),
    ListModelPackages: ({ ModelPackageGroupName, ModelApprovalStatus }: ListModelPackagesInput) => ({
      ModelPackageSummaryList: registry
        .versions(nameOf(ModelPackageGroupName))
        .filter((version) => !ModelApprovalStatus || version.ModelApprovalStatus === ModelApprovalStatus),
    }),

    CreateEndpointConfig: (request: CreateEndpointConfigInput) => ({
      EndpointConfigArn: endpoints.createConfig(request),
    }),
    DescribeEndpointConfig: (request: { EndpointConfigName: string }) =>
      endpoints.describeConfig(request.EndpointConfigName),
    DeleteEndpointConfig: (request: { EndpointConfigName: string }) => {
      endpoints.describeConfig(request.EndpointConfigName);
      endpoints.configs.delete(request.EndpointConfigName);
      return {};
    },
    ListEndpointConfigs: ({ NameContains = '' }: { NameContains?: string }) => ({
      EndpointConfigs: endpoints.configs
        .list()
        .reverse()
        .filter(({ EndpointConfigName }) => EndpointConfigName?.includes(NameContains)),
    }),
    CreateEndpoint: (request: CreateEndpointInput) => ({ EndpointArn: endpoints.create(request) }),
    UpdateEndpoint: (request: UpdateEndpointInput) => ({ EndpointArn: endpoints.update(request) }),
    DescribeEndpoint: ({ EndpointName }: { EndpointName: string }) => endpoints.describe(EndpointName),
    DeleteEndpoint: async ({ EndpointName }: { EndpointName: string }) => {
      await endpoints.delete(EndpointName);
      return {};
    },
  };
}

interface ExecutionRequest {
  readonly PipelineExecutionArn: string;
}

interface GroupRequest {
  readonly ModelPackageGroupName: string;
}
