// Pushes images to Amazon ECR, and says by which digest they are there.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ContainerTool, imageId, runTool } from '../../local/jobs/container-tool';
import { OperationError } from '../errors';
import { ecrCredentials, ensureRepository, taggedDigest, withCredentials } from './registry';

export interface PushOptions {
  readonly tool: ContainerTool;
  /** As this machine has it. */
  readonly image: string;
  readonly region: string;
  /** The repository's name. @default the image's name without registry and tag */
  readonly repository?: string | undefined;
  /** @default the beginning of the image's id, so that the same image has the same tag */
  readonly tag?: string | undefined;
  /** ARN or alias of the KMS key of a new repository. @default ECR's own key */
  readonly kmsKey?: string | undefined;
  /** Where the registry is, should it not be where ECR says: a proxy, a test. @default where ECR says */
  readonly registry?: string | undefined;
  /** Whether the registry must have a certificate that this machine trusts. @default true */
  readonly verifyTls?: boolean;
  /** Gets what is going on. */
  readonly onLine?: (line: string) => void;
}

export interface PushedImage {
  /** The repository with its registry. */
  readonly repositoryUri: string;
  readonly tag: string;
  /** e.g. sha256:... */
  readonly digest: string;
  /** By which it is the same image for ever: repository@digest. */
  readonly uri: string;
}

/** The last part of an image's name, and what groups it: without registry, tag and digest. */
export function repositoryName(image: string): string {
  const [first = '', ...rest] = image.replace(/@.*$/, '').split('/');
  const path = rest.length > 0 && /[.:]|^localhost$/.test(first) ? rest : [first, ...rest];
  return path.join('/').replace(/:[^/]*$/, '');
}

/** @returns the digest */
async function pushTo(target: string, environment: Record<string, string>, options: PushOptions): Promise<string> {
  const { tool, image, verifyTls = true, onLine } = options;
  const settings = { environment, ...(onLine && { onLine }) };
  if (tool === 'docker') {
    await runTool(tool, ['tag', image, target], settings);
    const said = await runTool(tool, ['push', target], settings);
    return /digest: (sha256:[0-9a-f]{64})/.exec(said)?.[1] ?? '';
  }
  const folder = mkdtempSync(join(tmpdir(), 'scanline-push-'));
  try {
    const file = join(folder, 'digest');
    const tls = verifyTls ? [] : ['--tls-verify=false'];
    // one format for the same layers: with the format as it is here, the digest is one by which SageMaker can pull
    await runTool(
      tool,
      ['push', ...tls, '--format', 'v2s2', '--digestfile', file, image, `docker://${target}`],
      settings,
    );
    return readFileSync(file, 'utf8').trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Pushes an image to ECR, into a repository that is made where there is none.
 *
 * @throws OperationError when there is no such image, the tag is taken, or ECR refuses
 */
export async function pushImage(options: PushOptions): Promise<PushedImage> {
  const { tool, image, region, kmsKey, registry, onLine = () => {} } = options;
  const id = imageId(tool, image);
  if (id === undefined)
    throw new OperationError(
      `${tool} has no image ${image}.`,
      'build it first (npx scanline image build), or mend the name.',
    );
  const name = options.repository ?? repositoryName(image);
  const tag = options.tag ?? id.slice(0, 12);
  const { created, lacks } = await ensureRepository({ region, name, kmsKey });
  onLine(
    created
      ? `made the repository ${name}: scanned on push, immutable tags, encrypted`
      : `the repository ${name} is there`,
  );
  for (const what of lacks) onLine(`warning: the repository ${name} ${what}`);
  const { host, token } = await ecrCredentials(region);
  const repositoryUri = `${registry ?? host}/${name}`;
  const there = created ? undefined : await taggedDigest(region, name, tag);
  if (there !== undefined && options.tag !== undefined)
    throw new OperationError(
      `the tag ${tag} of ${repositoryUri} is taken, by ${there}; tags cannot be moved.`,
      'give a new --tag, or leave it out.',
    );
  if (there !== undefined) {
    onLine('the repository has this image already');
    return { repositoryUri, tag, digest: there, uri: `${repositoryUri}@${there}` };
  }
  const digest = await withCredentials(tool, [{ host: registry ?? host, token }], (environment) =>
    pushTo(`${repositoryUri}:${tag}`, environment, options),
  );
  if (!digest.startsWith('sha256:'))
    throw new OperationError(
      `${tool} did not say the digest of ${repositoryUri}:${tag}.`,
      'look it up in the registry.',
    );
  return { repositoryUri, tag, digest, uri: `${repositoryUri}@${digest}` };
}
