// The container contract of SageMaker: where a job finds its input and leaves its output.
// https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PartFolders } from './data/image-folders';
import { UserError } from './errors';
import { explain } from './faults';
import { CHANNEL_NAMES, WHOLE_CHANNELS } from './hyperparameters';

/** The folder that is /opt/ml in a container; elsewhere SAGEMAKER_BASE_DIR names it, as in AWS's own toolkits. */
export function baseFolder(): string {
  return process.env.SAGEMAKER_BASE_DIR ?? '/opt/ml';
}

/** A path as a container knows it, where it really lies: below the base folder. */
export function inBase(path: string): string {
  return path === '/opt/ml' || path.startsWith('/opt/ml/') ? join(baseFolder(), path.slice('/opt/ml'.length)) : path;
}

/** What a training job is given and where its results go. */
export interface TrainingEnvironment {
  readonly hyperparametersFile: string;
  readonly folders: PartFolders;
  readonly modelDir: string;
  readonly outputDir: string;
  /** Kept by SageMaker across interruptions, where the job has a checkpoint configuration. */
  readonly checkpointDir?: string;
  /** What SageMaker copies to S3 while the job runs, where it has a TensorBoardOutputConfig. */
  readonly tensorBoardDir?: string;
}

function channels(): Map<string, string> {
  const folder = join(process.env.SM_INPUT_DIR ?? join(baseFolder(), 'input'), 'data');
  const found = existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
    : [];
  const named = Object.entries(process.env).flatMap(([name, value]) =>
    name.startsWith('SM_CHANNEL_') && value ? [[name.slice('SM_CHANNEL_'.length).toLowerCase(), value] as const] : [],
  );
  return new Map([...found.map(({ name }) => [name, join(folder, name)] as const), ...named]);
}

/** A file of /opt/ml/input/config; undefined where there is none. */
function readConfig<Content>(name: string): Content | undefined {
  const file = join(process.env.SM_INPUT_CONFIG_DIR ?? join(baseFolder(), 'input', 'config'), `${name}.json`);
  if (!existsSync(file)) return undefined;
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new UserError(
      `${file} is not JSON: ${(error as Error).message}`,
      'see what wrote it; SageMaker writes it itself.',
    );
  }
}

/** The hosts in SM_HOSTS, as AWS's toolkits set it. */
function hostsOfEnvironment(): string[] | undefined {
  const text = process.env.SM_HOSTS;
  if (!text) return undefined;
  try {
    const hosts = JSON.parse(text);
    if (Array.isArray(hosts)) return hosts;
  } catch {
    // told below
  }
  throw new UserError(
    `SM_HOSTS is '${text}'; it is a JSON list of hosts, e.g. ["algo-1"].`,
    'mend it, or leave it out.',
  );
}

/** @throws UserError when the job has several instances: the trainer does not share its work yet */
function requireOneInstance(): void {
  const hosts = hostsOfEnvironment() ?? readConfig<{ hosts?: string[] }>('resourceconfig')?.hosts ?? [];
  if (hosts.length <= 1) return;
  throw new UserError(
    `the job has ${hosts.length} instances; this trainer runs on one.`,
    'set instance_count to 1, and choose a larger instance type for more speed.',
  );
}

/** @throws UserError when a channel is a pipe: the trainer reads images in any order, and again in each epoch */
function requireFiles(): void {
  const channels = readConfig<Record<string, { TrainingInputMode?: string }>>('inputdataconfig') ?? {};
  const pipes = Object.keys(channels).filter((name) => channels[name]?.TrainingInputMode === 'Pipe');
  if (pipes.length === 0) return;
  throw new UserError(
    `the input mode of the channels ${pipes.join(', ')} is Pipe; this trainer reads files, in any order.`,
    'set the input mode to File or FastFile.',
  );
}

/** @throws UserError when the job brings a program of its own, which would be left out without a word */
function requireNoProgram(): void {
  const { sagemaker_program: program } = readConfig<Record<string, unknown>>('hyperparameters') ?? {};
  if (program === undefined) return;
  throw new UserError(
    `the job brings a program (sagemaker_program is ${program}); this image trains by hyperparameters alone.`,
    'run it on the image scanline/script-mode, or leave sagemaker_program out.',
  );
}

/** What a tuning adds to the hyperparameters of its jobs. */
const TUNING_MARK = '"_tuning_objective_metric"';

/**
 * Where checkpoints are kept, if anywhere. All jobs of a tuning share one checkpoint configuration: each has a folder in it by its
 * name, which it keeps when it is begun again, so that none goes on from the checkpoint of another.
 */
function checkpointFolder(base: string, hyperparametersFile: string): string | undefined {
  const checkpoints = join(base, 'checkpoints');
  if (!existsSync(checkpoints)) return undefined;
  const { TRAINING_JOB_NAME: job } = process.env;
  const tuned = existsSync(hyperparametersFile) && readFileSync(hyperparametersFile, 'utf8').includes(TUNING_MARK);
  if (!job || !tuned) return checkpoints;
  const own = join(checkpoints, job);
  mkdirSync(own, { recursive: true });
  return own;
}

/**
 * What SageMaker gives a training job: the files of /opt/ml, and the SM_* variables of AWS's toolkits, which win over them.
 *
 * @throws UserError when the job has several instances, a channel that is a pipe, or a program of its own
 */
export function trainingEnvironment(): TrainingEnvironment {
  requireOneInstance();
  requireFiles();
  requireNoProgram();
  const given = channels();
  const pick = (names: readonly string[]) => names.map((name) => given.get(name)).find((path) => path !== undefined);
  const base = baseFolder();
  const hyperparametersFile = join(base, 'input', 'config', 'hyperparameters.json');
  const checkpointDir = checkpointFolder(base, hyperparametersFile);
  const { TENSORBOARD_LOG_DIR: tensorBoardDir } = process.env;
  return {
    hyperparametersFile,
    folders: {
      data: pick(WHOLE_CHANNELS),
      train: pick(CHANNEL_NAMES.train),
      valid: pick(CHANNEL_NAMES.valid),
      test: pick(CHANNEL_NAMES.test),
    },
    modelDir: process.env.SM_MODEL_DIR ?? join(base, 'model'),
    outputDir: process.env.SM_OUTPUT_DATA_DIR ?? join(base, 'output', 'data'),
    ...(checkpointDir !== undefined && { checkpointDir }),
    ...(tensorBoardDir && { tensorBoardDir: inBase(tensorBoardDir) }),
  };
}

/** Leaves the reason of a failure where SageMaker reads it; it shows the first 1,024 characters. */
export function writeFailure(reason: string): void {
  const folder = join(baseFolder(), 'output');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'failure'), reason);
}

/** Prints why an entry point fails, leaves it for SageMaker, and lets the process end with status 1. */
function fail(error: unknown): void {
  const { name, message, stack } = explain(error) as Error;
  const reason = name === 'UserError' ? message : (stack ?? message ?? String(error));
  process.exitCode = 1;
  process.stderr.write(`\n✗ ${reason}\n`);
  try {
    writeFailure(reason);
  } catch (obstacle) {
    process.stderr.write(`✗ the reason cannot be left in the file failure: ${(obstacle as Error).message}\n`);
  }
}

/**
 * Runs an entry point: a failure is printed, left for SageMaker, and ends the process with status 1; so does one that nobody waited for.
 *
 * @param body takes the command line's arguments
 */
export function runEntryPoint(body: (args: readonly string[]) => Promise<void>): void {
  process.once('uncaughtException', (error) => {
    fail(error);
    process.exit();
  });
  body(process.argv.slice(2)).catch(fail);
}
