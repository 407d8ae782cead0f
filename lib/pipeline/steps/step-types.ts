// The types of steps: which request each makes of SageMaker, and what can be referred to afterwards.
import { ANY, merged, type Shape, type Structure, sdkStructure, structure, TEXT } from './schema';

export interface StepType {
  /** The shape of the arguments; undefined where they are anything. */
  readonly request?: Structure;
  /** Members of the request that SageMaker fills in itself. */
  readonly named?: readonly string[];
  /** What can be referred to; undefined where nothing can. */
  readonly response?: Structure;
  /** Which retry policies it takes: those of a job, those of any step's call, or none. */
  readonly retries: 'job' | 'step' | 'none';
}

/** As https://docs.aws.amazon.com/sagemaker/latest/dg/build-and-manage-steps-types.html#step-type-emr */
const EMR_ARGUMENTS = structure(
  'EMR step',
  {
    ClusterId: TEXT,
    ExecutionRoleArn: TEXT,
    ClusterConfig: ANY,
    StepConfig: structure(
      'EMR step config',
      {
        HadoopJarStep: structure(
          'HadoopJarStep',
          {
            Jar: TEXT,
            MainClass: TEXT,
            Args: { kind: 'list', item: TEXT },
            Properties: { kind: 'list', item: structure('KeyValue', { Key: TEXT, Value: TEXT }) },
          },
          ['Jar'],
        ),
      },
      ['HadoopJarStep'],
    ),
  },
  ['StepConfig'],
);

/** As https://docs.aws.amazon.com/emr/latest/APIReference/API_Step.html */
const EMR_STEP = structure('EMR Step', {
  Id: TEXT,
  Name: TEXT,
  ActionOnFailure: TEXT,
  ExecutionRoleArn: TEXT,
  ClusterId: TEXT,
  Config: structure('HadoopStepConfig', {
    Jar: TEXT,
    MainClass: TEXT,
    Args: { kind: 'list', item: TEXT },
    Properties: { kind: 'map', value: TEXT },
  }),
  Status: structure('StepStatus', {
    State: TEXT,
    StateChangeReason: structure('StepStateChangeReason', { Code: TEXT, Message: TEXT }),
    FailureDetails: structure('FailureDetails', { Reason: TEXT, Message: TEXT, LogFile: TEXT }),
    Timeline: structure('StepTimeline', { CreationDateTime: ANY, StartDateTime: ANY, EndDateTime: ANY }),
  }),
});

const BASELINE = {
  CalculatedBaselineConstraints: TEXT,
  BaselineUsedForDriftCheckConstraints: TEXT,
} as const satisfies Record<string, Shape>;

const AUTOML_BEST = structure('AutoML step', {
  BestCandidateProperties: structure('BestCandidateProperties', {
    ModelInsightsJsonReportPath: TEXT,
    ExplainabilityJsonReportPath: TEXT,
  }),
});

const OUTPUTS = structure('step with outputs', { OutputParameters: { kind: 'map', value: ANY } });

/** Made when first asked for: the shapes of the SDK are many. */
const MAKERS: Readonly<Record<string, () => StepType>> = {
  Processing: () => ({
    request: sdkStructure('CreateProcessingJobRequest'),
    named: ['ProcessingJobName'],
    response: sdkStructure('DescribeProcessingJobResponse'),
    retries: 'job',
  }),
  Training: () => ({
    request: sdkStructure('CreateTrainingJobRequest'),
    named: ['TrainingJobName'],
    response: sdkStructure('DescribeTrainingJobResponse'),
    retries: 'job',
  }),
  Tuning: () => ({
    request: sdkStructure('CreateHyperParameterTuningJobRequest'),
    named: ['HyperParameterTuningJobName'],
    response: merged(
      sdkStructure('DescribeHyperParameterTuningJobResponse'),
      sdkStructure('ListTrainingJobsForHyperParameterTuningJobResponse'),
    ),
    retries: 'job',
  }),
  Transform: () => ({
    request: sdkStructure('CreateTransformJobRequest'),
    named: ['TransformJobName'],
    response: sdkStructure('DescribeTransformJobResponse'),
    retries: 'job',
  }),
  AutoML: () => ({
    request: sdkStructure('CreateAutoMLJobRequest'),
    named: ['AutoMLJobName'],
    response: merged(sdkStructure('DescribeAutoMLJobResponse'), AUTOML_BEST),
    retries: 'job',
  }),
  Model: () => ({
    request: sdkStructure('CreateModelInput'),
    named: ['ModelName'],
    response: sdkStructure('DescribeModelOutput'),
    retries: 'step',
  }),
  RegisterModel: () => ({
    request: sdkStructure('CreateModelPackageInput'),
    named: ['ModelPackageName'],
    response: sdkStructure('DescribeModelPackageOutput'),
    retries: 'step',
  }),
  EndpointConfig: () => ({
    request: sdkStructure('CreateEndpointConfigInput'),
    response: sdkStructure('DescribeEndpointConfigOutput'),
    retries: 'step',
  }),
  Endpoint: () => ({
    request: sdkStructure('CreateEndpointInput'),
    response: sdkStructure('DescribeEndpointOutput'),
    retries: 'none',
  }),
  InferenceComponent: () => ({
    request: sdkStructure('CreateInferenceComponentInput'),
    response: sdkStructure('DescribeInferenceComponentOutput'),
    retries: 'none',
  }),
  QualityCheck: () => ({
    request: sdkStructure('CreateProcessingJobRequest'),
    named: ['ProcessingJobName'],
    response: structure('QualityCheck step', {
      ...BASELINE,
      CalculatedBaselineStatistics: TEXT,
      BaselineUsedForDriftCheckStatistics: TEXT,
    }),
    retries: 'none',
  }),
  ClarifyCheck: () => ({
    request: sdkStructure('CreateProcessingJobRequest'),
    named: ['ProcessingJobName'],
    response: structure('ClarifyCheck step', BASELINE),
    retries: 'none',
  }),
  EMR: () => ({ request: EMR_ARGUMENTS, response: EMR_STEP, retries: 'step' }),
  Lambda: () => ({ response: OUTPUTS, retries: 'none' }),
  Callback: () => ({ response: OUTPUTS, retries: 'none' }),
  Condition: () => ({ retries: 'none' }),
  Fail: () => ({ request: structure('Fail step', { ErrorMessage: TEXT }, ['ErrorMessage']), retries: 'none' }),
};

/** Types that AWS's SDKs know too, whose arguments are not looked into. */
const UNCHECKED = ['Lineage', 'EMRServerless', 'MonitorBatchTransform'];

export const STEP_TYPES: readonly string[] = [...Object.keys(MAKERS), ...UNCHECKED];

const made = new Map<string, StepType>();

/** What is known of a type of step; undefined where nothing is. */
export function stepType(type: string): StepType | undefined {
  const maker = MAKERS[type];
  if (maker && !made.has(type)) made.set(type, maker());
  return made.get(type);
}
