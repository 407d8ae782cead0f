// The pipeline itself as a resource: AWS::SageMaker::Pipeline with the checked definition.
import { Annotations, Stack } from 'aws-cdk-lib';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { CfnPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { type Parameter, Pipeline, type Step } from '../pipeline';
import type { ByocImage } from './byoc-image';

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

/** A pipeline in SageMaker. */
export class SageMakerPipeline extends Construct {
  /** As CloudFormation knows it. */
  readonly resource: CfnPipeline;
  /** As the pipeline language knows it. */
  readonly pipeline: Pipeline;

  /** @throws PipelineError naming all that is wrong with the pipeline */
  constructor(scope: Construct, id: string, props: SageMakerPipelineProps) {
    super(scope, id);
    const { pipelineName, role, steps, parameters = [], description, images = [], maxParallelSteps } = props;
    this.pipeline = new Pipeline(pipelineName, {
      parameters,
      steps,
      ...(maxParallelSteps !== undefined && { maxParallelSteps }),
    });
    const { definition, warnings } = this.pipeline.checked();
    for (const { where, problem, fix } of warnings)
      Annotations.of(this).addWarningV2('scanline:pipeline', `${where}: ${problem} Fix: ${fix}`);
    const { parallelism } = this.pipeline;
    this.resource = new CfnPipeline(this, 'Resource', {
      pipelineName,
      roleArn: role.roleArn,
      pipelineDefinition: { PipelineDefinitionBody: Stack.of(this).toJsonString(definition) },
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
}
