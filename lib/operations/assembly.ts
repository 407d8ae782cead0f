// Synthesises a CDK app, as the `cdk` command does, and finds the pipelines in what it gives.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource, Template } from '../local/executions/cloudformation';
import { OperationError } from './errors';

/** A pipeline in a synthesised template. */
export interface SynthesizedPipeline {
  readonly template: Template;
  readonly resource: Resource;
  /** Model package groups of the same template. */
  readonly groups: readonly Resource[];
}

export interface AppOptions {
  /** Folder of the CDK app: the one with cdk.json. */
  readonly folder: string;
  /** Command that runs the app. @default the `app` of cdk.json */
  readonly app?: string;
  /** What the context says beside that of cdk.json, as `cdk -c name=value` does. @default nothing */
  readonly context?: Readonly<Record<string, string>>;
  /** Gets the synthesised templates. */
  readonly output: string;
}

function readCdkJson(folder: string): { app?: string; context?: Record<string, unknown> } {
  const file = join(folder, 'cdk.json');
  if (!existsSync(file)) return {};
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new OperationError(`${file} is not JSON: ${(error as Error).message}.`, 'mend the file.');
  }
}

/** @throws OperationError when there is no app, or it fails: with what it printed */
export function synthesize({ folder, app, output, context: given }: AppOptions): SynthesizedPipeline[] {
  const { app: configured, context = {} } = readCdkJson(folder);
  const command = app ?? configured;
  if (command === undefined) {
    throw new OperationError(
      `${folder} has no cdk.json with an \`app\`.`,
      'run it in the folder of a CDK app, or give the command with --app.',
    );
  }
  const { status, stdout, stderr } = spawnSync(command, {
    cwd: folder,
    shell: true,
    encoding: 'utf8',
    env: { ...process.env, CDK_OUTDIR: output, CDK_CONTEXT_JSON: JSON.stringify({ ...context, ...given }) },
  });
  if (status !== 0)
    throw new OperationError(
      `the CDK app \`${command}\` failed:\n${`${stdout}${stderr}`.trim()}`,
      'mend what it says above.',
    );
  if (!existsSync(output))
    throw new OperationError(
      `the CDK app \`${command}\` wrote no templates.`,
      'have it make an App, and synthesise it.',
    );
  return pipelinesIn(output);
}

/** The pipelines in the templates of a folder. */
export function pipelinesIn(folder: string): SynthesizedPipeline[] {
  const files = readdirSync(folder).filter((name) => name.endsWith('.template.json'));
  return files.flatMap((file) => {
    const template = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Template;
    const resources = Object.values(template.Resources ?? {});
    const groups = resources.filter(({ Type }) => Type === 'AWS::SageMaker::ModelPackageGroup');
    return resources
      .filter(({ Type }) => Type === 'AWS::SageMaker::Pipeline')
      .map((resource) => ({ template, resource, groups }));
  });
}
