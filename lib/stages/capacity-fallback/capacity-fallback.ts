// Starts an execution that found no capacity again on the next instance type, for a retry policy cannot change what a step asks for.
import { join } from 'node:path';
import { Annotations, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Match, Rule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import { ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { type ILogGroup, LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { allSteps, type ParameterString, PipelineError, type StepDefinition } from '../../pipeline';
import { bothCases } from '../access/endpoint-permissions';
import { SageMakerRole } from '../access/execution-role';
import { acknowledgeInPacks } from '../checks/acknowledge';
import { checkInstanceType, type Refuse, refusals } from '../checks/checks';
import { knownText } from '../checks/known-text';
import type { SageMakerPipeline } from '../sagemaker-pipeline';
import type { Fallback } from './handler';

/** What is started again, and on what. */
export interface CapacityFallbackProps {
  /** Whose executions are started again. */
  readonly pipeline: SageMakerPipeline;
  /** The pipeline's parameter that its steps have their instance type from. */
  readonly parameter: ParameterString;
  /** In the order in which they are tried; the first is the parameter's default. */
  readonly instanceTypes: readonly string[];
}

/** Minutes that a step may wait for capacity, before it is worth telling that the fallback waits with it. */
const LONG_WAIT = 60;

/** Whether a step, or what else is part of a definition, refers to a parameter. */
function uses(part: unknown, { name }: ParameterString): boolean {
  return JSON.stringify(part).includes(`"Get":"Parameters.${name}"`);
}

function check(where: string, { parameter, instanceTypes }: CapacityFallbackProps, steps: readonly StepDefinition[]) {
  return refusals(where, (refuse) => {
    checkTypes(instanceTypes, parameter, refuse);
    if (!uses(steps, parameter)) {
      const fix = 'give it as instanceType to the stage that is short of capacity, and to the pipeline';
      refuse(
        'parameter',
        `${parameter.name}, which no step of the pipeline uses`,
        'one that a step has its type from',
        fix,
      );
    }
  });
}

function checkTypes(instanceTypes: readonly string[], parameter: ParameterString, refuse: Refuse): void {
  const { EnumValues } = parameter.toDefinition() as { readonly EnumValues?: readonly string[] };
  if (instanceTypes.length < 2) {
    refuse('instanceTypes', `${instanceTypes.length} of them`, '2 or more', 'name the types to fall back to');
  }
  instanceTypes.forEach((type, index) => {
    const prop = `instanceTypes[${index}]`;
    checkInstanceType(prop, type, refuse);
    if (instanceTypes.indexOf(type) !== index) refuse(prop, `'${type}' again`, 'each type once', 'leave it out');
    if (EnumValues && !EnumValues.includes(type)) {
      const fix = `add it to the enumValues of ${parameter.name}`;
      refuse(prop, `'${type}'`, `what ${parameter.name} may be: ${EnumValues.join(', ')}`, fix);
    }
  });
  const first = knownText(parameter);
  if (first !== undefined && first !== instanceTypes[0]) {
    const fix = `put ${first} first, or make ${instanceTypes[0]} the default`;
    refuse('instanceTypes[0]', `'${instanceTypes[0]}'`, `the default of ${parameter.name}, ${first}`, fix);
  }
}

/** What the function may do: read the executions of one pipeline, and start it. */
class FallbackRole extends SageMakerRole {
  constructor(scope: Construct, id: string, pipelineName: string, logGroup: ILogGroup) {
    super(
      scope,
      id,
      `Starts ${pipelineName} again on another instance type`,
      new ServicePrincipal('lambda.amazonaws.com'),
    );
    const pipelines = bothCases(pipelineName).map((name) => this.arn(`pipeline/${name}`));
    this.allow(['sagemaker:StartPipelineExecution'], pipelines);
    this.allow(
      ['DescribePipelineExecution', 'ListPipelineExecutionSteps', 'ListPipelineParametersForExecution'].map(
        (call) => `sagemaker:${call}`,
      ),
      pipelines.map((arn) => `${arn}/execution/*`),
      { reason: 'the executions of one pipeline: SageMaker names them' },
    );
    this.allow(['logs:CreateLogStream', 'logs:PutLogEvents'], [logGroup.logGroupArn], {
      reason: 'the streams of one log group: Lambda names them',
    });
  }
}

/**
 * Where a step fails for want of capacity, the execution is started again, with the same parameters but the next instance type of the
 * list. What has run before runs again, unless the steps have a `cache`. Each start is one type further on, and is made once, however
 * often the event comes; after the last type, and for a type that is not in the list, nothing is started.
 *
 * An execution fails only when the retry policies of its step have ended: give the stage a `retry` that waits for capacity not at all
 * or briefly. For a tuning, SageMaker takes the types itself: `fallbackInstanceTypes` of {@link Tuning}.
 */
export class CapacityFallback extends Construct {
  /** Looks at executions that failed. */
  readonly function: LambdaFunction;
  /** Gets the events that could not be worked off in three attempts. */
  readonly deadLetterQueue: IQueue;

  /** @throws PipelineError naming all that is wrong with the list and the parameter */
  constructor(scope: Construct, id: string, props: CapacityFallbackProps) {
    super(scope, id);
    const steps = props.pipeline.pipeline.definition().Steps as StepDefinition[];
    const findings = check(this.node.path, props, steps);
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    const { name } = props.pipeline.pipeline;
    this.deadLetterQueue = new Queue(this, 'NotStarted', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    this.function = this.makeFunction(name, props);
    const arns = bothCases(name).map((pipeline) =>
      Stack.of(this).formatArn({ service: 'sagemaker', resource: 'pipeline', resourceName: pipeline }),
    );
    new Rule(this, 'Failed', {
      description: `Executions of ${name} that failed`,
      eventPattern: {
        source: ['aws.sagemaker'],
        detailType: ['SageMaker Model Building Pipeline Execution Status Change'],
        detail: { currentPipelineExecutionStatus: Match.exactString('Failed'), pipelineArn: arns },
      },
      targets: [new LambdaTarget(this.function, { retryAttempts: 2 })],
    });
    this.warnOfLongWaits(allSteps(steps).filter((step) => uses(step.Arguments, props.parameter)));
  }

  private makeFunction(pipelineName: string, { parameter, instanceTypes }: CapacityFallbackProps): LambdaFunction {
    const defaultType = knownText(parameter);
    const fallback: Fallback = {
      parameter: parameter.name,
      ...(defaultType !== undefined && { defaultType }),
      instanceTypes,
    };
    const logGroup = new LogGroup(this, 'Log', {
      retention: RetentionDays.ONE_YEAR,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const made = new LambdaFunction(this, 'Function', {
      description: `Starts ${pipelineName} again on the next instance type where there was no capacity`,
      code: Code.fromAsset(join(__dirname, 'handler'), { exclude: ['*.map', '*.d.ts'] }),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      memorySize: 256,
      timeout: Duration.minutes(1),
      // one after the other: the same event must not start two executions
      reservedConcurrentExecutions: 1,
      deadLetterQueue: this.deadLetterQueue,
      logGroup,
      role: new FallbackRole(this, 'Role', pipelineName, logGroup),
      environment: { FALLBACK: JSON.stringify(fallback) },
    });
    acknowledgeInPacks(
      logGroup,
      'CloudWatchLogGroupEncrypted',
      'it holds the names of executions and instance types; CloudWatch encrypts it with a key of its own',
    );
    acknowledgeInPacks(
      made,
      'LambdaInsideVPC',
      'it speaks to the API of SageMaker alone, and sees no image and no model',
    );
    return made;
  }

  private warnOfLongWaits(steps: readonly StepDefinition[]): void {
    for (const step of steps) {
      const minutes = longestWait(step);
      if (minutes <= LONG_WAIT) continue;
      Annotations.of(this).addWarningV2(
        `scanline:longWaitForCapacity:${step.Name}`,
        `step ${step.Name} waits up to ${minutes} minutes for capacity before its execution fails and falls back: ` +
          'give it a retry without SageMaker.CAPACITY_ERROR, or with a shorter expireAfterMinutes',
      );
    }
  }
}

/** Minutes that a step is tried again for want of capacity. */
function longestWait(step: StepDefinition): number {
  const policies = (step as { readonly RetryPolicies?: readonly Record<string, unknown>[] }).RetryPolicies ?? [];
  const waits = policies
    .filter(({ ExceptionType }) => (ExceptionType as string[]).includes('SageMaker.CAPACITY_ERROR'))
    .map(({ ExpireAfterMin }) => Number(ExpireAfterMin ?? 0));
  return Math.max(0, ...waits);
}
