// Names and ARNs of the account that the local control plane is.
import { randomBytes } from 'node:crypto';
import { invalid, ServiceError } from './errors';

/** The region that all ARNs here name. */
export const REGION = 'us-east-1';
/** The account that all ARNs here name. */
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

/** SageMaker's pattern for the names of its resources. */
const NAME = /^[a-zA-Z0-9](-*[a-zA-Z0-9])*$/;

/** SageMaker's pattern for the names of channels, which are folders: those of dots alone would be other folders. */
const CHANNEL_NAME = /^(?!\.+$)[A-Za-z0-9._-]{1,64}$/;

/** The name of what is to be created: it becomes a file's and a folder's. @param longest in characters */
export function requireName(kind: string, name: string | undefined, longest = 63): string {
  if (!name) throw invalid(`the request lacks the name of the ${kind}`);
  // the length first: the pattern bounds no run of hyphens
  if (typeof name !== 'string' || name.length > longest || !NAME.test(name))
    throw invalid(
      `the name of the ${kind} is '${name}'; allowed are 1 to ${longest} letters, digits and hyphens, the first and the last no hyphen`,
    );
  return name;
}

export function requireChannelName(name: string | undefined): string {
  if (typeof name !== 'string' || !CHANNEL_NAME.test(name))
    throw invalid(
      `the name of a channel is '${name}'; allowed are 1 to 64 letters, digits, dots, hyphens and underscores, not dots alone`,
    );
  return name;
}

/** What a path of a container is below /opt/ml, the only folder of it that a job shares. */
export function insideOptMl(path: string): string {
  const [, inside] = /^\/opt\/ml(|\/.*)$/s.exec(path) ?? [];
  if (inside === undefined || inside.split('/').includes('..'))
    throw invalid(`the LocalPath '${path}' is not in /opt/ml; write it as /opt/ml/processing/name, without '..'`);
  return inside;
}

/** Letters and digits that no other resource has. */
export function unique(length: number): string {
  return randomBytes(length).toString('hex').slice(0, length);
}
