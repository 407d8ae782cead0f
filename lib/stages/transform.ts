// The batch transform stage: a model on all that lies in a folder of S3, without an endpoint.
import type { TransformInstanceType } from '@aws-sdk/client-sagemaker';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import {
  type Expression,
  type Finding,
  type JobException,
  ModelStep,
  PipelineError,
  RegisterModelStep,
  type RetryPolicy,
  type Step,
  type StepException,
  type Text,
  type TransformArguments,
  TransformStep,
} from '../pipeline';
import {
  checkEnvironment,
  checkInstanceType,
  checkOneOf,
  checkRetries,
  checkS3Uri,
  checkTags,
  checkWhole,
  type EnvironmentLimit,
  type Refuse,
  refusals,
} from './checks/checks';
import { knownText } from './checks/known-text';
import { hasLocalDisks } from './checks/local-disks';
import { PipelineStage, whereOf } from './pipeline-stage';
import { DEFAULT_INSTANCE_TYPE, RETRY_ON_CAPACITY } from './training/training-settings';

/** What a model is run over, and how. */
export interface TransformProps {
  /** The step that makes the model, or the name of a model. @default none; needed unless `modelPackage` is given */
  readonly model?: ModelStep | Text;
  /** The step that registers the model, or the ARN of a model package; a model is made of it, with `role`. @default none */
  readonly modelPackage?: RegisterModelStep | Text;
  /** With `modelPackage`: what the model works as. @default none; needed with `modelPackage` */
  readonly role?: IRole;
  /** With `modelPackage`: the model has no network; all that it needs is in its archive and its image. @default true */
  readonly networkIsolation?: boolean;
  /** S3 URI of a prefix whose objects are sent to the model, or of a manifest of them. */
  readonly input: Text;
  /** Whether `input` is a prefix or a manifest. @default S3Prefix */
  readonly inputType?: 'S3Prefix' | 'ManifestFile';
  /** S3 URI below which the answers are written: for each object one, with .out behind its name. */
  readonly output: Text;
  /** MIME type of what is sent, e.g. image/png, text/csv, application/jsonlines. @default none is given */
  readonly contentType?: Text;
  /** MIME type of the answers, e.g. application/json. @default the model's */
  readonly accept?: Text;
  /** How an object is taken apart into records. @default None: each object is sent whole */
  readonly splitType?: 'None' | 'Line' | 'RecordIO' | 'TFRecord';
  /** Of the input. @default None */
  readonly compression?: 'None' | 'Gzip';
  /** Whether a request has one record, or as many as fit `maxPayload`; with `splitType`. @default MultiRecord */
  readonly batchStrategy?: 'MultiRecord' | 'SingleRecord';
  /** Whether each answer ends with a new line. @default None, and Line with splitType Line */
  readonly assembleWith?: 'None' | 'Line';
  /** Megabytes of a request, from 0 to 100; 0 for a stream without limit, which few containers take. @default 6 */
  readonly maxPayload?: number;
  /** Requests at the same time, to each instance; times maxPayload at most 100. @default what the container asks for, else 1 */
  readonly maxConcurrentTransforms?: number;
  /** Seconds that a request may take, from 1 to 3600. @default 600 */
  readonly invocationTimeout?: number;
  /** How often a request is tried again, from 0 to 3. @default 3 */
  readonly invocationRetries?: number;
  /** JSONPath of what of each record is sent, e.g. $.features. @default $: all of it */
  readonly inputFilter?: string;
  /** JSONPath of what of each record is written, e.g. $['id','SageMakerOutput']. @default $: all of it */
  readonly outputFilter?: string;
  /** Input: each record is written together with its answer. @default None */
  readonly joinSource?: 'Input' | 'None';
  /** @default ml.g5.xlarge */
  readonly instanceType?: Text;
  /** @default 1 */
  readonly instanceCount?: number;
  /**
   * Encrypts the volumes, where the instance type takes a key, and the answers; the model's role must be allowed to use it.
   *
   * @default SageMaker's, and the bucket's
   */
  readonly key?: IKey;
  /** Environment variables of the container, up to 16. @default none */
  readonly environment?: Readonly<Record<string, Text>>;
  /** Of the job. @default none */
  readonly tags?: Readonly<Record<string, string>>;
  /** When the step is tried again; empty for never. @default RETRY_ON_CAPACITY */
  readonly retry?: readonly RetryPolicy<StepException | JobException>[];
}

/**
 * Megabytes: of a request, and of all requests at the same time.
 * https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html
 */
const MOST_MEGABYTES = 100;
const DEFAULT_PAYLOAD = 6;

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTransformJob.html */
const ENVIRONMENT: EnvironmentLimit = { variables: 16, characters: 10_240 };

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DataProcessing.html */
const LONGEST_FILTER = 63;

/** What records are of that can be joined and filtered: https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform-data-processing.html */
const RECORDS = /^(?:text\/csv|application\/(?:json|jsonlines|x-json-?lines))(?:;|$)/i;

function checkModel({ model, modelPackage, role, networkIsolation }: TransformProps, refuse: Refuse): void {
  const fix = 'set model to a ModelStep or a name, or modelPackage to a RegisterModelStep or an ARN';
  if (model === undefined && modelPackage === undefined)
    refuse('model', 'left out, and so is modelPackage', 'one of them', fix);
  if (model !== undefined && modelPackage !== undefined) refuse('model', 'given with modelPackage', 'one of them', fix);
  if (modelPackage !== undefined && role === undefined) {
    refuse('role', 'left out with modelPackage', 'the role of the model that is made of it', 'set role');
  }
  if (modelPackage === undefined && model !== undefined) {
    for (const [prop, value] of Object.entries({ role, networkIsolation })) {
      if (value === undefined) continue;
      refuse(prop, 'given with model', 'it with modelPackage alone: a model has its own', `leave ${prop} out`);
    }
  }
  const name = model instanceof ModelStep ? undefined : knownText(model);
  if (name !== undefined && !/^[a-zA-Z0-9](?:-*[a-zA-Z0-9]){0,62}$/.test(name)) {
    refuse(
      'model',
      `'${name}'`,
      'the name of a model, up to 63 letters, digits and hyphens',
      'give the name, not an ARN',
    );
  }
  const arn = modelPackage instanceof RegisterModelStep ? undefined : knownText(modelPackage);
  if (arn !== undefined && !/^arn:aws[a-z-]*:sagemaker:[a-z0-9-]+:\d{12}:model-package\/[^/]+(?:\/\d+)?$/.test(arn)) {
    refuse(
      'modelPackage',
      `'${arn}'`,
      'the ARN of a model package, with its version',
      'give arn:…:model-package/GROUP/VERSION',
    );
  }
}

function checkRequests(props: TransformProps, refuse: Refuse): void {
  const { splitType = 'None', batchStrategy, maxPayload, maxConcurrentTransforms } = props;
  checkWhole('maxPayload', maxPayload, [0, MOST_MEGABYTES], refuse);
  checkWhole('maxConcurrentTransforms', maxConcurrentTransforms, [0, MOST_MEGABYTES], refuse);
  checkWhole('invocationTimeout', props.invocationTimeout, [1, 3600], refuse);
  checkWhole('invocationRetries', props.invocationRetries, [0, 3], refuse);
  const together = (maxPayload ?? DEFAULT_PAYLOAD) * (maxConcurrentTransforms ?? 0);
  if (
    together > MOST_MEGABYTES &&
    (maxPayload ?? 0) <= MOST_MEGABYTES &&
    (maxConcurrentTransforms ?? 0) <= MOST_MEGABYTES
  ) {
    const given = `${maxConcurrentTransforms}, times maxPayload of ${maxPayload ?? DEFAULT_PAYLOAD} MB ${together} MB`;
    refuse('maxConcurrentTransforms', given, `up to ${MOST_MEGABYTES} MB together`, 'lower one of the two');
  }
  if (batchStrategy !== undefined && splitType === 'None') {
    const fix = 'set splitType to Line, RecordIO or TFRecord, or leave batchStrategy out';
    refuse('batchStrategy', `${batchStrategy} without splitType`, 'it for objects of several records', fix);
  }
}

/** JSONPath filters and the join work on records of CSV or JSON. */
function checkDataProcessing(props: TransformProps, refuse: Refuse): void {
  const { joinSource = 'None', splitType = 'None', assembleWith, contentType, accept } = props;
  for (const prop of ['inputFilter', 'outputFilter'] as const) {
    const filter = props[prop];
    if (filter === undefined) continue;
    if (!filter.startsWith('$')) refuse(prop, `'${filter}'`, 'a JSONPath, which begins with $', `e.g. '$.features'`);
    if (filter.length > LONGEST_FILTER)
      refuse(prop, `${filter.length} characters`, String(LONGEST_FILTER), 'shorten it');
  }
  const filtered = props.inputFilter !== undefined || props.outputFilter !== undefined || joinSource === 'Input';
  if (!filtered) return;
  const what = joinSource === 'Input' ? 'joinSource' : props.inputFilter === undefined ? 'outputFilter' : 'inputFilter';
  for (const [prop, type] of Object.entries({ contentType, accept })) {
    const known = knownText(type);
    if (known === undefined || RECORDS.test(known)) continue;
    refuse(
      prop,
      `'${known}' with ${what}`,
      'text/csv, application/json or application/jsonlines',
      `leave ${what} out, or send one of these`,
    );
  }
  if (splitType === 'RecordIO' || splitType === 'TFRecord') {
    refuse('splitType', `${splitType} with ${what}`, 'Line, or None', `set splitType to Line, or leave ${what} out`);
  }
  if (joinSource === 'Input' && splitType === 'Line' && assembleWith === 'None') {
    refuse('assembleWith', 'None with joinSource and splitType Line', 'Line', 'leave assembleWith out');
  }
}

function check(where: string, props: TransformProps): Finding[] {
  return refusals(where, (refuse) => {
    checkModel(props, refuse);
    checkS3Uri('input', props.input, refuse);
    checkS3Uri('output', props.output, refuse);
    checkOneOf('inputType', props.inputType, ['S3Prefix', 'ManifestFile'], refuse);
    checkOneOf('splitType', props.splitType, ['None', 'Line', 'RecordIO', 'TFRecord'], refuse);
    checkOneOf('compression', props.compression, ['None', 'Gzip'], refuse);
    checkOneOf('batchStrategy', props.batchStrategy, ['MultiRecord', 'SingleRecord'], refuse);
    checkOneOf('assembleWith', props.assembleWith, ['None', 'Line'], refuse);
    checkOneOf('joinSource', props.joinSource, ['Input', 'None'], refuse);
    checkRequests(props, refuse);
    checkDataProcessing(props, refuse);
    checkInstanceType('instanceType', props.instanceType, refuse);
    checkWhole('instanceCount', props.instanceCount, [1, 10_000], refuse);
    checkEnvironment(props.environment, ENVIRONMENT, refuse);
    checkTags(props.tags, refuse);
    checkRetries(props.retry, refuse);
  });
}

function transformArguments(props: TransformProps, modelName: Text): TransformArguments {
  const {
    splitType,
    assembleWith = splitType === 'Line' ? 'Line' : undefined,
    key,
    environment = {},
    tags = {},
  } = props;
  const { instanceType = DEFAULT_INSTANCE_TYPE, invocationTimeout, invocationRetries } = props;
  const { inputFilter, outputFilter, joinSource } = props;
  const processing = {
    ...(inputFilter !== undefined && { InputFilter: inputFilter }),
    ...(outputFilter !== undefined && { OutputFilter: outputFilter }),
    ...(joinSource && { JoinSource: joinSource }),
  };
  return {
    ModelName: modelName,
    TransformInput: {
      DataSource: { S3DataSource: { S3DataType: props.inputType ?? 'S3Prefix', S3Uri: props.input } },
      ...(props.contentType !== undefined && { ContentType: props.contentType }),
      ...(props.compression && { CompressionType: props.compression }),
      ...(splitType && { SplitType: splitType }),
    },
    TransformOutput: {
      S3OutputPath: props.output,
      ...(props.accept !== undefined && { Accept: props.accept }),
      ...(assembleWith && { AssembleWith: assembleWith }),
      ...(key && { KmsKeyId: key.keyArn }),
    },
    TransformResources: {
      InstanceType: instanceType as TransformInstanceType,
      InstanceCount: props.instanceCount ?? 1,
      ...(key && !hasLocalDisks(instanceType) && { VolumeKmsKeyId: key.keyArn }),
    },
    ...(props.batchStrategy && { BatchStrategy: props.batchStrategy }),
    ...(props.maxPayload !== undefined && { MaxPayloadInMB: props.maxPayload }),
    ...(props.maxConcurrentTransforms !== undefined && { MaxConcurrentTransforms: props.maxConcurrentTransforms }),
    ...((invocationTimeout !== undefined || invocationRetries !== undefined) && {
      ModelClientConfig: {
        ...(invocationTimeout !== undefined && { InvocationsTimeoutInSeconds: invocationTimeout }),
        ...(invocationRetries !== undefined && { InvocationsMaxRetries: invocationRetries }),
      },
    }),
    ...(Object.keys(processing).length > 0 && { DataProcessing: processing }),
    ...(Object.keys(environment).length > 0 && { Environment: environment }),
    ...(Object.keys(tags).length > 0 && { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) }),
  };
}

/** Runs a model over all files below a prefix. */
export class Transform extends PipelineStage {
  readonly step: TransformStep;
  /** Makes the model of a `modelPackage`; undefined where a `model` was given. */
  readonly modelStep: ModelStep | undefined;
  /** S3 URI below which the answers are. */
  readonly output: Expression<string>;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: TransformProps) {
    super(scope, id);
    const findings = check(whereOf(this), props);
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    const { model } = props;
    this.modelStep = this.makeModel(props);
    const made = this.modelStep ?? (model instanceof ModelStep ? model : undefined);
    this.step = new TransformStep(id, {
      arguments: transformArguments(props, made ? made.properties.ModelName : (model as Text)),
      retry: props.retry ?? RETRY_ON_CAPACITY,
    });
    this.output = this.step.properties.TransformOutput.S3OutputPath;
  }

  /** All that goes into the pipeline. */
  get steps(): readonly Step[] {
    return this.modelStep ? [this.modelStep, this.step] : [this.step];
  }

  private makeModel({ modelPackage, role, networkIsolation = true }: TransformProps): ModelStep | undefined {
    if (modelPackage === undefined || role === undefined) return undefined;
    const arn = modelPackage instanceof RegisterModelStep ? modelPackage.properties.ModelPackageArn : modelPackage;
    return new ModelStep(`${this.node.id}Model`, {
      arguments: {
        PrimaryContainer: { ModelPackageName: arn },
        ExecutionRoleArn: role.roleArn,
        EnableNetworkIsolation: networkIsolation,
      },
    });
  }
}
