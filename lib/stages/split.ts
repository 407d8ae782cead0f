// The split stage: images or subjects into train, validation and test, without tearing groups apart.
import { Token } from 'aws-cdk-lib';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { type Expression, PipelineError, ProcessingStep, type Text } from '../pipeline';
import type { ByocImage } from './byoc-image';
import { checkOneOf, checkWhole, type Refuse, refusals } from './checks/checks';
import { PipelineStage, whereOf } from './pipeline-stage';
import {
  checkProcessing,
  network,
  oneInstance,
  outputs,
  type ProcessingSettings,
  processingOutput,
  s3Input,
} from './processing';

/** What is split, and how. */
export interface SplitProps extends ProcessingSettings {
  /** S3 URI of class folders of images; of subjects, of a dataset.json, or of train/ and valid/ of subjects. */
  readonly data: Text;
  /** S3 URI below which the parts are written. */
  readonly output: Text;
  /** Has the command `split`. */
  readonly image: ByocImage;
  /** What the job runs as. */
  readonly role: IRole;
  /** Shares of train, validation and test; they are made to add up to 1. @default [0.7, 0.15, 0.15] */
  readonly fractions?: readonly [number, number, number];
  /** What must stay together: pattern:REGEX of the name of the file or subject, folder, or csv:FILE:COLUMN. @default each image or subject for itself */
  readonly groupBy?: string;
  /** How classes are spread. @default stratified */
  readonly strategy?: 'stratified' | 'random';
  /** Of the random order. @default 0 */
  readonly seed?: number;
}

const GROUP_KEY = /^(?:folder|pattern:(.+)|csv:.+:.+)$/s;

function checkGroupBy(groupBy: string, refuse: Refuse): void {
  const [matches, pattern] = GROUP_KEY.exec(groupBy) ?? [];
  if (matches === undefined) {
    const fix = "give e.g. 'pattern:^(patient\\d+)_', by which the name of a file tells its patient";
    refuse('groupBy', `'${groupBy}'`, 'pattern:REGEX, folder or csv:FILE:COLUMN', fix);
  }
  if (pattern === undefined || Token.isUnresolved(pattern)) return;
  try {
    new RegExp(pattern);
  } catch (error) {
    refuse(
      'groupBy',
      `'${groupBy}', ${(error as Error).message}`,
      'a regular expression behind pattern:',
      'correct it',
    );
  }
}

/** What is wrong with how data is split, all at once. */
export function checkSplit(where: string, props: Pick<SplitProps, 'fractions' | 'groupBy' | 'strategy' | 'seed'>) {
  const { fractions, groupBy, strategy, seed } = props;
  return refusals(where, (refuse) => {
    const [train = 0] = fractions ?? [1];
    if (fractions && !(fractions.length === 3 && fractions.every((share) => share >= 0) && train > 0)) {
      const allowed = 'the shares of train, validation and test, none below 0, that of train above it';
      refuse('fractions', `[${fractions.join(', ')}]`, allowed, 'give e.g. [0.7, 0.15, 0.15]');
    }
    if (groupBy !== undefined && !Token.isUnresolved(groupBy)) checkGroupBy(groupBy, refuse);
    checkOneOf('strategy', strategy, ['stratified', 'random'], refuse);
    checkWhole('seed', seed, [0, Number.POSITIVE_INFINITY], refuse);
  });
}

/** Where the container finds its input and leaves its output. */
const FOLDERS = {
  data: '/opt/ml/processing/input/data',
  train: '/opt/ml/processing/output/train',
  validation: '/opt/ml/processing/output/validation',
  test: '/opt/ml/processing/output/test',
};

/** Divides images or subjects into train, validation and test. */
export class Split extends PipelineStage {
  /** The step of the pipeline. */
  readonly step: ProcessingStep;
  /** S3 URI of what is trained on. */
  readonly train: Expression<string>;
  /** S3 URI of what chooses the best epoch. */
  readonly validation: Expression<string>;
  /** S3 URI of what is held out. */
  readonly test: Expression<string>;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: SplitProps) {
    super(scope, id);
    const where = whereOf(this);
    const { data, output } = props;
    const findings = [
      ...checkSplit(where, props),
      ...refusals(where, (refuse) => checkProcessing(props, { data, output }, refuse)),
    ];
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    const { fractions = [0.7, 0.15, 0.15], strategy = 'stratified', seed = 0, groupBy } = props;
    const options = { ...FOLDERS, fractions: fractions.join(), strategy, seed: String(seed), 'group-by': groupBy };
    const { data: input, ...parts } = FOLDERS;
    this.step = new ProcessingStep(id, {
      arguments: {
        ProcessingResources: oneInstance(props),
        AppSpecification: {
          ImageUri: props.image.uri,
          ContainerEntrypoint: ['split'],
          ContainerArguments: Object.entries(options).flatMap(([name, value]) => {
            return value === undefined ? [] : [`--${name === 'data' ? 'input' : name}`, value];
          }),
        },
        RoleArn: props.role.roleArn,
        ProcessingInputs: [s3Input('data', data, input)],
        ProcessingOutputConfig: outputs(
          props,
          Object.entries(parts).map(([name, folder]) => processingOutput(name, output, folder)),
        ),
        NetworkConfig: network(props),
      },
    });
    this.train = this.step.output('train');
    this.validation = this.step.output('validation');
    this.test = this.step.output('test');
  }
}
