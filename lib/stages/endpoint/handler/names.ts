// What a configuration is called, which version it serves, and whether SageMaker knows a name.
import { createHash } from 'node:crypto';
import type { Deployment } from './deployment';

/** The version at the end of a model package's ARN. */
export function versionIn(arn: string | undefined): number | undefined {
  const version = /\/(\d+)$/.exec(arn ?? '')?.[1];
  return version === undefined ? undefined : Number(version);
}

/** The same version under the same settings has the same name, which is what makes it safe to be woken twice. */
export function configName({ prefix, model, config }: Deployment, version: number): string {
  const digest = createHash('sha256').update(JSON.stringify({ model, config })).digest('hex').slice(0, 8);
  return `${prefix}-${version}-${digest}`;
}

/** The version that a configuration of ours serves; undefined for others. */
export function versionOfConfig({ prefix }: Deployment, name: string | undefined): number | undefined {
  if (!name?.startsWith(`${prefix}-`)) return undefined;
  const version = /^(\d+)-[0-9a-f]{8}$/.exec(name.slice(prefix.length + 1))?.[1];
  return version === undefined ? undefined : Number(version);
}

/** What SageMaker answers when it does not know a name. */
const UNKNOWN = new Set(['ValidationException', 'ResourceNotFound']);

/** Undefined where SageMaker does not know it. */
export async function ifKnown<Value>(described: Promise<Value>): Promise<Value | undefined> {
  return described.catch((error: Error) => {
    if (UNKNOWN.has(error.name)) return undefined;
    throw error;
  });
}
