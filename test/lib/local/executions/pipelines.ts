// Small pipelines for the tests of executions, and what became of their steps.
import type { TestContext } from 'node:test';
import { ListPipelineExecutionStepsCommand, type PipelineExecutionStep } from '@aws-sdk/client-sagemaker';
import { pushPipeline, startExecution } from '../../../../lib/operations/execution';
import {
  ExecutionVariables,
  type Expression,
  join,
  ParameterFloat,
  ParameterString,
  Pipeline,
  ProcessingStep,
  type PropertyFile,
  type Step,
} from '../../../../lib/pipeline';
import { controlPlane, endOf, IMAGE, ROLE, type TestPlane } from '../control-plane';

export const message = new ParameterString('Message', { defaultValue: 'hello' });
export const least = new ParameterFloat('Least', { defaultValue: 0.5 });
export const REPORT: PropertyFile = { name: 'Report', outputName: 'report', path: 'report.json' };

export interface WorkOptions {
  readonly arguments?: readonly (string | Expression<string>)[];
  readonly dependsOn?: readonly Step[];
}

/** A processing step: runs a command of the image, with an output `report`. */
export function work(name: string, command: string, { arguments: given = [], dependsOn = [] }: WorkOptions = {}) {
  const uri = join('/', 's3://bucket', ExecutionVariables.pipelineExecutionId, name);
  return new ProcessingStep(name, {
    arguments: {
      ProcessingResources: { ClusterConfig: { InstanceCount: 1, InstanceType: 'ml.m5.xlarge', VolumeSizeInGB: 1 } },
      AppSpecification: { ImageUri: IMAGE, ContainerEntrypoint: [command], ContainerArguments: given },
      RoleArn: ROLE,
      ProcessingOutputConfig: {
        Outputs: [
          {
            OutputName: 'report',
            S3Output: { S3Uri: uri, LocalPath: '/opt/ml/processing/report', S3UploadMode: 'EndOfJob' },
          },
        ],
      },
    },
    propertyFiles: [REPORT],
    dependsOn,
  });
}

/** Commands of the image. */
export const SCRIPTS = {
  score: 'echo "{\\"metrics\\": [{\\"score\\": 0.75}]}" > processing/report/report.json',
  say: 'echo "$@"',
  fail: 'mkdir -p output; echo "the scanner is off" > output/failure; exit 2',
  wait: 'echo ready; exec sleep 60',
  train: 'echo weights > model/weights; echo "loss=0.5;"',
};

export async function push(context: TestContext, steps: readonly Step[], scripts: Record<string, string> = SCRIPTS) {
  const plane = await controlPlane(context, scripts);
  const definition = JSON.stringify(new Pipeline('p', { parameters: [message, least], steps }).definition());
  await pushPipeline(plane.client, { name: 'p', definition, roleArn: ROLE });
  return plane;
}

export async function stepsOf({ client }: TestPlane, executionArn: string): Promise<PipelineExecutionStep[]> {
  const list = new ListPipelineExecutionStepsCommand({ PipelineExecutionArn: executionArn });
  return (await client.send(list)).PipelineExecutionSteps as PipelineExecutionStep[];
}

export async function run(context: TestContext, steps: readonly Step[], parameters: Record<string, string> = {}) {
  const plane = await push(context, steps);
  const executionArn = await startExecution(plane.client, 'p', parameters);
  const execution = await endOf(plane.client, executionArn);
  const ended = await stepsOf(plane, executionArn);
  const step = (name: string) => ended.find(({ StepName }) => StepName === name) as PipelineExecutionStep;
  return { plane, execution, steps: ended, step };
}
