// Which instance types have local disks: they are encrypted by their hardware, and SageMaker takes no key for them.
import type { Text } from '../../pipeline';
import { knownText } from './known-text';

/**
 * Families with local disks, which take no volume key: their names have a d after the generation, or they are among the
 * accelerated ones that always have disks. https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-store-volumes.html
 */
const LOCAL_DISKS = /^ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g4dn|g5|g6|g6e|g7e|p3dn|p5|p5e|p5en|p6-b\d+|trn1|trn1n|trn2)\./;

/** Whether an instance type has local disks, as far as that is known at synth. */
export function hasLocalDisks(instanceType: Text | undefined): boolean {
  return LOCAL_DISKS.test(knownText(instanceType ?? 'ml.g5.xlarge') ?? '');
}
