// The dashboard stage: how a pipeline's executions, steps and jobs go, on one page of CloudWatch; and alarms on what should not happen.
import { Duration, Token } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  Dashboard,
  GraphWidget,
  type IMetric,
  type IWidget,
  MathExpression,
  Stats,
  TextWidget,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import type { Step } from '../../pipeline';
import { Refusals } from '../checks/refusals';
import { stepMetric } from '../pipeline-stage';
import type { SageMakerPipeline } from '../sagemaker-pipeline';

/** What is watched. */
export interface PipelineDashboardProps {
  /** Whose executions, steps and jobs are drawn. */
  readonly pipeline: SageMakerPipeline;
  /** @default CloudFormation chooses one */
  readonly dashboardName?: string;
  /** More graphs, by their titles, e.g. of an endpoint's metrics. @default none */
  readonly graphs?: Readonly<Record<string, readonly IMetric[]>>;
  /** Told of alarms; cloudwatch.amazonaws.com must be let publish, as a `Notification` lets it. @default nobody is */
  readonly alarmTopic?: ITopic;
  /** Whether there is an alarm on executions that fail. @default true */
  readonly alarmOnFailure?: boolean;
  /** An execution that took longer is an alarm, when it has ended: SageMaker tells how long it took only then. @default none is */
  readonly maxDuration?: Duration;
}

/** Jobs by the type of their step; dimensions and names: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html */
const NAMESPACES: Readonly<Record<string, string>> = {
  Training: '/aws/sagemaker/TrainingJobs',
  Tuning: '/aws/sagemaker/TrainingJobs',
  Processing: '/aws/sagemaker/ProcessingJobs',
  Transform: '/aws/sagemaker/TransformJobs',
};

const UTILISATION = ['CPUUtilization', 'MemoryUtilization', 'DiskUtilization'];
const GPU_UTILISATION = ['GPUUtilization', 'GPUMemoryUtilization'];

/** Letters of a step's name that surely are in the name of its job, which SageMaker cuts. */
const SURE_LETTERS = 20;

/** The words of a step's name by which CloudWatch finds its jobs, which are called pipelines-EXECUTION-STEP-... */
function wordsOf(stepName: string): string {
  const words = stepName.slice(0, SURE_LETTERS).split(/[^A-Za-z0-9]+/);
  // the last may be cut
  const sure = stepName.length > SURE_LETTERS && words.length > 1 ? words.slice(0, -1) : words;
  return ['pipelines', ...sure].join(' ');
}

/**
 * A metric of all jobs of a step, one line for each job. CloudWatch finds those of the last two weeks, by the words of their names:
 * also those of another pipeline's step of that name.
 */
function jobsMetric(namespace: string, dimension: string, metricName: string, stepName: string): MathExpression {
  const period = Duration.minutes(1);
  return new MathExpression({
    expression: `SEARCH('{${namespace},${dimension}} MetricName="${metricName}" ${wordsOf(stepName)}', 'Average', ${period.toSeconds()})`,
    usingMetrics: {},
    label: metricName,
    period,
  });
}

/** Names of the metrics that a training or tuning step finds in its log. */
function metricNames(step: Step): string[] {
  const { Arguments } = JSON.parse(JSON.stringify(step.toDefinition())) as { Arguments?: TrainingLike };
  const training = Arguments?.TrainingJobDefinition ?? Arguments;
  return (training?.AlgorithmSpecification?.MetricDefinitions ?? []).map(({ Name }) => Name);
}

interface TrainingLike {
  readonly AlgorithmSpecification?: { readonly MetricDefinitions?: readonly { readonly Name: string }[] };
  readonly TrainingJobDefinition?: TrainingLike;
}

function graph(title: string, left: readonly IMetric[], width = 12, leftLabel?: string): GraphWidget {
  return new GraphWidget({
    title,
    left: [...left],
    width,
    height: 6,
    ...(leftLabel !== undefined && { leftYAxis: { label: leftLabel, showUnits: false } }),
  });
}

function check(construct: Construct, props: PipelineDashboardProps): void {
  const refusals = new Refusals(construct);
  const { dashboardName, graphs = {}, maxDuration } = props;
  if (dashboardName !== undefined && !Token.isUnresolved(dashboardName) && !/^[\w-]{1,255}$/.test(dashboardName))
    refusals.add('dashboardName', `'${dashboardName}'`, 'up to 255 letters, digits, - and _', 'give another name');
  for (const [title, metrics] of Object.entries(graphs).filter(([, list]) => list.length === 0))
    refusals.add(`graphs.${title}`, `${metrics.length} metrics`, 'at least one', 'leave it out');
  refusals.within('maxDuration', maxDuration, Duration.seconds(1), Duration.days(365));
  refusals.throwIfAny();
}

/** A dashboard of a pipeline, and alarms on its failures and its duration. */
export class PipelineDashboard extends Construct {
  /** CloudWatch's, for further widgets. */
  readonly dashboard: Dashboard;
  /** For further actions. */
  readonly alarms: readonly Alarm[];

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: PipelineDashboardProps) {
    super(scope, id);
    check(this, props);
    const { pipeline, dashboardName, graphs = {} } = props;
    this.alarms = this.makeAlarms(props);
    const steps = pipeline.pipeline.steps.filter(({ type }) => type !== 'Fail');
    this.dashboard = new Dashboard(this, 'Dashboard', {
      ...(dashboardName !== undefined && { dashboardName }),
      defaultInterval: Duration.days(14),
      widgets: [
        executionWidgets(pipeline),
        stepWidgets(steps),
        ...steps.map(jobWidgets),
        Object.entries(graphs).map(([title, metrics]) => graph(title, metrics)),
      ].filter((row) => row.length > 0),
    });
  }

  private makeAlarms({ pipeline, alarmTopic, alarmOnFailure = true, maxDuration }: PipelineDashboardProps): Alarm[] {
    const common = { evaluationPeriods: 1, treatMissingData: TreatMissingData.NOT_BREACHING };
    const alarms: Alarm[] = [];
    if (alarmOnFailure) {
      alarms.push(
        new Alarm(this, 'FailureAlarm', {
          ...common,
          alarmDescription: `An execution of the pipeline ${pipeline.pipelineName} has failed`,
          metric: pipeline.metricFailed(),
          threshold: 1,
        }),
      );
    }
    if (maxDuration) {
      alarms.push(
        new Alarm(this, 'DurationAlarm', {
          ...common,
          alarmDescription: `An execution of the pipeline ${pipeline.pipelineName} took longer than ${maxDuration.toHumanString()}`,
          metric: pipeline.metricDuration({ statistic: Stats.MAXIMUM }),
          threshold: maxDuration.toMilliseconds(),
          comparisonOperator: ComparisonOperator.GREATER_THAN_THRESHOLD,
        }),
      );
    }
    if (alarmTopic) for (const alarm of alarms) alarm.addAlarmAction(new SnsAction(alarmTopic));
    return alarms;
  }
}

function executionWidgets(pipeline: SageMakerPipeline): IWidget[] {
  const daily = { period: Duration.days(1) };
  return [
    new TextWidget({ markdown: `# ${pipeline.pipelineName}`, width: 24, height: 1 }),
    graph('Executions a day', [
      pipeline.metricStarted({ ...daily, label: 'started' }),
      pipeline.metricSucceeded({ ...daily, label: 'succeeded' }),
      pipeline.metricFailed({ ...daily, label: 'failed' }),
      pipeline.metricStopped({ ...daily, label: 'stopped' }),
    ]),
    graph(
      'Duration of executions',
      [inMinutes(pipeline.metricDuration({ label: 'duration' }), 'duration')],
      12,
      'minutes',
    ),
  ];
}

function stepWidgets(steps: readonly Step[]): IWidget[] {
  const failed = steps.map((step) => stepMetric(step, 'StepFailed', { period: Duration.days(1), label: step.name }));
  const durations = steps.map((step, index) => inMinutes(stepMetric(step, 'StepDuration'), step.name, `step${index}`));
  return [graph('Duration of steps', durations, 12, 'minutes'), graph('Steps that failed, a day', failed)];
}

/** What a step's jobs tell of themselves. */
function jobWidgets(step: Step): IWidget[] {
  const namespace = NAMESPACES[step.type];
  if (namespace === undefined) return [];
  const trains = namespace.endsWith('TrainingJobs');
  const names = trains ? [...UTILISATION, ...GPU_UTILISATION] : UTILISATION;
  const utilisation = names.map((name) => jobsMetric(namespace, 'Host', name, step.name));
  const learned = trains ? metricNames(step) : [];
  return [
    ...learned.map((name) =>
      graph(`${step.name}: ${name}`, [jobsMetric(namespace, 'TrainingJobName', name, step.name)], 6),
    ),
    graph(`${step.name}: utilisation`, utilisation, 12, 'percent; of CPU and GPU, 100 for each'),
  ];
}

/** SageMaker tells durations in milliseconds. @param id names the metric among all of a graph */
function inMinutes(metric: IMetric, label: string, id = 'duration'): MathExpression {
  return new MathExpression({ expression: `${id} / 60000`, usingMetrics: { [id]: metric }, label });
}
