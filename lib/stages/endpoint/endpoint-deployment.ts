// An endpoint as the last steps of a pipeline: the model that an execution has trained, its configuration, and the endpoint on it.
import { Token } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import {
  type EndpointArguments,
  type EndpointConfigArguments,
  EndpointConfigStep,
  EndpointStep,
  ExecutionVariables,
  type Finding,
  join,
  ModelStep,
  type Step,
  type Text,
} from '../../pipeline';
import { refusal } from '../checks/checks';
import { type NamedVariant, tagList } from './endpoint-requests';
import { type EndpointSettings, type EndpointVariant, type ExistingModel, variantNameOf } from './endpoint-settings';
import { EndpointStage } from './endpoint-stage';

/** What is served, and how. */
export interface EndpointDeploymentProps extends EndpointSettings {
  /** 1 to 10; their models may be what other steps of the pipeline have made. */
  readonly variants: readonly EndpointVariant[];
}

/** Letters of the endpoint's name that configurations begin with: a hyphen and the 12 letters of the execution follow, and 63 is the limit. */
const PREFIX_LENGTH = 50;

/**
 * Deploys what a pipeline has trained, without anybody's approval: `steps` come last in the pipeline, or in the branch of its gate. Each
 * execution makes a configuration of its own, named after it; the first makes the endpoint, and later ones move it, as `update` says.
 * SageMaker makes them, not CloudFormation: they stay when the stack is deleted.
 *
 * Where a person approves what is deployed: {@link ApprovedModelEndpoint}, which also scales; for a model that is known when the stack is
 * deployed: {@link Endpoint}.
 */
export class EndpointDeployment extends EndpointStage {
  /** The models, the configuration and the endpoint, in this order. */
  readonly steps: readonly Step[];
  /** Makes the configuration. */
  readonly configStep: EndpointConfigStep;
  /** Makes the endpoint, or moves it to the configuration. */
  readonly endpointStep: EndpointStep;

  /** @throws PipelineError naming all that is wrong with the endpoint */
  constructor(scope: Construct, id: string, props: EndpointDeploymentProps) {
    super(scope, id, props, props.variants, (where) => check(where, props));
    const models: ModelStep[] = [];
    const named = (variant: EndpointVariant): NamedVariant => {
      const request = this.modelRequest(variant.model);
      if (!request) return { ...variant, modelName: (variant.model as ExistingModel).modelName };
      const name = models.length === 0 ? '' : variantNameOf(variant);
      const step = new ModelStep(`${id}${name}Model`, { arguments: request });
      models.push(step);
      return { ...variant, modelName: step.properties.ModelName };
    };
    const request = this.configRequest(props.variants.map(named), props.shadow && named(props.shadow));
    this.configStep = new EndpointConfigStep(`${id}Config`, {
      arguments: { ...request, EndpointConfigName: this.configName } as EndpointConfigArguments,
    });
    const deployment = this.deploymentRequest;
    const tags = tagList(props.tags);
    this.endpointStep = new EndpointStep(id, {
      arguments: {
        EndpointName: this.endpointName,
        EndpointConfigName: this.configStep.properties.EndpointConfigName,
        ...(deployment && { DeploymentConfig: deployment }),
        ...(tags.length > 0 && { Tags: tags }),
      } as EndpointArguments,
    });
    this.steps = [...models, this.configStep, this.endpointStep];
  }

  private get configName(): Text {
    const { endpointName } = this;
    const prefix = Token.isUnresolved(endpointName) ? endpointName : endpointName.slice(0, PREFIX_LENGTH);
    return join('-', prefix.replace(/-+$/, ''), ExecutionVariables.pipelineExecutionId);
  }
}

function check(where: string, { variants }: EndpointDeploymentProps): Finding[] {
  return variants.flatMap(({ autoscaling }, index) =>
    autoscaling
      ? [
          refusal(
            where,
            `variants[${index}].autoscaling`,
            'given in a pipeline',
            'it where the endpoint is there when it is registered',
            'use Endpoint or ApprovedModelEndpoint, or set initialInstanceCount',
          ),
        ]
      : [],
  );
}
