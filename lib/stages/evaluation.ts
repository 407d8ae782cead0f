// The evaluation stage: a trained model on images or volumes that it has never seen; the result is a property file.
import type { IRole } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { type Expression, join, jsonGet, ProcessingStep, type PropertyFile, type Text } from '../pipeline';
import { PipelineStage } from './pipeline-stage';
import { network, oneInstance, outputs, type ProcessingSettings, processingOutput, s3Input } from './processing';
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

/** Runs the model on held-out images or volumes, and writes its metrics as a property file. */
export class Evaluation extends PipelineStage {
  /** The step of the pipeline. */
  readonly step: ProcessingStep;
  /** Of a classifier: share of the held-out images that are classified right. */
  readonly accuracy: Expression<number>;
  /** Of a segmenter: mean Dice of the held-out volumes, the background left out. */
  readonly dice: Expression<number>;
  /** S3 URI of evaluation.json. */
  readonly report: Expression<string>;

  constructor(scope: Construct, id: string, props: EvaluationProps) {
    super(scope, id);
    this.step = new ProcessingStep(id, {
      arguments: {
        ProcessingResources: oneInstance(props),
        AppSpecification: {
          ImageUri: props.training.image.uri,
          ContainerEntrypoint: ['evaluate'],
          ContainerArguments: Object.entries(FOLDERS).flatMap(([name, folder]) => [`--${name}`, folder]),
        },
        RoleArn: props.role.roleArn,
        ProcessingInputs: [
          s3Input('model', props.training.model, FOLDERS.model),
          s3Input('test', props.test, FOLDERS.data),
        ],
        ProcessingOutputConfig: outputs(props, [processingOutput('evaluation', props.output, FOLDERS.output)]),
        NetworkConfig: network(props),
      },
      propertyFiles: [REPORT],
    });
    this.accuracy = jsonGet(this.step, REPORT, 'multiclass_classification_metrics.accuracy.value');
    this.dice = jsonGet(this.step, REPORT, 'segmentation_metrics.dice.value');
    this.report = join('/', this.step.output('evaluation'), REPORT.path);
  }
}
