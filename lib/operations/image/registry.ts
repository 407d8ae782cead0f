// Amazon ECR: repositories that are scanned, immutable and encrypted, and the credentials by which tools reach them for one command.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateRepositoryCommand,
  DescribeImagesCommand,
  DescribeRepositoriesCommand,
  ECRClient,
  GetAuthorizationTokenCommand,
  PutLifecyclePolicyCommand,
  type Repository,
} from '@aws-sdk/client-ecr';
import type { ContainerTool } from '../../local/jobs/container-tool';
import { OperationError } from '../errors';

/** A registry of ECR by its host: its account, its region. FIPS and China's partitions have the same form. */
const ECR_HOST = /^(\d{12})\.dkr\.ecr(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/;

/** Days after which an image that no tag names any more, as of a build that was interrupted, is deleted. */
const UNTAGGED_DAYS = 14;

/** Images with a tag stay: a registered model names its image for as long as it may be deployed. */
const LIFECYCLE_POLICY = {
  rules: [
    {
      rulePriority: 1,
      description: `images without a tag go after ${UNTAGGED_DAYS} days`,
      selection: {
        tagStatus: 'untagged',
        countType: 'sinceImagePushed',
        countUnit: 'days',
        countNumber: UNTAGGED_DAYS,
      },
      action: { type: 'expire' },
    },
  ],
};

/** What ECR said, with what to do about it. */
function refused(what: string, error: unknown): OperationError {
  const { name, message } = error as Error;
  const fix = /Credentials|Token/.test(name)
    ? 'give AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, or an instance role), and see that they have not expired.'
    : /AccessDenied|NotAuthorized|UnauthorizedOperation/.test(name)
      ? 'ask for ecr:GetAuthorizationToken, DescribeRepositories, DescribeImages, CreateRepository, PutLifecyclePolicy and what a push takes.'
      : 'see that the region is right and AWS can be reached.';
  return new OperationError(`${what}: ${name}: ${message}`, fix);
}

/** The registry that an image's name is of: what stands before its first slash and looks like a host. */
export function registryHost(image: string): string | undefined {
  const [host = '', ...rest] = image.split('/');
  return rest.length > 0 && /[.:]|^localhost$/.test(host) ? host : undefined;
}

/** The account and region of a registry of ECR; undefined of any other registry. */
export function ecrRegistry(host: string): { account: string; region: string } | undefined {
  const [, account, region] = ECR_HOST.exec(host) ?? [];
  return account !== undefined && region !== undefined ? { account, region } : undefined;
}

export interface Credentials {
  /** As ECR names the registry, e.g. 123456789012.dkr.ecr.eu-central-1.amazonaws.com. */
  readonly host: string;
  /** The user, AWS, and a password for 12 hours, as registries take them: in base64, with a colon between. */
  readonly token: string;
}

/**
 * What logs in to the registry of a region.
 *
 * @param account another's, as that of AWS's own images @default that of the AWS credentials
 */
export async function ecrCredentials(region: string, account?: string): Promise<Credentials> {
  const client = new ECRClient({ region });
  try {
    const { authorizationData } = await client.send(
      new GetAuthorizationTokenCommand(account === undefined ? {} : { registryIds: [account] }),
    );
    const { authorizationToken: token = '', proxyEndpoint = '' } = authorizationData?.[0] ?? {};
    return { host: proxyEndpoint.replace(/^https?:\/\//, ''), token };
  } catch (error) {
    throw refused(`ECR in ${region} gives no token`, error);
  } finally {
    client.destroy();
  }
}

export interface RepositorySettings {
  readonly region: string;
  readonly name: string;
  /** ARN or alias of the KMS key of a new repository. @default ECR's own key (AES-256) */
  readonly kmsKey?: string | undefined;
}

/** What an existing repository lacks of what a new one gets. */
function shortcomings({ imageScanningConfiguration, imageTagMutability }: Repository): string[] {
  return [
    ...(imageScanningConfiguration?.scanOnPush ? [] : ['does not scan images on push']),
    ...(imageTagMutability?.startsWith('IMMUTABLE') ? [] : ['has tags that can be moved']),
  ];
}

/**
 * Creates the repository unless it is there; one that is there is left as it is.
 *
 * @returns whether it is new, and what it lacks
 */
export async function ensureRepository(settings: RepositorySettings): Promise<{ created: boolean; lacks: string[] }> {
  const { region, name: repositoryName, kmsKey } = settings;
  const client = new ECRClient({ region });
  try {
    const { repositories = [] } = await client
      .send(new DescribeRepositoriesCommand({ repositoryNames: [repositoryName] }))
      .catch((error: Error) => {
        if (error.name === 'RepositoryNotFoundException') return { repositories: [] };
        throw error;
      });
    if (repositories[0]) return { created: false, lacks: shortcomings(repositories[0]) };
    await client.send(
      new CreateRepositoryCommand({
        repositoryName,
        imageScanningConfiguration: { scanOnPush: true },
        imageTagMutability: 'IMMUTABLE',
        encryptionConfiguration:
          kmsKey === undefined ? { encryptionType: 'AES256' } : { encryptionType: 'KMS', kmsKey },
      }),
    );
    await client.send(
      new PutLifecyclePolicyCommand({ repositoryName, lifecyclePolicyText: JSON.stringify(LIFECYCLE_POLICY) }),
    );
    return { created: true, lacks: [] };
  } catch (error) {
    throw refused(`the repository ${repositoryName} in ${region} cannot be made`, error);
  } finally {
    client.destroy();
  }
}

/** The digest of the image that has a tag; undefined where none has. */
export async function taggedDigest(region: string, name: string, tag: string): Promise<string | undefined> {
  const client = new ECRClient({ region });
  try {
    const ask = new DescribeImagesCommand({ repositoryName: name, imageIds: [{ imageTag: tag }] });
    return (await client.send(ask)).imageDetails?.[0]?.imageDigest;
  } catch (error) {
    if ((error as Error).name === 'ImageNotFoundException') return undefined;
    throw refused(`the images of ${name} in ${region} cannot be looked at`, error);
  } finally {
    client.destroy();
  }
}

interface AuthFile {
  readonly auths?: Readonly<Record<string, unknown>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
}

function readAuthFile(file: string | undefined): AuthFile {
  return file !== undefined && existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
}

/** Where a tool keeps what the user has logged in to. */
function ownAuthFile(tool: ContainerTool): string | undefined {
  const { DOCKER_CONFIG, REGISTRY_AUTH_FILE, XDG_RUNTIME_DIR } = process.env;
  const docker = join(DOCKER_CONFIG ?? join(homedir(), '.docker'), 'config.json');
  if (tool === 'docker') return docker;
  const run = XDG_RUNTIME_DIR ?? `/run/user/${process.getuid?.()}`;
  const candidates = [REGISTRY_AUTH_FILE, join(run, 'containers', 'auth.json'), docker];
  return candidates.find((file) => file !== undefined && existsSync(file));
}

/** A docker that is told another folder of settings forgets which daemon its context names. */
function dockerHost(): Record<string, string> {
  if (process.env.DOCKER_HOST !== undefined) return {};
  const { stdout } = spawnSync('docker', ['context', 'inspect', '--format', '{{.Endpoints.docker.Host}}'], {
    encoding: 'utf8',
  });
  return stdout?.trim() ? { DOCKER_HOST: stdout.trim() } : {};
}

/**
 * Runs something with what the user has logged in to, and these registries besides: from a file that is gone afterwards, so that no
 * password stays on this machine.
 *
 * @param body gets the environment for the tool
 */
export async function withCredentials<Result>(
  tool: ContainerTool,
  credentials: readonly Credentials[],
  body: (environment: Record<string, string>) => Promise<Result>,
): Promise<Result> {
  if (credentials.length === 0) return body({});
  const folder = mkdtempSync(join(tmpdir(), 'scanline-login-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  // without it, who interrupts a long push would leave the password behind
  const interrupted = (signal: NodeJS.Signals) => {
    remove();
    process.kill(process.pid, signal);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    const file = join(folder, 'config.json');
    const own = readAuthFile(ownAuthFile(tool));
    const given = Object.fromEntries(credentials.map(({ host, token }) => [host, { auth: token }]));
    // docker asks its keychain rather than the file, except about hosts whose helper is none
    const none = Object.fromEntries(credentials.map(({ host }) => [host, '']));
    const merged = {
      ...own,
      auths: { ...own.auths, ...given },
      ...(tool === 'docker' && { credHelpers: { ...own.credHelpers, ...none } }),
    };
    writeFileSync(file, JSON.stringify(merged), { mode: 0o600 });
    return await body(tool === 'docker' ? { DOCKER_CONFIG: folder, ...dockerHost() } : { REGISTRY_AUTH_FILE: file });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    remove();
  }
}
