// How much of everything SageMaker takes.
import type { StepDefinition } from '../definition';
import type { Finding } from '../errors';
import { type Context, fields, inStep, isPlaceholder, list } from './context';

/**
 * The quota "Maximum number of steps allowed per pipeline", which AWS raises on request; an account's own is what
 * `aws service-quotas get-service-quota --service-code sagemaker --quota-code L-729F2471` tells. The API's model has no such limit
 * (only that of SelectedSteps is 50, too), so that it is a warning. https://docs.aws.amazon.com/general/latest/gr/sagemaker.html
 */
const MOST_STEPS = 50;
/** PipelineParameters of https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StartPipelineExecution.html */
const MOST_PARAMETERS = 200;
/** Bytes: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreatePipeline.html */
const LONGEST_DEFINITION = 1_048_576;

interface MapLimit {
  readonly entries: number;
  readonly key: number;
  readonly value: number;
}

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html */
const HYPERPARAMETERS: MapLimit = { entries: 100, key: 256, value: 2500 };

/** Of Environment, by the type of step: API_CreateTrainingJob, API_CreateProcessingJob and API_CreateTransformJob. */
const ENVIRONMENTS: Readonly<Record<string, MapLimit>> = {
  Training: { entries: 100, key: 512, value: 512 },
  Tuning: { entries: 100, key: 512, value: 512 },
  Processing: { entries: 100, key: 256, value: 256 },
  QualityCheck: { entries: 100, key: 256, value: 256 },
  ClarifyCheck: { entries: 100, key: 256, value: 256 },
  Transform: { entries: 16, key: 1024, value: 10_240 },
};

/**
 * Lists: API_CreateTrainingJob (Tags, InputDataConfig), API_AlgorithmSpecification (MetricDefinitions), API_VpcConfig,
 * API_CreateProcessingJob and API_ProcessingOutputConfig, API_CreateHyperParameterTuningJob and its WarmStartConfig.
 */
const LISTS: Readonly<Record<string, number>> = {
  Tags: 50,
  InputDataConfig: 20,
  MetricDefinitions: 40,
  SecurityGroupIds: 5,
  Subnets: 16,
  ProcessingInputs: 10,
  Outputs: 10,
  TrainingJobDefinitions: 10,
  ParentHyperParameterTuningJobs: 5,
};

function checkMap(step: StepDefinition, path: string, value: unknown, limit: MapLimit): Finding[] {
  const entries = Object.entries(fields(value));
  const findings: Finding[] = [];
  if (entries.length > limit.entries)
    findings.push(
      inStep(
        step,
        `its ${path} has ${entries.length} entries, and may have ${limit.entries}.`,
        'put them into a file in an input channel.',
      ),
    );
  for (const [key, entry] of entries) {
    if (key.length > limit.key)
      findings.push(
        inStep(
          step,
          `its ${path} has a name of ${key.length} characters: ${key.slice(0, 40)}…`,
          `use up to ${limit.key}.`,
        ),
      );
    if (typeof entry === 'string' && entry.length > limit.value && !isPlaceholder(entry))
      findings.push(
        inStep(step, `its ${path}.${key.slice(0, 40)} has ${entry.length} characters.`, `use up to ${limit.value}.`),
      );
  }
  return findings;
}

function checkPart(step: StepDefinition, value: unknown, path: string, findings: Finding[]): void {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    const entry = (value as Record<string, unknown>)[key];
    if (typeof entry !== 'object' || key === 'IfSteps' || key === 'ElseSteps') continue;
    const at = path === '' ? key : `${path}.${key}`;
    const environment = key === 'Environment' ? ENVIRONMENTS[step.Type] : undefined;
    const limit = key === 'HyperParameters' || key === 'StaticHyperParameters' ? HYPERPARAMETERS : environment;
    const most = LISTS[key];
    if (limit) findings.push(...checkMap(step, at, entry, limit));
    else if (most !== undefined && list(entry).length > most)
      findings.push(
        inStep(step, `its ${at} has ${list(entry).length} entries, and may have ${most}.`, 'leave some out.'),
      );
    checkPart(step, entry, at, findings);
  }
}

export function checkLimits({ all, parameters, definition }: Context): Finding[] {
  const findings: Finding[] = [];
  for (const step of all) checkPart(step, step.Arguments, '', findings);
  const where = 'the pipeline';
  if (all.length > MOST_STEPS)
    findings.push({
      where,
      problem: `it has ${all.length} steps, and by default SageMaker takes ${MOST_STEPS}.`,
      fix: 'ask AWS for more of the quota L-729F2471 (Service Quotas, Amazon SageMaker), or divide the pipeline.',
      severity: 'warning',
    });
  if (parameters.size > MOST_PARAMETERS)
    findings.push({
      where,
      problem: `it has ${parameters.size} parameters, and may have ${MOST_PARAMETERS}.`,
      fix: 'put some of them into a file that the steps read.',
    });
  const bytes = Buffer.byteLength(JSON.stringify(definition));
  if (bytes > LONGEST_DEFINITION)
    findings.push({
      where,
      problem: `its definition has ${bytes} bytes, and may have ${LONGEST_DEFINITION}.`,
      fix: 'divide the pipeline, or move long arguments into files.',
    });
  return findings;
}
