// The evaluation stage: a trained model on images or volumes that it has never seen; the result is a property file.
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { TaskName } from '../../training/hyperparameters';
import {
  type Expression,
  join,
  jsonGet,
  PipelineError,
  ProcessingStep,
  type PropertyFile,
  type Text,
} from '../pipeline';
import { refusals } from './checks/checks';
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
import type { TrainedModel } from './training/training-stage';

/** Which model is evaluated, on what. */
export interface EvaluationProps extends ProcessingSettings {
  /** A training, or a tuning for its best model; the image must have the command evaluate. */
  readonly training: TrainedModel;
  /** S3 URI of class folders of held-out images, or of held-out subjects. */
  readonly test: Text;
  /** S3 URI below which evaluation.json is written. */
  readonly output: Text;
  /** What the job runs as. */
  readonly role: IRole;
}

const FOLDERS = {
  model: '/opt/ml/processing/input/model',
  data: '/opt/ml/processing/input/test',
  output: '/opt/ml/processing/output/evaluation',
};

const REPORT: PropertyFile = { name: 'Evaluation', outputName: 'evaluation', path: 'evaluation.json' };

const PATHS = {
  accuracy: 'multiclass_classification_metrics.accuracy.value',
  dice: 'segmentation_metrics.dice.value',
} as const;

/** Whether a value is one of an evaluation that goes from 0 to 1. */
export function isShare(value: Expression<number>): boolean {
  const written = JSON.stringify(value);
  return Object.values(PATHS).some((path) => written.includes(`"Path":"${path}"`));
}

/** Runs the model on held-out images or volumes, and writes its metrics as a property file. */
export class Evaluation extends PipelineStage {
  /** The step of the pipeline. */
  readonly step: ProcessingStep;
  /** evaluation.json, for `jsonGet` to look into: beside accuracy and Dice it has e.g. multiclass_classification_metrics.weighted_f1.value. */
  readonly propertyFile: PropertyFile = REPORT;
  /** S3 URI of evaluation.json. */
  readonly report: Expression<string>;
  private readonly task: TaskName | undefined;

  /** @throws PipelineError naming all that is wrong with the stage */
  constructor(scope: Construct, id: string, props: EvaluationProps) {
    super(scope, id);
    this.task = props.training.task;
    const { test, output } = props;
    const findings = refusals(whereOf(this), (refuse) => checkProcessing(props, { test, output }, refuse));
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    this.step = new ProcessingStep(id, {
      arguments: {
        ProcessingResources: oneInstance(props),
        AppSpecification: {
          ImageUri: props.training.image.uri,
          ContainerEntrypoint: ['evaluate'],
          ContainerArguments: Object.entries(FOLDERS).flatMap(([name, folder]) => [`--${name}`, folder]),
        },
        RoleArn: props.role.roleArn,
        ProcessingInputs: [s3Input('model', props.training.model, FOLDERS.model), s3Input('test', test, FOLDERS.data)],
        ProcessingOutputConfig: outputs(props, [processingOutput('evaluation', output, FOLDERS.output)]),
        NetworkConfig: network(props),
      },
      propertyFiles: [REPORT],
    });
    this.report = join('/', this.step.output('evaluation'), REPORT.path);
  }

  /**
   * Of a classifier: share of the held-out images that are classified right.
   *
   * @throws PipelineError where the network is known to be a segmenter
   */
  get accuracy(): Expression<number> {
    return this.shareOf('classification', 'accuracy');
  }

  /**
   * Of a segmenter: mean Dice of the held-out volumes, the background left out.
   *
   * @throws PipelineError where the network is known to be a classifier
   */
  get dice(): Expression<number> {
    return this.shareOf('segmentation', 'dice');
  }

  /** A value of the report, which only models of one task have. */
  private shareOf(task: TaskName, name: keyof typeof PATHS): Expression<number> {
    if (this.task === undefined || this.task === task) return jsonGet(this.step, REPORT, PATHS[name]);
    const problem = `its ${name} is used, and its network is for ${this.task}, which has none.`;
    const fix = `use ${task === 'classification' ? 'dice' : 'accuracy'}, or train a network for ${task}.`;
    throw new PipelineError(this.node.path, [{ where: whereOf(this), problem, fix }]);
  }
}
