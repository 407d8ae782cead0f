// A rule pack for cdk-nag of what its own packs do not look into: pipelines, the jobs inside their definitions, models, versions.
import { type CfnResource, Stack } from 'aws-cdk-lib';
import { CfnEndpointConfig, CfnModel, CfnModelPackage, CfnPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { NagMessageLevel, NagPack, type NagPackProps, NagRuleCompliance, type NagRuleResult } from 'cdk-nag';
import type { IConstruct } from 'constructs';
import {
  definitionOf,
  endpointConfigOf,
  endpointConfigsOf,
  jobsOf,
  modelPackagesOf,
  modelsOf,
  type Protection,
  rolesOf,
} from './pipeline-jobs';
import { breadthOf } from './role-breadth';

interface Rule {
  readonly id: string;
  readonly info: string;
  readonly explanation: string;
  readonly check: (node: CfnResource) => NagRuleResult;
}

type Definition = NonNullable<ReturnType<typeof definitionOf>>;

/** A finding for each that has the thing and has it unprotected. */
function eachOf(list: (definition: Definition) => Protection[], protection: keyof Protection): Rule['check'] {
  return (node) => {
    const definition = node instanceof CfnPipeline ? definitionOf(node) : undefined;
    if (!definition) return NagRuleCompliance.NOT_APPLICABLE;
    return list(definition).flatMap((one) => (one[protection] === false ? [one.name] : []));
  };
}

/** A model of the stack itself, else the models that a pipeline makes. */
function modelEnclosed(node: CfnResource): NagRuleResult {
  if (!(node instanceof CfnModel)) return eachOf(modelsOf, 'enclosed')(node);
  const { enableNetworkIsolation, vpcConfig } = node;
  return enableNetworkIsolation || vpcConfig ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
}

/** A version of the stack itself, else the versions that a pipeline registers. */
function modelPackageEncrypted(node: CfnResource): NagRuleResult {
  if (!(node instanceof CfnModelPackage)) return eachOf(modelPackagesOf, 'outputEncrypted')(node);
  const security = Stack.of(node).resolve(node.securityConfig) as { kmsKeyId?: unknown } | undefined;
  return security?.kmsKeyId ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
}

/** A configuration of the stack itself, else those that a pipeline makes. */
function endpointDataEncrypted(node: CfnResource): NagRuleResult {
  if (!(node instanceof CfnEndpointConfig)) return eachOf(endpointConfigsOf, 'outputEncrypted')(node);
  const { outputEncrypted } = endpointConfigOf(node);
  if (outputEncrypted === undefined) return NagRuleCompliance.NOT_APPLICABLE;
  return outputEncrypted ? NagRuleCompliance.COMPLIANT : NagRuleCompliance.NON_COMPLIANT;
}

/** What is broad about the roles, by their policies. */
function narrow(rolesOfPipeline: (pipeline: CfnPipeline) => (string | undefined)[]): Rule['check'] {
  return (node) => {
    if (!(node instanceof CfnPipeline)) return NagRuleCompliance.NOT_APPLICABLE;
    const broad = rolesOfPipeline(node).flatMap((id) => (id === undefined ? [] : breadthOf(node, id)));
    return [...new Set(broad)];
  };
}

/** The role that the pipeline resource names, where it is in the template. */
function pipelineRole(pipeline: CfnPipeline): string | undefined {
  const arn = Stack.of(pipeline).resolve(pipeline.roleArn) as { 'Fn::GetAtt'?: [string, string] } | undefined;
  return arn?.['Fn::GetAtt']?.[0];
}

function jobRoles(pipeline: CfnPipeline): (string | undefined)[] {
  const definition = definitionOf(pipeline);
  return definition ? rolesOf(definition).map((arn) => /^<([^.>]+)\.Arn>$/.exec(arn)?.[1]) : [];
}

const RULES: readonly Rule[] = [
  {
    id: 'JobVolumeEncrypted',
    info: 'A job of the pipeline has no KMS key for its volume.',
    explanation:
      'Images lie on the volume while the job runs. Set VolumeKmsKeyId; instance types with local disks, which their hardware encrypts, take none.',
    check: eachOf(jobsOf, 'volumeEncrypted'),
  },
  {
    id: 'JobOutputEncrypted',
    info: 'A job of the pipeline has no KMS key for its output.',
    explanation:
      'Without a key the output has the default encryption of whichever bucket it goes to. Set KmsKeyId of the output.',
    check: eachOf(jobsOf, 'outputEncrypted'),
  },
  {
    id: 'JobEnclosed',
    info: 'A job of the pipeline reaches the internet.',
    explanation:
      'A job that sees patient data should be unable to send it anywhere. Set EnableNetworkIsolation, or VpcConfig for a job that needs a service of yours.',
    check: eachOf(jobsOf, 'enclosed'),
  },
  {
    id: 'JobTrafficEncrypted',
    info: 'A job of the pipeline on several instances does not encrypt what they send to each other.',
    explanation: 'Gradients tell of the images that they come from. Set EnableInterContainerTrafficEncryption.',
    check: eachOf(jobsOf, 'trafficEncrypted'),
  },
  {
    id: 'ModelEnclosed',
    info: 'A model reaches the internet when it is served.',
    explanation: 'It is sent patient data. Set EnableNetworkIsolation, or VpcConfig.',
    check: modelEnclosed,
  },
  {
    id: 'ModelPackageEncrypted',
    info: 'A model package has no KMS key.',
    explanation: "A version keeps the model's metrics and metadata. Set SecurityConfig.KmsKeyId.",
    check: modelPackageEncrypted,
  },
  {
    id: 'EndpointConfigEncrypted',
    info: 'An endpoint configuration that the pipeline makes has no KMS key.',
    explanation:
      'Requests and captured data lie on the volume. Set KmsKeyId; instance types with local disks, which their hardware encrypts, take none. Of those in templates cdk-nag looks after itself.',
    check: eachOf(endpointConfigsOf, 'volumeEncrypted'),
  },
  {
    id: 'EndpointDataEncrypted',
    info: 'What an endpoint captures of requests, or answers asynchronously, has no KMS key.',
    explanation:
      'It is patient data, and has the default encryption of whichever bucket it goes to. Set KmsKeyId of DataCaptureConfig, and of OutputConfig in AsyncInferenceConfig.',
    check: endpointDataEncrypted,
  },
  {
    id: 'PipelineRoleNarrow',
    info: "The pipeline's role allows all of AWS, or all of a service.",
    explanation:
      'Whoever may start the pipeline has what its role has. Allow the jobs of its steps alone, as PipelineRole does.',
    check: narrow((pipeline) => [pipelineRole(pipeline)]),
  },
  {
    id: 'JobRoleNarrow',
    info: 'The role of a job of the pipeline allows all of AWS, or all of a service.',
    explanation:
      'The code in the container has what its role has. Allow one bucket, one key and its image, as JobRole does.',
    check: narrow(jobRoles),
  },
];

/**
 * Use: `Validations.of(app).addPlugins(new ScanlineChecks(app))`. A finding names the step: acknowledge
 * `Scanline-JobEnclosed[Train]`, with the reason, on the pipeline.
 *
 * A definition in S3, and a role of another stack, are not looked into.
 */
export class ScanlineChecks extends NagPack {
  /** What reports call it. */
  readonly name = 'Scanline';

  constructor(scope?: IConstruct, props?: NagPackProps) {
    super(scope, props);
    this.packName = 'Scanline';
  }

  protected checkResource(node: CfnResource): void {
    for (const { id, info, explanation, check } of RULES) {
      this.applyRule({ ruleSuffixOverride: id, info, explanation, level: NagMessageLevel.ERROR, rule: check, node });
    }
  }
}
