// What SageMaker would refuse of an endpoint's variants: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
import { Token } from 'aws-cdk-lib';
import { checkInstanceType, checkSeconds, checkWhole, type Refuse } from '../checks/checks';
import { knownText } from '../checks/known-text';
import { hasLocalDisks } from '../checks/local-disks';
import {
  DEFAULT_INSTANCE_TYPE,
  DEFAULT_SERVERLESS,
  type EndpointAutoscaling,
  type EndpointSettings,
  initialCount,
  leastCapacity,
  scalingOf,
  type VariantSettings,
  variantNameOf,
} from './endpoint-settings';

export const NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/;

/** Families that burst instead: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-prerequisites.html */
const BURSTABLE = /^ml\.t\d/;

function checkServerless(prop: string, variant: VariantSettings, refuse: Refuse): void {
  const { serverless } = variant;
  if (!serverless) return;
  const { memorySize, maxConcurrency, provisionedConcurrency } = { ...DEFAULT_SERVERLESS, ...serverless };
  if (!Token.isUnresolved(memorySize) && !(memorySize >= 1024 && memorySize <= 6144 && memorySize % 1024 === 0)) {
    refuse(`${prop}.memorySize`, memorySize, '1024 to 6144 MiB in steps of 1024', 'give one of them');
  }
  checkWhole(`${prop}.maxConcurrency`, maxConcurrency, [1, 200], refuse);
  checkWhole(`${prop}.provisionedConcurrency`, provisionedConcurrency, [1, 200], refuse);
  if (
    provisionedConcurrency !== undefined &&
    provisionedConcurrency <= 200 &&
    maxConcurrency >= 1 &&
    provisionedConcurrency > maxConcurrency
  ) {
    const allowed = `at most maxConcurrency, ${maxConcurrency}`;
    refuse(`${prop}.provisionedConcurrency`, provisionedConcurrency, allowed, 'lower it, or raise maxConcurrency');
  }
  for (const name of [
    'instanceType',
    'initialInstanceCount',
    'volumeSize',
    'acceleratorType',
    'inferenceAmiVersion',
    'containerStartupTimeout',
    'modelDownloadTimeout',
  ] as const) {
    if (variant[name] === undefined) continue;
    refuse(`${prop}.${name}`, 'given with serverless', 'it with instances alone', `leave ${name} or serverless out`);
  }
}

function checkInstances(prop: string, variant: VariantSettings, refuse: Refuse): void {
  const { instanceType = DEFAULT_INSTANCE_TYPE, initialInstanceCount, volumeSize, acceleratorType } = variant;
  const type = knownText(instanceType);
  checkInstanceType(`${prop}.instanceType`, instanceType, refuse);
  checkWhole(`${prop}.initialInstanceCount`, initialInstanceCount, [1, Infinity], refuse);
  checkWhole(`${prop}.volumeSize`, volumeSize, [1, 512], refuse);
  if (volumeSize !== undefined && hasLocalDisks(instanceType)) {
    const fix = 'leave volumeSize out, or choose an instance type without disks of its own';
    refuse(`${prop}.volumeSize`, `${volumeSize} with ${type}`, 'none with local disks, which have their size', fix);
  }
  checkSeconds(`${prop}.containerStartupTimeout`, variant.containerStartupTimeout, [60, 3600], refuse);
  checkSeconds(`${prop}.modelDownloadTimeout`, variant.modelDownloadTimeout, [60, 3600], refuse);
  if (acceleratorType !== undefined && !/^ml\.eia[12]\.(medium|large|xlarge)$/.test(acceleratorType)) {
    const allowed = 'ml.eia1 or ml.eia2, medium, large or xlarge';
    refuse(`${prop}.acceleratorType`, `'${acceleratorType}'`, allowed, 'give one, or leave it out');
  }
}

function checkCapacity(
  prop: string,
  variant: VariantSettings,
  autoscaling: EndpointAutoscaling,
  settings: EndpointSettings,
  refuse: Refuse,
): void {
  const { serverless, initialInstanceCount } = variant;
  const least = leastCapacity(autoscaling, settings);
  const { maxCapacity } = autoscaling;
  const zero = settings.async && !serverless;
  checkWhole(`${prop}.minCapacity`, least, [zero ? 0 : 1, Infinity], refuse);
  checkWhole(`${prop}.maxCapacity`, maxCapacity, [1, Infinity], refuse);
  if (least > maxCapacity) {
    refuse(`${prop}.maxCapacity`, maxCapacity, `at least minCapacity, ${least}`, 'raise it, or lower minCapacity');
  }
  const count = initialCount(variant, settings);
  if (initialInstanceCount !== undefined && (count < least || count > maxCapacity)) {
    const fix = 'give one in that range, or leave it out';
    refuse(`${prop}.initialInstanceCount`, count, `from minCapacity, ${least}, to maxCapacity, ${maxCapacity}`, fix);
  }
  if (!serverless) return;
  const { maxConcurrency, provisionedConcurrency } = { ...DEFAULT_SERVERLESS, ...serverless };
  if (provisionedConcurrency === undefined) {
    const allowed = 'it with provisionedConcurrency, which is what is scaled';
    refuse(prop, 'given without provisionedConcurrency', allowed, 'set serverless.provisionedConcurrency');
  }
  if (maxCapacity > maxConcurrency) {
    const allowed = `at most maxConcurrency, ${maxConcurrency}`;
    refuse(`${prop}.maxCapacity`, maxCapacity, allowed, 'lower it, or raise serverless.maxConcurrency');
  }
}

function checkAutoscaling(prop: string, variant: VariantSettings, settings: EndpointSettings, refuse: Refuse): void {
  const { autoscaling, serverless, instanceType = DEFAULT_INSTANCE_TYPE } = variant;
  if (!autoscaling) return;
  const where = `${prop}.autoscaling`;
  checkCapacity(where, variant, autoscaling, settings, refuse);
  if (!serverless && BURSTABLE.test(knownText(instanceType) ?? '')) {
    const fix = 'choose another instance type, or leave autoscaling out';
    refuse(where, `given with ${instanceType}`, 'it with types that do not burst: SageMaker scales no T', fix);
  }
  const { metric, target } = scalingOf(autoscaling, variant, settings);
  const share = metric === 'ProvisionedConcurrencyUtilization';
  if (share !== (serverless !== undefined)) {
    const allowed = serverless ? 'ProvisionedConcurrencyUtilization of a serverless variant' : 'a metric of instances';
    refuse(`${where}.metric`, metric, allowed, 'leave metric out for the one that fits');
  }
  if (metric === 'BacklogPerInstance' && !settings.async) {
    refuse(`${where}.metric`, metric, 'it with an asynchronous endpoint alone', 'set async, or leave metric out');
  }
  if (!(target > 0) || (share && target > 1)) {
    refuse(`${where}.target`, target, share ? 'above 0, at most 1' : 'above 0', 'give one in that range');
  }
  checkSeconds(`${where}.scaleInCooldown`, autoscaling.scaleInCooldown, [0, 86_400], refuse);
  checkSeconds(`${where}.scaleOutCooldown`, autoscaling.scaleOutCooldown, [0, 86_400], refuse);
}

function checkVariant(prop: string, variant: VariantSettings, settings: EndpointSettings, refuse: Refuse): void {
  const name = variantNameOf(variant);
  if (!Token.isUnresolved(name) && !NAME.test(name)) {
    const allowed = '1 to 63 letters, digits and hyphens, no hyphen first or last';
    refuse(`${prop}.variantName`, `'${name}'`, allowed, 'give it another name');
  }
  const { weight = 1 } = variant;
  if (!Token.isUnresolved(weight) && !(weight >= 0 && Number.isFinite(weight))) {
    refuse(`${prop}.weight`, weight, '0 or more', 'give e.g. 1');
  }
  if (variant.serverless) checkServerless(prop, variant, refuse);
  else checkInstances(prop, variant, refuse);
  checkAutoscaling(prop, variant, settings, refuse);
}

function checkTogether(variants: readonly VariantSettings[], settings: EndpointSettings, refuse: Refuse): void {
  const { shadow } = settings;
  if (variants.length < 1 || variants.length > 10) {
    refuse('variants', `${variants.length} of them`, '1 to 10', 'give that many');
  }
  const names = [...variants, ...(shadow ? [shadow] : [])].map(variantNameOf);
  for (const name of new Set(names.filter((one, index) => names.indexOf(one) !== index))) {
    refuse('variantName', `'${name}' more than once`, 'a name of its own for each variant', 'set variantName');
  }
  if (variants.length > 0 && variants.every(({ weight = 1 }) => weight === 0)) {
    refuse('variants', 'of no weight at all', 'one at least that gets requests', 'give one of them a weight above 0');
  }
  if (!shadow) return;
  if (variants.length > 1) {
    const allowed = 'it beside one production variant';
    refuse('shadow', `given beside ${variants.length} variants`, allowed, 'leave the shadow or the others out');
  }
  if (shadow.autoscaling) {
    refuse('shadow.autoscaling', 'given', 'it for production variants', 'set shadow.initialInstanceCount instead');
  }
  if (settings.async) {
    refuse('shadow', 'given with async', 'it with requests that are answered at once', 'leave one of them out');
  }
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html#serverless-endpoints-how-it-works-exclusions */
function checkServerlessEndpoint(
  variants: readonly VariantSettings[],
  settings: EndpointSettings,
  refuse: Refuse,
): void {
  if (![...variants, settings.shadow].some((variant) => variant?.serverless)) return;
  if (variants.length > 1) {
    refuse('variants', `${variants.length} with a serverless one`, 'one alone', 'leave the others or serverless out');
  }
  for (const name of ['vpc', 'networkIsolation', 'capture', 'async', 'shadow'] as const) {
    if (!settings[name]) continue;
    const fix = `leave ${name} out, or give the variant an instanceType instead of serverless`;
    refuse(name, 'given with a serverless variant', 'it with instances alone', fix);
  }
}

export function checkVariants(variants: readonly VariantSettings[], settings: EndpointSettings, refuse: Refuse): void {
  variants.forEach((variant, index) => {
    checkVariant(`variants[${index}]`, variant, settings, refuse);
  });
  if (settings.shadow) checkVariant('shadow', settings.shadow, settings, refuse);
  checkTogether(variants, settings, refuse);
  checkServerlessEndpoint(variants, settings, refuse);
}
