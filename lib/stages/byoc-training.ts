// The training stage: our container, or anyone's, on the channels of a data set.
import type { TrainingInstanceType } from '@aws-sdk/client-sagemaker';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';
import { type Hyperparameters, METRICS, metricRegex, resolveHyperparameters } from '../../training/hyperparameters';
import { Expression, type Finding, join, PipelineError, type Text, TrainingStep } from '../pipeline';
import type { ByocImage } from './byoc-image';

/** Scanline's hyperparameters; each may be a parameter of the pipeline. */
export type TrainingHyperparameters = {
  readonly [Name in keyof Hyperparameters]?:
    | Hyperparameters[Name]
    | Expression<string>
    | Expression<number>
    | Expression<boolean>;
};

export interface ByocTrainingProps {
  /** S3 URI of each channel: train, and validation and test where there are such. */
  readonly channels: Readonly<Record<string, Text>>;
  /** S3 URI below which the model is written. */
  readonly output: Text;
  readonly image: ByocImage;
  readonly role: IRole;
  /** Checked at synth; those that are not given are the trainer's own. @default the trainer's */
  readonly hyperparameters?: TrainingHyperparameters;
  /** @default ml.g5.xlarge */
  readonly instanceType?: Text;
  /** Instances of the job. Our image takes one, until it can share its work among several. @default 1 */
  readonly instanceCount?: number;
  /** Gigabytes. @default 50 */
  readonly volumeSize?: number;
  /** Seconds after which SageMaker ends the job. @default 86400, a day */
  readonly maxRuntime?: number;
}

/** What is wrong with the stage, all at once. */
function check(id: string, { hyperparameters = {}, instanceCount = 1, image }: ByocTrainingProps): Finding[] {
  const where = `step ${id}`;
  const known = Object.entries(hyperparameters).filter(
    ([, value]) => value !== undefined && !(value instanceof Expression),
  );
  const { defects } = resolveHyperparameters(new Map(known.map(([name, value]) => [name, { value, from: id }])));
  const findings = defects.map((problem) => ({
    where,
    problem: `${problem}.`,
    fix: '`scanline train --help` lists all hyperparameters with what is allowed.',
  }));
  if (instanceCount > 1 && image.isScanline) {
    findings.push({
      where,
      problem: `instanceCount is ${instanceCount}; Scanline's trainer runs on one instance.`,
      fix: 'set instanceCount to 1, and choose a larger instanceType for more speed.',
    });
  }
  return findings;
}

/** Hyperparameters as SageMaker takes them: all as text, those that the pipeline fills in too. */
function toText(hyperparameters: TrainingHyperparameters): Record<string, Text> {
  const given = Object.entries(hyperparameters).filter(([, value]) => value !== undefined);
  return Object.fromEntries(
    given.map(([name, value]) => [
      name,
      value instanceof Expression ? join('', value as Expression<string>) : String(value),
    ]),
  );
}

export class ByocTraining extends Construct {
  readonly step: TrainingStep;
  readonly image: ByocImage;
  /** S3 URI of model.tar.gz. */
  readonly model: Expression<string>;

  constructor(scope: Construct, id: string, props: ByocTrainingProps) {
    super(scope, id);
    const findings = check(id, props);
    if (findings.length > 0) throw new PipelineError(id, findings);
    this.image = props.image;
    this.step = new TrainingStep(id, {
      arguments: {
        AlgorithmSpecification: {
          TrainingImage: props.image.uri,
          TrainingInputMode: 'File',
          MetricDefinitions: METRICS.map(({ name }) => ({ Name: name, Regex: metricRegex(name) })),
        },
        RoleArn: props.role.roleArn,
        HyperParameters: toText(props.hyperparameters ?? {}),
        InputDataConfig: Object.entries(props.channels).map(([name, uri]) => ({
          ChannelName: name,
          DataSource: {
            S3DataSource: { S3DataType: 'S3Prefix', S3Uri: uri, S3DataDistributionType: 'FullyReplicated' },
          },
        })),
        OutputDataConfig: { S3OutputPath: props.output },
        ResourceConfig: {
          InstanceType: (props.instanceType ?? 'ml.g5.xlarge') as TrainingInstanceType,
          InstanceCount: props.instanceCount ?? 1,
          VolumeSizeInGB: props.volumeSize ?? 50,
        },
        StoppingCondition: { MaxRuntimeInSeconds: props.maxRuntime ?? 86_400 },
      },
    });
    this.model = this.step.properties.ModelArtifacts.S3ModelArtifacts;
  }
}
