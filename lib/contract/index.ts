// The contract test kit: runs any container that SageMaker is to train or serve with, and tells what it breaks of SageMaker's contract.
import { checkImage, type ImageDescription } from './image';
import { type Finding, Findings } from './points';
import { checkServing, type ServingMaterial } from './serving';
import { LIMITS, type Limits, type Subject } from './subject';
import { checkTraining, type TrainingMaterial } from './training';

export type { ImageDescription } from './image';
export type { Finding, Point, PointId, Verdict } from './points';
export { POINTS } from './points';
export type { ServingMaterial } from './serving';
export type { Limits } from './subject';
export type { TrainingMaterial } from './training';

export interface ContractOptions extends Omit<Subject, 'limits'> {
  readonly parts?: readonly ('training' | 'serving')[];
  /** @default the training points are skipped */
  readonly training?: TrainingMaterial | undefined;
  /** @default the model that was trained, and no good request */
  readonly serving?: ServingMaterial | undefined;
  /** What the image says of itself. @default those points are skipped */
  readonly description?: ImageDescription | undefined;
  /** @default SageMaker's */
  readonly limits?: Partial<Limits>;
  /** Told of each finding when it is known. */
  readonly onFinding?: (finding: Finding) => void;
}

/**
 * Runs a container against SageMaker's contract for training and serving.
 *
 * @returns a finding for each point, in order
 */
export async function testContract({
  parts = ['training', 'serving'],
  training,
  serving = {},
  description,
  limits,
  onFinding,
  ...given
}: ContractOptions): Promise<Finding[]> {
  const subject: Subject = { ...given, limits: { ...LIMITS, ...limits } };
  const findings = new Findings(onFinding);
  if (description) checkImage(description, findings);
  findings.skipRest('image', 'a folder of commands is no image');
  let trained: string | undefined;
  if (!parts.includes('training')) findings.skipRest('training', 'not asked for');
  else if (training === undefined) findings.skipRest('training', 'no channels were given (--data)');
  else trained = await checkTraining(subject, training, findings);
  if (!parts.includes('serving')) findings.skipRest('serving', 'not asked for');
  else await checkServing(subject, { ...serving, model: serving.model ?? trained }, findings);
  return findings.list();
}

/** Whether a finding is that of a broken contract. */
export const isBroken = ({ verdict }: Finding) => verdict === 'fail';
