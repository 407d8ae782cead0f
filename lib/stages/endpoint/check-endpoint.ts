// What SageMaker would refuse of an endpoint, or what would fail when it is asked, found at synth: all at once.
import { Token } from 'aws-cdk-lib';
import type { Finding, Text } from '../../pipeline';
import { checkNetwork } from '../access/network';
import { checkS3Uri, checkSeconds, checkTags, checkWhole, type Refuse, refusal, secondsOf } from '../checks/checks';
import { knownText } from '../checks/known-text';
import { credentialsIn } from '../training/credentials';
import { checkVariants, NAME } from './check-variants';
import {
  DEFAULT_INTERVAL,
  type EndpointModel,
  type EndpointSettings,
  type EndpointUpdate,
  initialCount,
  isModelData,
  isModelPackage,
  STEP_PERCENT,
  type VariantSettings,
} from './endpoint-settings';

/** A variant whose model may be known only later. */
export type CheckedVariant = VariantSettings & { readonly model?: EndpointModel };

/** Endpoints take shorter ones than jobs do. */
function checkShortS3Uri(prop: string, uri: Text | undefined, refuse: Refuse): void {
  checkS3Uri(prop, uri, refuse);
  const { length } = knownText(uri) ?? '';
  if (length > 512) refuse(prop, `${length} characters`, '512', 'give a shorter prefix');
}

/** Up to 10 of each, as the API writes them. */
function checkContentTypes(prop: string, types: readonly string[] = [], refuse: Refuse): void {
  if (types.length > 10) refuse(prop, `${types.length} of them`, '10', 'leave some out');
  for (const type of types) {
    if (/^[a-zA-Z0-9](-*[a-zA-Z0-9])*\/[a-zA-Z0-9](-*[a-zA-Z0-9.])*$/.test(type)) continue;
    refuse(prop, `'${type}'`, 'content types, e.g. text/csv', 'write it so');
  }
}

function checkCapture(settings: EndpointSettings, refuse: Refuse): void {
  const { capture } = settings;
  if (!capture) return;
  const { percentage, modes = ['Input', 'Output'], destination } = capture;
  checkWhole('capture.percentage', percentage, [0, 100], refuse);
  const known = ['Input', 'Output', 'InputAndOutput'];
  const wrong = modes.filter((mode, index) => !known.includes(mode) || modes.indexOf(mode) !== index);
  if (modes.length === 0 || wrong.length > 0) {
    const given = modes.length === 0 ? 'empty' : wrong.join(', ');
    refuse('capture.modes', given, 'Input, Output and InputAndOutput, each once', 'leave modes out for both');
  }
  checkShortS3Uri('capture.destination', destination, refuse);
  if (destination === undefined && !settings.bucket) {
    refuse('capture.destination', 'neither given nor in a bucket', 'an S3 URI', 'set capture.destination or bucket');
  }
  checkContentTypes('capture.csvContentTypes', capture.csvContentTypes, refuse);
  checkContentTypes('capture.jsonContentTypes', capture.jsonContentTypes, refuse);
}

function checkAsync(settings: EndpointSettings, refuse: Refuse): void {
  const { async } = settings;
  if (!async) return;
  checkShortS3Uri('async.output', async.output, refuse);
  checkShortS3Uri('async.failure', async.failure, refuse);
  if (async.output === undefined && !settings.bucket) {
    refuse('async.output', 'neither given nor in a bucket', 'an S3 URI', 'set async.output or bucket');
  }
  checkWhole('async.maxConcurrentInvocations', async.maxConcurrentInvocations, [1, 1000], refuse);
}

/** Per cent that one step may take, by the strategy. */
const STEPS = { Canary: [1, 50], Linear: [10, 50], Rolling: [5, 50] } as const;

function checkStep(variants: readonly VariantSettings[], settings: EndpointSettings, refuse: Refuse): void {
  const { strategy = 'AllAtOnce', stepSize, stepUnit = 'CAPACITY_PERCENT' } = settings.update ?? {};
  if (strategy === 'AllAtOnce') {
    for (const name of ['stepSize', 'stepUnit'] as const) {
      if (settings.update?.[name] === undefined) continue;
      const fix = `leave ${name} out, or set update.strategy`;
      refuse(`update.${name}`, 'given with AllAtOnce', 'it with Canary, Linear and Rolling', fix);
    }
    return;
  }
  const counts = variants.filter(({ serverless }) => !serverless).map((variant) => initialCount(variant, settings));
  const fewest = Math.min(...counts);
  // a step is at least one instance: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TrafficRoutingConfig.html
  if (fewest < 2) {
    const fix = 'set initialInstanceCount to 2 or more, or use AllAtOnce, which has the alarms too';
    refuse('update.strategy', `${strategy} with ${fewest} instance`, 'it where a step is at most half of them', fix);
    return;
  }
  if (stepUnit === 'CAPACITY_PERCENT') {
    checkWhole('update.stepSize', stepSize ?? STEP_PERCENT, STEPS[strategy], refuse);
    return;
  }
  if (stepSize === undefined) {
    refuse('update.stepSize', 'left out with INSTANCE_COUNT', 'a number of instances', 'set update.stepSize');
    return;
  }
  checkWhole('update.stepSize', stepSize, [1, Infinity], refuse);
  if (stepSize > fewest / 2) {
    const fix = 'lower it, raise initialInstanceCount, or use AllAtOnce';
    refuse('update.stepSize', `${stepSize} instances of ${fewest}`, 'at most half of them', fix);
  }
}

/** Seconds. */
const LEAST_EXECUTION_TIME = 600;

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_BlueGreenUpdatePolicy.html */
function checkExecutionTime({ interval, terminationWait, maxExecutionTime }: EndpointUpdate, refuse: Refuse): void {
  const most = maxExecutionTime && secondsOf(maxExecutionTime);
  const waits = [interval ?? DEFAULT_INTERVAL, terminationWait].map((wait) => (wait ? secondsOf(wait) : 0));
  if (most === undefined || waits.includes(undefined)) return;
  const waited = (waits as number[]).reduce((sum, seconds) => sum + seconds, 0);
  // what is less than the least is refused as such
  if (most > waited || most < LEAST_EXECUTION_TIME) return;
  const given = `${most} seconds, with ${waited} of interval and terminationWait`;
  refuse('update.maxExecutionTime', given, 'more than both together', 'raise it, or lower the waits');
}

function checkUpdate(variants: readonly VariantSettings[], settings: EndpointSettings, refuse: Refuse): void {
  const { update } = settings;
  if (!update) return;
  const { strategy = 'AllAtOnce', rollbackAlarms } = update;
  checkStep(variants, settings, refuse);
  checkSeconds('update.interval', update.interval, [0, 3600], refuse);
  checkSeconds('update.terminationWait', update.terminationWait, [0, 3600], refuse);
  checkSeconds('update.maxExecutionTime', update.maxExecutionTime, [LEAST_EXECUTION_TIME, 28_800], refuse);
  checkExecutionTime(update, refuse);
  if (rollbackAlarms && (rollbackAlarms.length < 1 || rollbackAlarms.length > 10)) {
    const fix = 'give that many, or false for none';
    refuse('update.rollbackAlarms', `${rollbackAlarms.length} of them`, '1 to 10', fix);
  }
  if (rollbackAlarms === undefined && !settings.async && variants.length > 5) {
    const fix = 'choose up to 10 of them, made by alarmErrorRate and alarmLatency, or false for none';
    refuse('update.rollbackAlarms', `two for each of ${variants.length} variants`, '10', fix);
  }
  // https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
  const inferentia = variants.find(({ instanceType }) => /^ml\.inf1\./.test(knownText(instanceType) ?? ''));
  if (inferentia) {
    const fix = 'leave update out; the endpoint moves all at once';
    refuse('update', `given with ${inferentia.instanceType}`, 'none with Inf1 instances', fix);
  }
  if (strategy !== 'Rolling') return;
  if (update.terminationWait) {
    const fix = 'leave terminationWait out';
    refuse('update.terminationWait', 'given with Rolling', 'it where new instances stand beside the old ones', fix);
  }
  if (variants.length > 1 || variants.some(({ serverless }) => serverless)) {
    const given =
      variants.length > 1 ? `Rolling with ${variants.length} variants` : 'Rolling with a serverless variant';
    refuse('update.strategy', given, 'Rolling with one variant on instances', 'use AllAtOnce, Canary or Linear');
  }
}

function checkModel(prop: string, model: EndpointModel, settings: EndpointSettings, refuse: Refuse): void {
  if (isModelPackage(model)) {
    const arn = knownText(model.modelPackageArn);
    if (arn !== undefined && !/^arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:\d{12}:model-package\/.+/.test(arn)) {
      const allowed = 'the ARN of a model package';
      refuse(`${prop}.modelPackageArn`, `'${arn}'`, allowed, 'give arn:aws:sagemaker:REGION:ACCOUNT:model-package/...');
    }
    return;
  }
  if (!isModelData(model)) return;
  checkShortS3Uri(`${prop}.modelData`, model.modelData, refuse);
  for (const [name, value] of Object.entries(model.environment ?? {})) {
    for (const { kind } of credentialsIn(`${name}=${knownText(value) ?? ''}`)) {
      const fix = 'read it from Secrets Manager inside the container';
      refuse(`${prop}.environment.${name}`, kind, 'no credentials', fix);
    }
  }
  if (!settings.role && !settings.bucket && knownText(model.modelData) === undefined) {
    refuse(`${prop}.modelData`, 'known only later', 'an S3 URI that the role is let read', 'set bucket, or role');
  }
}

function checkRole(variants: readonly CheckedVariant[], settings: EndpointSettings, refuse: Refuse): void {
  const models = [...variants, ...(settings.shadow ? [settings.shadow] : [])].map(({ model }) => model);
  // undefined: the model package that is approved later
  const hidden = models.some((model) => model === undefined || isModelPackage(model));
  if (!settings.role && !settings.bucket && hidden) {
    const fix = 'set bucket to the one that has the models, or role to one that may read them';
    refuse('role', 'neither given nor known where models lie', 'a role, or a bucket for one that is made', fix);
  }
}

/**
 * What is wrong with an endpoint, all at once.
 *
 * @param where the endpoint and its construct path
 */
export function checkEndpoint(
  where: string,
  settings: EndpointSettings,
  variants: readonly CheckedVariant[],
): Finding[] {
  const findings: Finding[] = [];
  const refuse: Refuse = (...details) => findings.push(refusal(where, ...details));
  const { endpointName } = settings;
  if (endpointName !== undefined && !Token.isUnresolved(endpointName) && !NAME.test(endpointName)) {
    const allowed = '1 to 63 letters, digits and hyphens, no hyphen first or last';
    refuse('endpointName', `'${endpointName}'`, allowed, 'give it another name');
  }
  checkVariants(variants, settings, refuse);
  variants.forEach(({ model }, index) => {
    if (model) checkModel(`variants[${index}].model`, model, settings, refuse);
  });
  if (settings.shadow) checkModel('shadow.model', settings.shadow.model, settings, refuse);
  checkCapture(settings, refuse);
  checkAsync(settings, refuse);
  checkUpdate(variants, settings, refuse);
  checkNetwork(settings, refuse);
  checkRole(variants, settings, refuse);
  checkTags(settings.tags, refuse);
  return findings;
}
