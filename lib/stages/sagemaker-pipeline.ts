// The pipeline itself as a resource: AWS::SageMaker::Pipeline with the checked definition.
import { Annotations, Intrinsic, Resource, Stack, Token, Tokenization } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { Grant, type IGrantable, type IRole } from 'aws-cdk-lib/aws-iam';
import { CfnPipeline, type IPipeline, type PipelineReference } from 'aws-cdk-lib/aws-sagemaker';
import type { Construct } from 'constructs';
import { type Parameter, Pipeline, type PipelineDefinition, PipelineError, type Step } from '../pipeline';
import { JobRole } from './access/execution-role';
import type { ByocImage } from './byoc-image';
import { refusal } from './checks/checks';
import { PIPELINE_METRICS_NAMESPACE, takeSteps } from './pipeline-stage';

/** What is deployed. */
export interface SageMakerPipelineProps {
  /** Unique in an account and region. */
  readonly pipelineName: string;
  /** What starts the jobs. */
  readonly role: IRole;
  /** In any order: what they refer to decides. */
  readonly steps: readonly Step[];
  /** @default none */
  readonly parameters?: readonly Parameter[];
  /** @default none */
  readonly description?: string;
  /** Images whose commands can also run without a container, on a machine of one's own. @default none */
  readonly images?: readonly ByocImage[];
  /** Steps that may run at the same time. @default as many as can */
  readonly maxParallelSteps?: number;
}

/** Where the template says by which commands the jobs of an image run locally. */
export const LOCAL_IMAGES_METADATA = 'scanline:images';

/**
 * ARNs of a pipeline: with the name as it was given and as SageMaker writes it in ARNs, in lower case, for IAM and EventBridge
 * tell them apart.
 */
export function pipelineArns({ pipelineName, pipelineArn }: IPipeline): string[] {
  if (Token.isUnresolved(pipelineName)) return [pipelineArn];
  // the tokens of region and account stay as they are
  const stem = pipelineArn.slice(0, pipelineArn.lastIndexOf('/') + 1);
  return [...new Set([pipelineName, pipelineName.toLowerCase()])].map((name) => `${stem}${name}`);
}

/** Numbers and lists that are known only at deployment, as CDK writes them. */
const NO_TEXT = /e\+28\d|#\{Token\[/;

/** Whether a token becomes a reference of CloudFormation's, in which nothing needs to be escaped. */
function isReference(stack: Stack, token: unknown): boolean {
  if (!(token instanceof Intrinsic)) return false;
  const resolved: unknown = stack.resolve(token);
  return typeof resolved === 'object' && !JSON.stringify(resolved).includes('\\');
}

/** The definition as one text. CDK's `toJsonString` writes it anew in each pass of a synth: it is left what needs it. */
function definitionText(stack: Stack, definition: PipelineDefinition): string {
  const text = JSON.stringify(definition);
  const tokens = new Set(Tokenization.reverseString(text).tokens);
  const isPlain = !NO_TEXT.test(text) && [...tokens].every((token) => isReference(stack, token));
  return isPlain ? text : stack.toJsonString(definition);
}

/** The role of the jobs may start none: executions would fail at their first step. */
function refuseJobRole(pipelineName: string, role: IRole): void {
  if (!(role instanceof JobRole)) return;
  const fix = 'give it a PipelineRole of the same steps, which passes the JobRole on to their jobs';
  const allowed = 'a role that may start jobs';
  throw new PipelineError(pipelineName, [refusal(role.node.path, 'role', 'a JobRole, which may not', allowed, fix)]);
}

/** An `IPipeline`, so that all of CDK's that takes one takes it, e.g. `SageMakerStartPipelineExecution` of the schedulers. */
export class SageMakerPipeline extends Resource implements IPipeline {
  /** Unique in an account and region. */
  readonly pipelineName: string;
  /** With the name as it was given. */
  readonly pipelineArn: string;
  /** As CloudFormation knows it. */
  readonly resource: CfnPipeline;
  /** As the pipeline language knows it. */
  readonly pipeline: Pipeline;
  /** What may be chosen when it is started. */
  readonly parameters: readonly Parameter[];

  /** @throws PipelineError naming all that is wrong with the pipeline */
  constructor(scope: Construct, id: string, props: SageMakerPipelineProps) {
    super(scope, id);
    const { pipelineName, role, steps, parameters = [], description, images = [], maxParallelSteps } = props;
    this.pipelineName = pipelineName;
    this.parameters = parameters;
    this.pipelineArn = Stack.of(this).formatArn({
      service: 'sagemaker',
      resource: 'pipeline',
      resourceName: Token.isUnresolved(pipelineName) ? pipelineName : pipelineName.toLowerCase(),
    });
    this.pipeline = new Pipeline(pipelineName, {
      parameters,
      steps,
      ...(maxParallelSteps !== undefined && { maxParallelSteps }),
    });
    takeSteps(pipelineName, this.pipeline.steps);
    refuseJobRole(pipelineName, role);
    const { definition, warnings } = this.pipeline.checked();
    for (const { where, problem, fix } of warnings)
      Annotations.of(this).addWarningV2('scanline:pipeline', `${where}: ${problem} Fix: ${fix}`);
    const { parallelism } = this.pipeline;
    this.resource = new CfnPipeline(this, 'Resource', {
      pipelineName,
      roleArn: role.roleArn,
      pipelineDefinition: { PipelineDefinitionBody: definitionText(Stack.of(this), definition) },
      ...(description !== undefined && { pipelineDescription: description }),
      ...(parallelism?.MaxParallelExecutionSteps !== undefined && {
        parallelismConfiguration: { maxParallelExecutionSteps: parallelism.MaxParallelExecutionSteps },
      }),
    });
    const local = images.flatMap(({ uri, localCommands }) =>
      localCommands ? [{ Image: uri, Commands: localCommands }] : [],
    );
    if (local.length > 0) this.resource.addMetadata(LOCAL_IMAGES_METADATA, local);
  }

  /** By which CDK's own constructs refer to it. */
  get pipelineRef(): PipelineReference {
    return { pipelineName: this.pipelineName };
  }

  /** Lets somebody start it. */
  grantStartPipelineExecution(grantee: IGrantable): Grant {
    return Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:StartPipelineExecution'],
      resourceArns: pipelineArns(this),
    });
  }

  /** Lets somebody see it, its executions and their steps; not what they read and write. */
  grantRead(grantee: IGrantable): Grant {
    return grantRead(this, grantee);
  }

  /** Lets somebody stop its executions. */
  grantStop(grantee: IGrantable): Grant {
    return Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:StopPipelineExecution'],
      resourceArns: executionArns(this),
    });
  }

  /**
   * A metric of all its executions.
   *
   * @param metricName ExecutionStarted, ExecutionSucceeded, ExecutionFailed, ExecutionStopped or ExecutionDuration
   * @param props by default the sum over five minutes, of durations the average
   */
  metric(metricName: string, props?: MetricOptions): Metric {
    return pipelineMetric(this, metricName, props);
  }

  /** How many executions have begun. @param props by default the sum over five minutes */
  metricStarted(props?: MetricOptions): Metric {
    return this.metric('ExecutionStarted', props);
  }

  /** How many executions have succeeded. @param props by default the sum over five minutes */
  metricSucceeded(props?: MetricOptions): Metric {
    return this.metric('ExecutionSucceeded', props);
  }

  /** How many executions have failed. @param props by default the sum over five minutes */
  metricFailed(props?: MetricOptions): Metric {
    return this.metric('ExecutionFailed', props);
  }

  /** How many executions were stopped. @param props by default the sum over five minutes */
  metricStopped(props?: MetricOptions): Metric {
    return this.metric('ExecutionStopped', props);
  }

  /** How long executions took, in milliseconds. @param props by default the average over five minutes */
  metricDuration(props?: MetricOptions): Metric {
    return this.metric('ExecutionDuration', props);
  }
}

/** ARNs of all executions of a pipeline. */
export function executionArns(pipeline: IPipeline): string[] {
  return pipelineArns(pipeline).map((arn) => `${arn}/execution/*`);
}

/** Lets somebody see a pipeline, its executions and their steps. */
export function grantRead(pipeline: IPipeline, grantee: IGrantable): Grant {
  return Grant.addToPrincipal({
    grantee,
    actions: [
      'sagemaker:DescribePipeline',
      'sagemaker:DescribePipelineDefinitionForExecution',
      'sagemaker:DescribePipelineExecution',
      'sagemaker:ListPipelineExecutions',
      'sagemaker:ListPipelineExecutionSteps',
      'sagemaker:ListPipelineParametersForExecution',
    ],
    resourceArns: [...pipelineArns(pipeline), ...executionArns(pipeline)],
  });
}

/** A metric of the executions of a pipeline, also of one that is imported. */
export function pipelineMetric({ pipelineName }: IPipeline, metricName: string, props: MetricOptions = {}): Metric {
  return new Metric({
    namespace: PIPELINE_METRICS_NAMESPACE,
    metricName,
    dimensionsMap: { PipelineName: pipelineName },
    statistic: metricName.endsWith('Duration') ? Stats.AVERAGE : Stats.SUM,
    ...props,
  });
}
