// Training against the contract: a run that succeeds, one that fails, one that is stopped and begun again.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Findings } from './points';
import { baseOf, type Ended, filesBelow, inSeconds, Run, type Subject, wait } from './subject';

export interface TrainingMaterial {
  /** Holds a folder for each channel. */
  readonly channels: string;
  readonly hyperparameters: Readonly<Record<string, string>>;
  /** Hyperparameters that make a training fail. @default the channels are empty instead */
  readonly failing?: Readonly<Record<string, string>> | undefined;
}

/** Longest that a training goes on before it is sent SIGTERM, seconds. */
const LATEST_STOP = 60;

/** Seconds between looks for a first checkpoint. */
const INTERVAL = 0.1;

/** Exit status of what SIGKILL ended. */
const KILLED = 137;

const CONFIG_FOLDER = 'input/config';

/** Fills a folder as SageMaker fills /opt/ml for a job. */
function prepare(base: string, { channels, hyperparameters }: TrainingMaterial, withData: boolean): void {
  for (const folder of [CONFIG_FOLDER, 'input/data', 'model', 'output/data', 'checkpoints'])
    mkdirSync(join(base, folder), { recursive: true });
  const names = readdirSync(channels, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of names) {
    mkdirSync(join(base, 'input/data', name));
    if (withData) cpSync(join(channels, name), join(base, 'input/data', name), { recursive: true });
  }
  const hosts = { current_host: 'algo-1', hosts: ['algo-1'] };
  const group = { instance_group_name: 'homogeneousCluster', instance_type: 'ml.m5.xlarge', hosts: ['algo-1'] };
  const channel = { TrainingInputMode: 'File', S3DistributionType: 'FullyReplicated', RecordWrapperType: 'None' };
  const files = {
    hyperparameters,
    resourceconfig: {
      ...{ ...hosts, current_group_name: group.instance_group_name, current_instance_type: group.instance_type },
      ...{ instance_groups: [group], network_interface_name: 'eth0' },
    },
    inputdataconfig: Object.fromEntries(names.map(({ name }) => [name, channel])),
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(base, CONFIG_FOLDER, `${name}.json`), JSON.stringify(content));
}

function start(subject: Subject, name: string): Run {
  const job = `scanline-contract-${name}`;
  return new Run(subject, name, 'train', {
    TRAINING_JOB_NAME: job,
    TRAINING_JOB_ARN: `arn:aws:sagemaker:us-east-1:000000000000:training-job/${job}`,
  });
}

/** What the file failure says; undefined where there is none, or nothing in it. */
function failureIn(base: string): string | undefined {
  const file = join(base, 'output', 'failure');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() || undefined : undefined;
}

const shortened = (text: string) => (text.length > 160 ? `${text.slice(0, 160)}...` : text).replaceAll('\n', ' ');

/** @returns how it ended; undefined where it failed or hung */
async function succeed(subject: Subject, material: TrainingMaterial, findings: Findings): Promise<Ended | undefined> {
  const base = baseOf(subject, 'train');
  prepare(base, material, true);
  const before = filesBelow(base);
  const run = start(subject, 'train');
  const ended = await run.within(subject.limits.training);
  if (ended?.status !== 0) {
    const how = ended ? `ended with ${ended.status}` : `had not ended after ${subject.limits.training} s`;
    findings.tell('training/success', 'fail', `${how}; ${shortened(failureIn(base) ?? run.lastLine())}`);
    return undefined;
  }
  findings.tell('training/success', 'pass', `ended with 0 in ${inSeconds(ended.seconds)}`);
  const model = filesBelow(join(base, 'model')).size;
  findings.judge('training/model', model > 0, model > 0 ? `${model} files` : '/opt/ml/model is empty');
  const failure = failureIn(base);
  findings.judge('training/no-failure', failure === undefined, failure ? `it says: ${shortened(failure)}` : 'none');
  const elsewhere = [...filesBelow(base)]
    .filter(([path, state]) => !/^(model|output|checkpoints)\//.test(path) && before.get(path) !== state)
    .map(([path]) => `/opt/ml/${path}`);
  const some = elsewhere.slice(0, 3).join(', ');
  findings.tell(
    'training/places',
    elsewhere.length === 0 ? 'pass' : 'hint',
    elsewhere.length === 0 ? 'nothing elsewhere below /opt/ml' : `${elsewhere.length} files will be lost: ${some}`,
  );
  return ended;
}

async function failOnce(subject: Subject, material: TrainingMaterial, findings: Findings): Promise<void> {
  const base = baseOf(subject, 'train-failing');
  const { failing } = material;
  prepare(base, { ...material, hyperparameters: { ...material.hyperparameters, ...failing } }, failing !== undefined);
  const what = failing ? JSON.stringify(failing) : 'empty channels';
  const run = start(subject, 'train-failing');
  const ended = await run.within(subject.limits.training);
  if (ended === undefined) {
    findings.tell('training/exit-status', 'fail', `with ${what}: had not ended after ${subject.limits.training} s`);
    return;
  }
  findings.judge('training/exit-status', ended.status !== 0, `with ${what}: ended with ${ended.status}`);
  if (ended.status === 0) return;
  const failure = failureIn(base);
  findings.judge(
    'training/failure-file',
    failure !== undefined,
    failure === undefined ? `none, or empty; ${run.lastLine()}` : `it says: ${shortened(failure)}`,
  );
}

/** Waits until a training has something to lose: its first checkpoint, or half the time that it took undisturbed. */
async function untilUnderWay(run: Run, base: string, undisturbed: Ended): Promise<void> {
  const latest = performance.now() + 1000 * Math.min(undisturbed.seconds / 2, LATEST_STOP);
  while (!run.ended && performance.now() < latest && filesBelow(join(base, 'checkpoints')).size === 0)
    await wait(INTERVAL);
}

async function stopAndResume(
  subject: Subject,
  material: TrainingMaterial,
  undisturbed: Ended,
  findings: Findings,
): Promise<void> {
  const { trainingGrace, training } = subject.limits;
  const base = baseOf(subject, 'train-stopped');
  prepare(base, material, true);
  const first = start(subject, 'train-stopped');
  await untilUnderWay(first, base, undisturbed);
  if (first.ended) {
    const reason = `it had ended, with ${first.ended.status}, before it could be stopped; give more data or epochs`;
    findings.tell('training/sigterm', 'skipped', reason);
    return;
  }
  const { status, seconds } = await first.stop(trainingGrace);
  const killed = status === KILLED && seconds >= trainingGrace;
  const how = killed
    ? `still ran ${trainingGrace} s after SIGTERM`
    : `ended with ${status} after ${inSeconds(seconds)}`;
  findings.judge('training/sigterm', !killed, how);
  const checkpoints = filesBelow(join(base, 'checkpoints')).size;
  if (killed) return;
  if (checkpoints === 0) {
    findings.tell('training/checkpoint', 'hint', '/opt/ml/checkpoints is empty after SIGTERM: a spot job starts over');
    return;
  }
  // as SageMaker does: what else was there is gone
  const again = baseOf(subject, 'train-resumed');
  prepare(again, material, true);
  cpSync(join(base, 'checkpoints'), join(again, 'checkpoints'), { recursive: true });
  const second = start(subject, 'train-resumed');
  const ended = await second.within(training);
  const result = ended ? `ended with ${ended.status}` : `had not ended after ${training} s`;
  const tail = ended?.status === 0 ? '' : `; ${shortened(failureIn(again) ?? second.lastLine())}`;
  findings.judge('training/checkpoint', ended?.status === 0, `${checkpoints} files; begun again it ${result}${tail}`);
}

/** @returns the folder of the model that was trained; undefined where there is none */
export async function checkTraining(
  subject: Subject,
  material: TrainingMaterial,
  findings: Findings,
): Promise<string | undefined> {
  const ended = await succeed(subject, material, findings);
  await failOnce(subject, material, findings);
  if (ended) await stopAndResume(subject, material, ended, findings);
  findings.skipRest('training', ended ? 'what it follows from did not hold' : 'no training succeeded');
  return ended && join(baseOf(subject, 'train'), 'model');
}
