// The script-mode training stage: a Python program of one's own on AWS's images for PyTorch, TensorFlow and Hugging Face, or a
// TypeScript program on our own image.
import { Annotations, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Asset } from 'aws-cdk-lib/aws-s3-assets';
import type { Construct } from 'constructs';
import { Expression, type Finding, type Text } from '../../pipeline';
import { ManagedRole } from '../access/managed-role';
import { ByocImage } from '../byoc-image';
import { refusal } from '../checks/checks';
import { toText } from '../checks/known-text';
import { whereOf } from '../pipeline-stage';
import { credentialsIn } from './credentials';
import { checkFrameworkImage, type Framework, frameworkImage } from './framework-image';
import { checkLauncher, type LauncherProps, launcherHyperparameters } from './launcher';
import { bundleName, bundleScript, isNodeScript } from './script-bundle';
import { findSource, type PackedFile, packSource, type SourceProps } from './source-package';
import type { TrainingWork } from './training-arguments';
import { DEFAULT_INSTANCE_TYPE, type TrainingSettings } from './training-settings';
import { TrainingStage } from './training-stage';

/** What a script takes: encoded as JSON, as AWS's Python SDK does, unless it is known only when the pipeline runs. */
export type ScriptHyperparameter = string | number | boolean | null | readonly ScriptHyperparameter[] | Expression;

/** Which program trains, on which image, on what. */
export interface ScriptModeTrainingProps extends TrainingSettings, SourceProps, LauncherProps {
  /** Whose image; needed unless `image` is given or the entry point is .ts or .js. @default none */
  readonly framework?: Framework;
  /** The framework's version, e.g. 2.6.0 or 2.6; of Hugging Face that of transformers. @default the newest that is known */
  readonly version?: string;
  /** e.g. py312. @default the one that AWS publishes for the version */
  readonly pythonVersion?: string;
  /** The rest of the image's tag, e.g. cu126-ubuntu22.04-sagemaker. @default as AWS's Python SDK has it */
  readonly containerVersion?: string;
  /**
   * An image of one's own, or its URI: with sagemaker-training, or for a .ts or .js entry point one made from ours (ByocImage.scriptMode).
   *
   * @default AWS's of the framework; ByocImage.scriptMode for a .ts or .js entry point
   */
  readonly image?: ByocImage | string;
  /** What the script takes on its command line. @default none */
  readonly hyperparameters?: Readonly<Record<string, ScriptHyperparameter>>;
  /** The level from which the container logs, as Python's logging numbers it. @default 20, info */
  readonly logLevel?: number;
}

/** Under which the metadata of the synthesised app says what was packed. */
export const PACKED_FILES_METADATA = 'scanline:packed';

const NOTHING_MADE = { made: new Map<string, Uint8Array>(), findings: [] as readonly Finding[] };

/** The channel by which the source comes to a job that is cut off from S3, as AWS's Python SDK names it. */
const CODE_CHANNEL = 'code';

/** Whether the source comes as a channel: where the job is cut off from S3, and on our image, which does not fetch from there. */
function comesByChannel({ networkIsolation, entryPoint }: ScriptModeTrainingProps): boolean {
  return networkIsolation === true || isNodeScript(entryPoint);
}

function checkProps(scope: Construct, where: string, props: ScriptModeTrainingProps): Finding[] {
  const { framework, image, hyperparameters = {}, channels } = props;
  const findings: Finding[] = [];
  const refuse = (...details: [string, unknown, string, string]) => findings.push(refusal(where, ...details));
  if (isNodeScript(props.entryPoint)) {
    for (const prop of ['framework', 'launcher', 'requirements'] as const) {
      if (props[prop] === undefined) continue;
      refuse(
        prop,
        `'${props[prop]}' with '${props.entryPoint}'`,
        'it with a Python program alone',
        `leave ${prop} out`,
      );
    }
  } else if (image === undefined && framework === undefined) {
    refuse(
      'framework',
      'left out, and so is image',
      'one of them',
      'set framework to pytorch, tensorflow, huggingface or huggingface-tensorflow',
    );
  }
  if (image !== undefined) {
    for (const prop of ['version', 'pythonVersion', 'containerVersion'] as const) {
      if (props[prop] === undefined) continue;
      refuse(prop, `'${props[prop]}' with image`, "it with AWS's images alone", `leave out image or ${prop}`);
    }
  } else if (framework !== undefined) {
    findings.push(...checkFrameworkImage(scope, where, { ...props, framework }));
  }
  for (const [name, value] of Object.entries(hyperparameters)) {
    if (name.startsWith('sagemaker_')) {
      refuse(
        `hyperparameters.${name}`,
        'that name',
        'names that do not begin with sagemaker_',
        'use the props of the stage',
      );
    }
    if (value instanceof Expression) continue;
    for (const { kind } of credentialsIn(`${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)) {
      refuse(`hyperparameters.${name}`, kind, 'no credentials', 'read it from Secrets Manager inside the job');
    }
  }
  if (comesByChannel(props) && CODE_CHANNEL in channels) {
    refuse(`channels.${CODE_CHANNEL}`, 'that name', 'another, as the source comes by this one', 'rename the channel');
  }
  findings.push(...checkLauncher(where, props));
  return findings;
}

function encode(value: ScriptHyperparameter): Text {
  return value instanceof Expression ? toText(value) : JSON.stringify(value);
}

/** What was packed, for people. */
function summary(files: readonly PackedFile[]): string {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const names = files.slice(0, 20).map(({ name }) => name);
  const rest = files.length > names.length ? `, and ${files.length - names.length} more` : '';
  return `packed ${files.length === 1 ? 'one file' : `${files.length} files`}, ${bytes} bytes: ${names.join(', ')}${rest}`;
}

/** What is packed, and what is wrong with it. */
export interface CheckedScript {
  /** Paths of files, by their names in the package. */
  readonly files: ReadonlyMap<string, string>;
  /** Contents that were made, by their names in the package. */
  readonly made: ReadonlyMap<string, Uint8Array>;
  readonly findings: readonly Finding[];
}

/** What is wrong with a script, its source and its image, all at once; and the files of its source. */
export function checkScript(scope: Construct, where: string, props: ScriptModeTrainingProps): CheckedScript {
  const { files: found, findings } = findSource(where, props);
  const bundled = isNodeScript(props.entryPoint) && found.has(props.entryPoint);
  const { files, made, ...bundle } = bundled ? bundleScript(where, props, found) : { files: found, ...NOTHING_MADE };
  return { files, made, findings: [...checkProps(scope, where, props), ...findings, ...bundle.findings] };
}

/** A checked script, packed and in S3, and the job that runs it: once for a training, many times for a tuning. */
export class Script {
  readonly image: ByocImage;
  readonly packedFiles: readonly PackedFile[];
  readonly source: Asset;

  constructor(
    private readonly scope: Construct,
    private readonly props: ScriptModeTrainingProps,
    { files, made }: CheckedScript,
  ) {
    this.image = this.makeImage();
    this.image.grantPull(props.role);
    const packed = packSource(files, made);
    try {
      this.source = new Asset(scope, 'Source', { path: packed.path });
    } finally {
      if (!scope.node.tryGetContext('aws:cdk:disable-asset-staging')) packed.remove();
    }
    this.packedFiles = packed.files;
    scope.node.addMetadata(PACKED_FILES_METADATA, packed.files);
    Annotations.of(scope).addInfo(summary(packed.files));
    this.allowSource();
    if (props.networkIsolation && files.has('requirements.txt')) {
      Annotations.of(scope).addWarningV2(
        'scanline:requirementsWithoutNetwork',
        'requirements.txt is packed, and networkIsolation keeps pip from the network: put wheels into the source, or the packages into an image',
      );
    }
  }

  /** The packages of earlier deployments too, of which executions may be under way. */
  private allowSource(): void {
    const { role } = this.props;
    const { bucket } = this.source;
    const objects = bucket.arnForObjects('*');
    role.addToPrincipalPolicy(new PolicyStatement({ actions: ['s3:GetObject'], resources: [objects] }));
    if (comesByChannel(this.props))
      role.addToPrincipalPolicy(new PolicyStatement({ actions: ['s3:ListBucket'], resources: [bucket.bucketArn] }));
    if (role instanceof ManagedRole)
      role.acknowledgeWildcard(objects, 'the package of each deployment, which CDK names by its content');
  }

  private makeImage(): ByocImage {
    const { image, framework, entryPoint } = this.props;
    if (image === undefined && isNodeScript(entryPoint)) return ByocImage.scriptMode(this.scope, 'Image');
    if (image === undefined)
      return frameworkImage(this.scope, 'Image', { ...this.props, framework: framework as Framework });
    return typeof image === 'string' ? ByocImage.fromUri(this.scope, 'Image', image) : image;
  }

  /** A job that cannot fetch its source gets it as a channel. */
  get settings(): TrainingSettings {
    const { props, source } = this;
    if (!comesByChannel(props)) return props;
    return {
      ...props,
      channels: { ...props.channels, [CODE_CHANNEL]: { uri: source.s3ObjectUrl, inputMode: 'File' } },
    };
  }

  /** What the package is called in its channel: as in S3, where CDK names it by its content. */
  private get packageName(): string {
    return this.source.s3ObjectKey.split('/').at(-1) as string;
  }

  /** What the job runs: the script with its hyperparameters, and with those by which the container finds the script. */
  get work(): TrainingWork {
    const { hyperparameters = {}, entryPoint, logLevel = 20 } = this.props;
    const source = comesByChannel(this.props)
      ? `/opt/ml/input/data/${CODE_CHANNEL}/${this.packageName}`
      : this.source.s3ObjectUrl;
    const own = Object.entries(hyperparameters).map(([name, value]) => [name, encode(value)] as const);
    return {
      image: this.image.uri,
      hyperparameters: {
        ...Object.fromEntries(own),
        sagemaker_program: JSON.stringify(isNodeScript(entryPoint) ? bundleName(entryPoint) : entryPoint),
        sagemaker_submit_directory: JSON.stringify(source),
        sagemaker_container_log_level: JSON.stringify(logLevel),
        sagemaker_region: JSON.stringify(Stack.of(this.scope).region),
        ...launcherHyperparameters(this.props, this.props.instanceType ?? DEFAULT_INSTANCE_TYPE),
      },
    };
  }
}

/** Trains with a program of one's own: Python on AWS's framework images, TypeScript on ours. */
export class ScriptModeTraining extends TrainingStage {
  /** What the program runs in. */
  readonly image: ByocImage;
  /** All that was packed, by name; `cdk synth` tells it too, and the metadata of the synthesised app. */
  readonly packedFiles: readonly PackedFile[];
  /** The package in S3. */
  readonly source: Asset;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: ScriptModeTrainingProps) {
    super(scope, id);
    const checked = checkScript(this, whereOf(this), props);
    this.refuse(props, checked.findings);
    const script = new Script(this, props, checked);
    this.image = script.image;
    this.packedFiles = script.packedFiles;
    this.source = script.source;
    this.train(script.settings, script.work);
  }
}
