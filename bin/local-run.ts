// What `scanline run` does: synthesise, start the control plane, run the pipeline, deploy, predict, report, and leave nothing behind.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { SageMakerClient, StopPipelineExecutionCommand } from '@aws-sdk/client-sagemaker';
import { SageMakerRuntimeClient } from '@aws-sdk/client-sagemaker-runtime';
import { Listr, type ListrTask } from 'listr2';
import {
  type ContainerSettings,
  findContainerTool,
  type LocalSageMaker,
  REGION,
  resolveTemplate,
  startLocalSageMaker,
} from '../lib/local';
import { type SynthesizedPipeline, synthesize } from '../lib/operations/assembly';
import { explainRefusal } from '../lib/operations/client';
import { deleteEndpoint, deployModel } from '../lib/operations/endpoint';
import { OperationError } from '../lib/operations/errors';
import {
  type ExecutionState,
  ensureModelPackageGroup,
  pushPipeline,
  startExecution,
  watchExecution,
} from '../lib/operations/execution';
import { gatherReport, madeBy } from '../lib/operations/execution-report';
import { heldOutUri, predictHeldOut } from '../lib/operations/held-out';
import { renderReport } from '../lib/operations/report';
import type { Results, SamplePrediction, SampleVolume } from '../lib/operations/report-results';
import { allSteps, type StepDefinition } from '../lib/pipeline';
import { LOCAL_IMAGES_METADATA } from '../lib/stages/sagemaker-pipeline';
import type { TaskName } from '../training/hyperparameters';
import { packageRoot } from '../training/native/cache';
import { provideImages } from './container-images';
import { predictHeldOutVolumes } from './held-out-volumes';
import { LIVE, stepTasks, withLines } from './step-tasks';

export interface LocalRunOptions {
  readonly app?: string;
  /** Class folders of images, or subjects, put where the pipeline's parameter InputData says. @default what lies there already */
  readonly data?: string;
  /** What the app is told to train, as its context. @default nothing */
  readonly task?: TaskName;
  /** @default the only one */
  readonly pipeline?: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly state: string;
  /** Jobs run as processes, or in containers of their images. */
  readonly executor: 'process' | 'container';
  /** What each container may take. @default all */
  readonly memory?: string;
  /** Gets the report. */
  readonly out: string;
}

/** A pipeline with every reference to a resource replaced by its local value. */
interface LocalPipeline {
  readonly name: string;
  readonly roleArn: string;
  readonly definition: string;
  readonly groups: readonly string[];
  readonly images: ReadonlyMap<string, string>;
}

/** Milliseconds between looks at the execution. */
const POLL = 250;

function choosePipeline(pipelines: readonly SynthesizedPipeline[], wanted: string | undefined): SynthesizedPipeline {
  const names = pipelines.map(({ resource }) => String(resource.Properties?.PipelineName));
  const index = wanted === undefined && names.length === 1 ? 0 : names.indexOf(wanted ?? '');
  if (pipelines[index]) return pipelines[index];
  const found = names.join(', ') || 'none';
  throw new OperationError(
    `the app's pipelines are: ${found}; ${wanted === undefined ? 'one must be chosen' : `there is no ${wanted}`}.`,
    'name one with --pipeline.',
  );
}

function localise({ template, resource, groups }: SynthesizedPipeline): LocalPipeline {
  const properties = resolveTemplate(resource.Properties, template) as Record<string, string> & {
    PipelineDefinition: { PipelineDefinitionBody: string };
  };
  const images = (resolveTemplate(resource.Metadata?.[LOCAL_IMAGES_METADATA] ?? [], template) ?? []) as {
    Image: string;
    Commands: string;
  }[];
  const folderOf = (commands: string) => {
    const own = /^scanline-sagemaker\/(.*)$/.exec(commands)?.[1];
    return own === undefined ? resolve(commands) : join(packageRoot, own);
  };
  return {
    name: properties.PipelineName as string,
    roleArn: properties.RoleArn as string,
    definition: properties.PipelineDefinition.PipelineDefinitionBody,
    groups: groups.map(
      (group) =>
        (resolveTemplate(group.Properties, template) as Record<string, string>).ModelPackageGroupName as string,
    ),
    images: new Map(images.map(({ Image, Commands }) => [Image, folderOf(Commands)])),
  };
}

/** Puts the images where the pipeline looks for them. */
function provideData(
  plane: LocalSageMaker,
  { definition }: LocalPipeline,
  { data, parameters }: LocalRunOptions,
): void {
  const { Parameters = [] } = JSON.parse(definition) as { Parameters?: { Name: string; DefaultValue?: string }[] };
  const uri = parameters.InputData ?? Parameters.find(({ Name }) => Name === 'InputData')?.DefaultValue;
  if (uri === undefined) return;
  if (data === undefined) {
    if (existsSync(plane.s3.path(uri))) return;
    throw new OperationError(
      `there is nothing at ${uri} yet.`,
      'give class folders of images, or subjects, to --data.',
    );
  }
  if (!existsSync(data))
    throw new OperationError(`there is no folder ${data}.`, 'give class folders of images, or subjects, to --data.');
  if (parameters.InputData !== undefined)
    throw new OperationError(
      '--data would replace what lies at InputData.',
      'give --data, or --parameter InputData=..., not both.',
    );
  rmSync(plane.s3.path(uri), { recursive: true, force: true });
  plane.s3.upload(data, uri);
}

/** What the parts of a run hand on to each other. */
interface Run {
  pipeline: LocalPipeline;
  /** @default jobs run as processes */
  containers?: ContainerSettings;
  plane: LocalSageMaker;
  client: SageMakerClient;
  runtime: SageMakerRuntimeClient;
  executionArn: string;
  /** The execution, as it was last seen. */
  state: ExecutionState;
  /** Settles when the execution is over. */
  watching: Promise<void>;
  endpoint: string;
  samples: readonly SamplePrediction[] | readonly SampleVolume[];
  results: Results;
}

function synthesiseApp(run: Partial<Run>, options: LocalRunOptions): void {
  // not below the state, which another run may hold
  const output = mkdtempSync(join(tmpdir(), 'scanline-synth-'));
  try {
    const pipelines = synthesize({
      folder: process.cwd(),
      output,
      ...(options.app !== undefined && { app: options.app }),
      ...(options.task !== undefined && { context: { task: options.task } }),
    });
    run.pipeline = localise(choosePipeline(pipelines, options.pipeline));
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

/** The images of the pipeline: a build is minutes long, and shows what it does. */
function imagesTask(run: Run, { executor, memory }: LocalRunOptions): ListrTask {
  return {
    title: 'Build the images',
    enabled: executor === 'container',
    task: async (_context, task) => {
      const tell = (line: string) => {
        task.output = line;
        if (!LIVE) process.stdout.write(`  ${line}\n`);
      };
      run.containers = await provideImages(run.pipeline.images, memory, tell);
    },
  };
}

async function startPipeline(run: Run, options: LocalRunOptions): Promise<void> {
  const { images } = run.pipeline;
  run.plane = await startLocalSageMaker({ folder: options.state, images, containers: run.containers });
  const settings = {
    endpoint: run.plane.url,
    region: REGION,
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  };
  run.client = new SageMakerClient(settings);
  run.runtime = new SageMakerRuntimeClient(settings);
  provideData(run.plane, run.pipeline, options);
  for (const group of run.pipeline.groups) await ensureModelPackageGroup(run.client, group);
  await pushPipeline(run.client, run.pipeline);
  run.executionArn = await startExecution(run.client, run.pipeline.name, options.parameters);
}

/** Begins to look how the execution is; tasks for its steps. */
function followSteps(run: Run): ListrTask[] {
  let over = false;
  const watch = async () => {
    for await (const state of watchExecution(run.client, run.executionArn, POLL)) run.state = state;
  };
  run.watching = watch().finally(() => {
    over = true;
  });
  // what went wrong with it is told when it is waited for
  run.watching.catch(() => {});
  const { Steps } = JSON.parse(run.pipeline.definition) as { Steps: StepDefinition[] };
  return stepTasks(
    allSteps(Steps),
    () => run.state,
    () => over,
    POLL,
  );
}

async function requireSuccess(run: Run): Promise<void> {
  await run.watching;
  if (run.state.status === 'Succeeded') return;
  const job = run.state.steps.find(({ StepStatus }) => StepStatus === 'Failed')?.Metadata;
  const arn = job?.TrainingJob?.Arn ?? job?.ProcessingJob?.Arn;
  const kind = job?.TrainingJob ? 'training-job' : 'processing-job';
  throw new OperationError(
    `the execution is ${run.state.status}: ${run.state.failureReason ?? 'no reason was given'}`,
    arn === undefined ? 'see the reason.' : `read the log, ${run.plane.jobLog(kind, arn.slice(arn.indexOf('/') + 1))}.`,
  );
}

async function deploy(run: Run): Promise<void> {
  // an endpoint's name has at most 63 characters
  const name = `${run.pipeline.name.slice(0, 50)}-${run.executionArn.slice(-12)}`;
  await deployModel(run.client, { name, modelName: madeBy(run.state, 'Model') as string, pollEvery: POLL });
  run.endpoint = name;
}

/** Asks the endpoint about images spread over each class, or about volumes. */
async function askEndpoint(run: Run): Promise<void> {
  const folder = run.plane.s3.path(await heldOutUri(run.client, run.state.steps));
  const ofVolumes = run.pipeline.definition.includes('"segmentation_metrics.');
  run.samples = await (ofVolumes ? predictHeldOutVolumes : predictHeldOut)(run.runtime, run.endpoint, folder);
}

async function writeReport(run: Run, out: string): Promise<void> {
  const { client, plane, state, executionArn, pipeline, samples } = run;
  const pathOf = (uri: string) => plane.s3.path(uri);
  const data = await gatherReport({ client, pipeline: pipeline.name, executionArn, state, samples, pathOf });
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, await renderReport(data));
  run.results = data.results;
}

function printTable(table: readonly (readonly string[])[]): void {
  const widths = table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table)
    process.stdout.write(`  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd().concat('\n'));
}

function printVolumes(volumes: readonly SampleVolume[]): void {
  const rows = volumes.flatMap(({ name, classes }) =>
    classes.map(({ name: className, labelled, predicted, dice }) => [
      ...[name, className, `${labelled.toFixed(1)} ml`, `${predicted.toFixed(1)} ml`, dice?.toFixed(4) ?? ''],
    ]),
  );
  printTable([['volume', 'class', 'label', 'predicted', 'Dice'], ...rows]);
  for (const { name, problem } of volumes) if (problem !== undefined) process.stdout.write(`  ${name}: ${problem}\n`);
  process.stdout.write('\n');
}

/** What one does next. */
function printWayOn(out: string): void {
  process.stdout.write(`report: ${out}\n\n`);
  process.stdout.write(
    'your own images: npx scanline run --data FOLDER; on AWS: npx cdk deploy; all commands: npx scanline --help\n',
  );
}

function printSummary({ results }: Run, out: string): void {
  if (results.task === 'segmentation') {
    printVolumes(results.samples);
    const share = (value: number | undefined) => value?.toFixed(4) ?? '';
    const rows = Object.entries(results.classes).map(([name, { dice, iou }]) => [name, share(dice), share(iou)]);
    printTable([['class', 'Dice', 'IoU'], ...rows]);
    process.stdout.write(`\ndice=${results.dice.toFixed(4)}; mean of the held-out volumes\n`);
    printWayOn(out);
    return;
  }
  const rows = results.samples.map(({ file, actual, predicted, probability }) => {
    const mark = actual === predicted ? '✓' : '✗';
    return [file, actual, predicted, `${(probability * 100).toFixed(1)}%`.padStart(6), mark];
  });
  printTable([['image', 'label', 'predicted', '', ''], ...rows]);
  process.stdout.write(`\naccuracy=${results.accuracy.toFixed(4)}; on the held-out images\n`);
  printWayOn(out);
}

/** @throws OperationError when the pipeline fails, with the reason and where to read on */
export async function runLocally(options: LocalRunOptions): Promise<void> {
  const run = {} as Run;
  // before anything else is done
  if (options.executor === 'container') findContainerTool('run');
  // who ends the run ends the execution: the next run begins its own
  const stop = async (signal: NodeJS.Signals) => {
    if (run.executionArn !== undefined)
      await run.client
        .send(new StopPipelineExecutionCommand({ PipelineExecutionArn: run.executionArn }))
        .catch(() => {});
    await run.plane?.close();
    process.exit(128 + constants.signals[signal]);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, stop);
  const tasks = new Listr(
    withLines([
      { title: 'Synthesise the app', task: () => synthesiseApp(run, options) },
      imagesTask(run, options),
      { title: 'Start SageMaker on this machine, and the pipeline', task: () => startPipeline(run, options) },
      {
        title: 'Pipeline',
        task: (_context, task) => task.newListr(withLines(followSteps(run)), { concurrent: true, exitOnError: false }),
      },
      { title: 'Outcome', task: () => requireSuccess(run) },
      { title: 'Deploy the model to an endpoint', task: () => deploy(run) },
      { title: 'Ask the endpoint about what was held out', task: () => askEndpoint(run) },
      { title: 'Report', task: () => writeReport(run, options.out) },
      { title: 'Take the endpoint away', task: () => deleteEndpoint(run.client, run.endpoint) },
    ]),
    // signals are handled above; Listr's own handler would end this process before its jobs have ended
    {
      renderer: LIVE ? 'default' : 'silent',
      rendererOptions: { collapseSubtasks: false },
      registerSignalListeners: false,
    },
  );
  try {
    await tasks.run();
    printSummary(run, options.out);
  } catch (error) {
    throw explainRefusal(error);
  } finally {
    await run.plane?.close();
  }
}
