// Steps that train: a training job, a tuning of many, and AutoML.
import type {
  CreateAutoMLJobRequest,
  CreateHyperParameterTuningJobRequest,
  CreateTrainingJobRequest,
  DescribeAutoMLJobResponse,
  DescribeHyperParameterTuningJobResponse,
  DescribeTrainingJobResponse,
  ListTrainingJobsForHyperParameterTuningJobResponse,
} from '@aws-sdk/client-sagemaker';
import { type Expression, join, type Text } from '../expression';
import { RequestStep, type WithoutName } from './step';

/** The request for a training job, without its name. */
export type TrainingArguments = WithoutName<CreateTrainingJobRequest, 'TrainingJobName'>;

/** Trains a model. */
export class TrainingStep extends RequestStep<TrainingArguments, DescribeTrainingJobResponse> {
  readonly type = 'Training';
}

/** The request for a tuning job, without its name. */
export type TuningArguments = WithoutName<CreateHyperParameterTuningJobRequest, 'HyperParameterTuningJobName'>;

type TuningResponse = DescribeHyperParameterTuningJobResponse & ListTrainingJobsForHyperParameterTuningJobResponse;

/** Tunes one training job or several (`TrainingJobDefinitions`), from scratch or from earlier tunings (`WarmStartConfig`). */
export class TuningStep extends RequestStep<TuningArguments, TuningResponse> {
  readonly type = 'Tuning';

  /**
   * S3 URI of the model of one of the best jobs.
   *
   * @param rank 0 is the best job; SageMaker keeps the 50 best
   * @param bucket that the training jobs write to: the bucket of their S3OutputPath
   * @param prefix what follows the bucket in their S3OutputPath. @default nothing
   */
  topModel(rank: number, bucket: Text, prefix?: Text): Expression<string> {
    // by the separator / the first two give s3://bucket
    return this.topModelBelow(rank, join('/', 's3:/', bucket, ...(prefix === undefined ? [] : [prefix])));
  }

  /**
   * S3 URI of the model of one of the best jobs, below what is given as a whole.
   *
   * @param rank 0 is the best job; SageMaker keeps the 50 best
   * @param output the S3OutputPath of the training jobs
   */
  topModelBelow(rank: number, output: Text): Expression<string> {
    const job = this.properties.TrainingJobSummaries[rank]?.TrainingJobName as Expression<string>;
    return join('/', output, job, 'output/model.tar.gz');
  }
}

/** The request for an AutoML job, without its name and what pipelines do not take. */
export type AutoMLArguments = WithoutName<
  CreateAutoMLJobRequest,
  'AutoMLJobName' | 'GenerateCandidateDefinitionsOnly' | 'ModelDeployConfig'
>;

interface AutoMLResponse extends DescribeAutoMLJobResponse {
  /** What pipelines add: https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-automl */
  BestCandidateProperties?: {
    ModelInsightsJsonReportPath?: string;
    ExplainabilityJsonReportPath?: string;
  };
}

/** AutoML on a table; pipelines take the mode ENSEMBLING alone. */
export class AutoMLStep extends RequestStep<AutoMLArguments, AutoMLResponse> {
  readonly type = 'AutoML';
}
