// What of a training stage's settings is refused at synth, all at once.
import type { Finding } from '../../pipeline';
import { checkNetwork } from '../access/network';
import {
  checkEnvironment,
  checkInstanceType,
  checkRetries,
  checkS3Uri,
  checkSeconds,
  checkTags,
  checkWhole,
  type EnvironmentLimit,
  type Refuse,
  refusals,
  secondsOf,
} from '../checks/checks';
import { knownText } from '../checks/known-text';
import { isFileSystem, isS3 } from './training-channel';
import { DEFAULT_MAX_RUNTIME, type TrainingSettings } from './training-settings';

/** Seconds: 28 days, by the text of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html. */
const LONGEST_RUNTIME = 28 * 86_400;

/** Seconds: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ResourceConfig.html; it was an hour before. */
const LONGEST_KEEP_ALIVE = 21_600;

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html */
const ENVIRONMENT: EnvironmentLimit = { variables: 100, characters: 512 };

function checkTimes(settings: TrainingSettings, refuse: Refuse): void {
  const { spot = false, checkpointUri, maxRuntime = DEFAULT_MAX_RUNTIME, maxWait, keepAlive } = settings;
  const run = secondsOf(maxRuntime);
  checkSeconds('maxRuntime', maxRuntime, [1, LONGEST_RUNTIME, 'from 1 to 28 days'], refuse);
  if (maxWait) {
    const wait = secondsOf(maxWait);
    if (!spot)
      refuse('maxWait', maxWait.toHumanString(), 'it with spot alone', 'set spot to true, or leave maxWait out');
    else if (wait !== undefined && run !== undefined && wait < run) {
      const least = maxRuntime.toHumanString();
      refuse('maxWait', maxWait.toHumanString(), `at least maxRuntime, ${least}`, `set maxWait to ${least} or more`);
    }
  }
  if (spot && checkpointUri === false) {
    const fix = 'leave checkpointUri out for a folder below the output, or give an S3 URI';
    refuse('spot', 'true without a checkpoint', 'spot with a checkpoint, as the job may be interrupted', fix);
  }
  if (keepAlive) {
    if (spot) {
      refuse(
        'keepAlive',
        `${keepAlive.toHumanString()} with spot`,
        'a warm pool without spot',
        'remove one of the two',
      );
    }
    checkSeconds('keepAlive', keepAlive, [1, LONGEST_KEEP_ALIVE, 'from 1 second to 6 hours'], refuse);
  }
}

function checkResources(settings: TrainingSettings, refuse: Refuse): void {
  checkInstanceType('instanceType', settings.instanceType, refuse);
  checkWhole('instanceCount', settings.instanceCount, [1, 10_000], refuse);
  checkWhole('volumeSize', settings.volumeSize, [1, 16_384], refuse);
}

function checkChannels(settings: TrainingSettings, refuse: Refuse): void {
  const { channels, vpc, inputMode = 'File' } = settings;
  const names = Object.keys(channels);
  if (names.length > 20) refuse('channels', `${names.length} of them`, '20', 'put several folders in one channel');
  for (const [name, channel] of Object.entries(channels)) {
    const prop = `channels.${name}`;
    if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
      refuse(prop, 'that name', 'up to 64 letters, digits, ., - and _', 'give it another name');
    }
    if (!isFileSystem(channel)) {
      checkS3Uri(prop, isS3(channel) ? channel.uri : channel, refuse);
      if (isS3(channel) && channel.attributeNames && channel.dataType !== 'AugmentedManifestFile') {
        const fix = 'set dataType to AugmentedManifestFile, or leave attributeNames out';
        refuse(
          `${prop}.attributeNames`,
          channel.attributeNames.join(', '),
          'them with an augmented manifest alone',
          fix,
        );
      }
      continue;
    }
    if (!vpc) {
      const fix = 'set vpc to the network that the file system is in';
      refuse(prop, `the file system ${knownText(channel.fileSystemId) ?? ''} without a VPC`, 'it in a VPC alone', fix);
    }
    if (inputMode !== 'File') {
      const fix = 'set inputMode to File, and give the S3 channels an inputMode of their own';
      refuse(prop, `a file system with inputMode ${inputMode}`, 'File', fix);
    }
    const directory = knownText(channel.directory);
    if (directory !== undefined && !directory.startsWith('/')) {
      refuse(`${prop}.directory`, `'${directory}'`, 'a full path', `begin it with /: /${directory}`);
    }
  }
}

function checkTracking({ tracking, networkIsolation, tensorBoardOutput }: TrainingSettings, refuse: Refuse): void {
  const cut = networkIsolation ? (tracking?.networked ?? []) : [];
  if (cut.length > 0) {
    const fix =
      'set networkIsolation to false, and vpc to a network that leads there and nowhere else; or keep TensorBoard alone';
    refuse('tracking', `${cut.join(' and ')} with networkIsolation`, 'what needs no network', fix);
  }
  if (tracking?.tensorBoardOutput && tensorBoardOutput) {
    refuse('tensorBoardOutput', 'given, and tracking has its own', 'one of them', 'leave out one');
  }
}

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AlgorithmSpecification.html */
function checkMetrics({ metricDefinitions = {} }: TrainingSettings, refuse: Refuse): void {
  const metrics = Object.entries(metricDefinitions);
  if (metrics.length > 40) refuse('metricDefinitions', `${metrics.length} of them`, '40', 'leave some out');
  for (const [name, regex] of metrics) {
    if (regex.length <= 500 && /(?<!\\)\((?!\?:)/.test(regex)) continue;
    const allowed = 'up to 500 characters with a group around the number';
    refuse(`metricDefinitions.${name}`, `'${regex}'`, allowed, `e.g. '${name}=([0-9.]+)'`);
  }
}

/**
 * What is wrong with the settings, all at once.
 *
 * @param where the step and its construct path
 */
export function checkTrainingSettings(where: string, settings: TrainingSettings): Finding[] {
  return refusals(where, (refuse) => {
    checkTimes(settings, refuse);
    checkResources(settings, refuse);
    checkS3Uri('output', settings.output, refuse);
    checkS3Uri('checkpointUri', settings.checkpointUri || undefined, refuse);
    checkChannels(settings, refuse);
    checkNetwork(settings, refuse);
    checkTracking(settings, refuse);
    checkEnvironment(settings.environment, ENVIRONMENT, refuse);
    checkMetrics(settings, refuse);
    checkTags(settings.tags, refuse);
    checkRetries(settings.retry, refuse);
  });
}
