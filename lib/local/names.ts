// Names and ARNs of the account that the local control plane is.
import { randomBytes } from 'node:crypto';
import { ServiceError } from './errors';

export const REGION = 'us-east-1';
export const ACCOUNT = '000000000000';

/** The ARN of a SageMaker resource. */
export function arn(kind: string, name: string): string {
  return `arn:aws:sagemaker:${REGION}:${ACCOUNT}:${kind}/${name}`;
}

/** The name in an ARN; a name as it is. */
export function nameOf(nameOrArn: string | undefined): string {
  if (!nameOrArn) throw new ServiceError('ValidationException', 'the request lacks the name of what it is about');
  return nameOrArn.startsWith('arn:') ? nameOrArn.slice(nameOrArn.indexOf('/') + 1) : nameOrArn;
}

/** Letters and digits that no other resource has. */
export function unique(length: number): string {
  return randomBytes(length).toString('hex').slice(0, length);
}
