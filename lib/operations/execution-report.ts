// Gathers what the report of an execution says, from SageMaker and from what the jobs left in S3.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  DescribeModelPackageCommand,
  DescribePipelineCommand,
  DescribeTrainingJobCommand,
  type SageMakerClient,
} from '@aws-sdk/client-sagemaker';
import { extract } from 'tar';
import type { ExecutionState } from './execution';
import { nameIn } from './held-out';
import type { EpochRecord, ReportData } from './report';
import type { ClassResult, RegionResult, Results, SamplePrediction, SampleVolume } from './report-results';

/** An execution that has succeeded. */
export interface FinishedExecution {
  readonly client: SageMakerClient;
  readonly pipeline: string;
  readonly executionArn: string;
  readonly state: ExecutionState;
  /** What the endpoint said of images, or of volumes. */
  readonly samples: readonly SamplePrediction[] | readonly SampleVolume[];
  /** Where on this machine an object of S3, or what is below a prefix, lies. */
  readonly pathOf: (uri: string) => string;
}

/** Name of the first job, model or version of a kind that the steps made. */
export function madeBy({ steps }: ExecutionState, kind: 'TrainingJob' | 'Model' | 'RegisterModel'): string | undefined {
  const arn = steps.find(({ Metadata }) => Metadata?.[kind])?.Metadata?.[kind]?.Arn;
  return arn === undefined ? undefined : nameIn(arn);
}

/** Seconds from one time to another; what is not there yet is now. */
export function seconds(from: Date | undefined, to: Date | undefined): number {
  return ((to?.getTime() ?? Date.now()) - (from?.getTime() ?? Date.now())) / 1000;
}

/** The epochs of the training, from history.json in its model. */
async function trainingHistory({ client, state, pathOf }: FinishedExecution): Promise<EpochRecord[]> {
  const name = madeBy(state, 'TrainingJob') as string;
  const job = await client.send(new DescribeTrainingJobCommand({ TrainingJobName: name }));
  const folder = mkdtempSync(join(tmpdir(), 'scanline-report-'));
  try {
    await extract({
      file: pathOf(job.ModelArtifacts?.S3ModelArtifacts as string),
      cwd: folder,
      filter: (path) => path.endsWith('/history.json'),
    });
    const file = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find((path) =>
      path.endsWith('history.json'),
    );
    return file === undefined ? [] : (JSON.parse(readFileSync(join(folder, file), 'utf8')) as EpochRecord[]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

interface ClassifierEvaluation {
  readonly multiclass_classification_metrics: {
    readonly accuracy: { readonly value: number };
    readonly confusion_matrix: Readonly<Record<string, Readonly<Record<string, number>>>>;
  };
  readonly classes: Readonly<Record<string, ClassResult>>;
}

interface SegmenterEvaluation {
  readonly segmentation_metrics: { readonly dice: { readonly value: number } };
  readonly classes: Readonly<Record<string, RegionResult>>;
  readonly volumes: number;
}

function resultsIn(file: string, samples: FinishedExecution['samples']): Results {
  const evaluation = JSON.parse(readFileSync(file, 'utf8')) as ClassifierEvaluation | SegmenterEvaluation;
  if ('segmentation_metrics' in evaluation) {
    const { segmentation_metrics: metrics, classes, volumes } = evaluation;
    const dice = metrics.dice.value;
    return { task: 'segmentation', dice, volumes, classes, samples: samples as readonly SampleVolume[] };
  }
  const { accuracy, confusion_matrix: confusion } = evaluation.multiclass_classification_metrics;
  return {
    ...{ task: 'classification', accuracy: accuracy.value, classes: evaluation.classes, confusion },
    samples: samples as readonly SamplePrediction[],
  };
}

/** What the report says: the registered version, its evaluation, its training, and when each step ran. */
export async function gatherReport(execution: FinishedExecution): Promise<ReportData> {
  const { client, pipeline, executionArn, state, samples, pathOf } = execution;
  const modelPackage = await client.send(
    new DescribeModelPackageCommand({ ModelPackageName: madeBy(state, 'RegisterModel') as string }),
  );
  const statistics = modelPackage.ModelMetrics?.ModelQuality?.Statistics?.S3Uri as string;
  const { PipelineDefinition } = await client.send(new DescribePipelineCommand({ PipelineName: pipeline }));
  const begun = state.steps[0]?.StartTime as Date;
  return {
    pipeline,
    executionArn,
    status: state.status,
    startedAt: begun,
    definition: PipelineDefinition as string,
    statuses: new Map(state.steps.map(({ StepName, StepStatus }) => [StepName as string, StepStatus as string])),
    timings: state.steps.map(({ StepName, StartTime, EndTime }) => {
      return { name: StepName as string, start: seconds(begun, StartTime), seconds: seconds(StartTime, EndTime) };
    }),
    history: await trainingHistory(execution),
    results: resultsIn(pathOf(statistics), samples),
  };
}
