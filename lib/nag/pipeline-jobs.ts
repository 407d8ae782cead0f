// What a pipeline resource starts: its definition read back from the template, and the jobs of its steps, by what protects them.
import { Stack } from 'aws-cdk-lib';
import type { CfnEndpointConfig, CfnPipeline } from 'aws-cdk-lib/aws-sagemaker';
import { allSteps, type StepDefinition } from '../pipeline';
import { hasLocalDisks } from '../stages/checks/local-disks';

/** How a job, or what else a step makes, is protected; undefined where it does not have the thing at all. */
export interface Protection {
  /** The step, and for a tuning step of several definitions which of them. */
  readonly name: string;
  readonly volumeEncrypted?: boolean;
  readonly outputEncrypted?: boolean;
  /** Whether it is without network, or in a VPC. */
  readonly enclosed?: boolean;
  /** Whether what goes between its instances is encrypted, where there are or may be several. */
  readonly trafficEncrypted?: boolean;
}

type Fields = Readonly<Record<string, unknown>>;

interface Definition {
  readonly Parameters?: readonly { readonly Name: string; readonly DefaultValue?: unknown }[];
  readonly Steps?: readonly StepDefinition[];
}

/** A text of a template with its references in angle brackets. */
function withPlaceholders(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value ?? '');
  const [[key, argument] = []] = Object.entries(value);
  if (key === 'Fn::Join') return (argument as [string, unknown[]])[1].map(withPlaceholders).join(argument[0]);
  if (key === 'Ref') return `<${argument}>`;
  if (key === 'Fn::GetAtt') return `<${(argument as string[]).join('.')}>`;
  // quotes would end the text of JSON that it stands in
  return `<${key}>`;
}

/** @returns undefined for a definition that is in S3, which cannot be looked into here */
export function definitionOf(pipeline: CfnPipeline): Definition | undefined {
  const { PipelineDefinitionBody: body } = Stack.of(pipeline).resolve(pipeline.pipelineDefinition) as Fields;
  return body === undefined ? undefined : JSON.parse(withPlaceholders(body));
}

/** Something that is given and not empty; of a parameter its default; of another expression that it is given. */
function isGiven(value: unknown, definition: Definition): boolean {
  const [root, name] = typeof value === 'object' && value !== null ? String((value as Fields).Get).split('.') : [];
  if (root !== 'Parameters') return Boolean(value) && value !== '<AWS::NoValue>';
  return Boolean(definition.Parameters?.find(({ Name }) => Name === name)?.DefaultValue);
}

function typeOf({ InstanceType: type }: Fields, definition: Definition): string {
  if (typeof type === 'string') return type;
  const name = String((type as Fields | undefined)?.Get).split('.')[1];
  return String(definition.Parameters?.find(({ Name }) => Name === name)?.DefaultValue ?? '');
}

/** One for each kind of instance of a job. */
function instancesOf(resources: Fields): Fields[] {
  const groups = (resources.InstanceGroups ?? resources.InstanceConfigs) as Fields[] | undefined;
  return groups && groups.length > 0 ? groups : [resources];
}

interface Parts {
  readonly name: string;
  readonly resources: Fields;
  readonly output?: Fields | undefined;
  /** Where the switches for the network stand. @default it has none of its own */
  readonly network?: Fields | undefined;
}

function protectionOf({ name, resources, output, network }: Parts, definition: Definition): Protection {
  const given = (value: unknown) => isGiven(value, definition);
  const instances = instancesOf(resources);
  // groups run together, the list of a tuning holds alternatives; a count that is chosen at the start may be any
  const together = resources.InstanceGroups !== undefined && instances.length > 1;
  const several = together || instances.some(({ InstanceCount: count }) => (count ?? 1) !== 1);
  const hardware = instances.every((instance) => hasLocalDisks(typeOf(instance, definition) || 'unknown'));
  return {
    name,
    volumeEncrypted: hardware || given(resources.VolumeKmsKeyId),
    ...(output && { outputEncrypted: given(output.KmsKeyId) }),
    ...(network && { enclosed: given(network.EnableNetworkIsolation) || given(network.VpcConfig) }),
    ...(network && several && { trafficEncrypted: given(network.EnableInterContainerTrafficEncryption) }),
  };
}

function trainingOf(name: string, job: Fields): Parts {
  const resources = (job.ResourceConfig ?? job.HyperParameterTuningResourceConfig ?? {}) as Fields;
  return { name, resources, output: (job.OutputDataConfig ?? {}) as Fields, network: job };
}

function partsOf({ Name: name, Type, Arguments = {} }: StepDefinition): Parts[] {
  const part = (key: string) => (Arguments[key] ?? {}) as Fields;
  switch (Type) {
    case 'Processing':
    case 'QualityCheck':
    case 'ClarifyCheck': {
      const output = part('ProcessingOutputConfig');
      const resources = (part('ProcessingResources').ClusterConfig ?? {}) as Fields;
      return [{ name, resources, network: part('NetworkConfig'), ...(output.Outputs !== undefined && { output }) }];
    }
    case 'Training':
      return [trainingOf(name, Arguments)];
    case 'Tuning': {
      const several = (Arguments.TrainingJobDefinitions ?? []) as Fields[];
      if (several.length === 0) return [trainingOf(name, part('TrainingJobDefinition'))];
      return several.map((job, index) => trainingOf(`${name}.${job.DefinitionName ?? index}`, job));
    }
    case 'Transform':
      return [{ name, resources: part('TransformResources'), output: part('TransformOutput') }];
    case 'AutoML': {
      const security = (part('AutoMLJobConfig').SecurityConfig ?? part('SecurityConfig')) as Fields;
      const output = part('OutputDataConfig');
      // SageMaker chooses how many instances it takes
      return [{ name, resources: { ...security, InstanceCount: 'any' }, output, network: security }];
    }
    default:
      return [];
  }
}

/** The jobs of a pipeline. */
export function jobsOf(definition: Definition): Protection[] {
  return allSteps(definition.Steps ?? [])
    .flatMap(partsOf)
    .map((parts) => protectionOf(parts, definition));
}

/** The models that a pipeline makes, and whether each is without network, or in a VPC. */
export function modelsOf(definition: Definition): Protection[] {
  return stepsOf(definition, 'Model').map(({ Name: name, Arguments: model = {} }) => ({
    name,
    enclosed: isGiven(model.EnableNetworkIsolation, definition) || isGiven(model.VpcConfig, definition),
  }));
}

/** The versions that a pipeline registers, and whether each has a key. */
export function modelPackagesOf(definition: Definition): Protection[] {
  return stepsOf(definition, 'RegisterModel').map(({ Name: name, Arguments }) => ({
    name,
    outputEncrypted: isGiven((Arguments?.SecurityConfig as Fields | undefined)?.KmsKeyId, definition),
  }));
}

/** An endpoint configuration as the API writes it: its volumes, and what it writes of requests and answers. */
function endpointProtection(name: string, config: Fields, given: (value: unknown) => boolean): Protection {
  const variants = (config.ProductionVariants ?? []) as Fields[];
  const hardware = variants.every((variant) => variant.ServerlessConfig || hasLocalDisks(String(variant.InstanceType)));
  const capture = config.DataCaptureConfig as Fields | undefined;
  const answers = (config.AsyncInferenceConfig as Fields | undefined)?.OutputConfig as Fields | undefined;
  const written = [capture?.EnableCapture === false ? undefined : capture, answers].filter((one) => one !== undefined);
  return {
    name,
    volumeEncrypted: (variants.length > 0 && hardware) || given(config.KmsKeyId),
    ...(written.length > 0 && { outputEncrypted: written.every(({ KmsKeyId }) => given(KmsKeyId)) }),
  };
}

/** The endpoint configurations that a pipeline makes, and whether their volumes, and what they write, have a key. */
export function endpointConfigsOf(definition: Definition): Protection[] {
  return stepsOf(definition, 'EndpointConfig').map(({ Name: name, Arguments = {} }) =>
    endpointProtection(name, Arguments, (value) => isGiven(value, definition)),
  );
}

/** The same of a configuration in a template. */
export function endpointConfigOf(config: CfnEndpointConfig): Protection {
  const fields = Stack.of(config).resolve(config._toCloudFormation()) as { Resources: Record<string, Fields> };
  const [{ Properties = {} } = {}] = Object.values(fields.Resources);
  return endpointProtection('', Properties as Fields, Boolean);
}

/** What the jobs and models of a pipeline work as: texts as they stand in the definition, references in angle brackets. */
export function rolesOf(definition: Definition): string[] {
  const rolesIn = (value: unknown): string[] => {
    if (typeof value !== 'object' || value === null) return [];
    return Object.entries(value).flatMap(([key, entry]) =>
      /^(Execution)?RoleArn$/.test(key) && typeof entry === 'string' ? [entry] : rolesIn(entry),
    );
  };
  return [...new Set(rolesIn(definition.Steps))];
}

function stepsOf(definition: Definition, type: string): StepDefinition[] {
  return allSteps(definition.Steps ?? []).filter(({ Type }) => Type === type);
}
