// Builds images with docker, buildah or podman.
import { join } from 'node:path';
import { RegionInfo } from 'aws-cdk-lib/region-info';
import { type ContainerTool, runTool } from '../../local/jobs/container-tool';
import { OperationError } from '../errors';
import { type Credentials, ecrCredentials, ecrRegistry, registryHost, withCredentials } from './registry';

export interface BuildOptions {
  readonly tool: ContainerTool;
  /** The build context. */
  readonly folder: string;
  /** Of the Dockerfile, in the context. @default Dockerfile */
  readonly file?: string;
  /** The stage that becomes the image. @default the last */
  readonly target?: string;
  /** The name that the image gets. */
  readonly tag: string;
  /** What the image stands on, for the ARG BASE_IMAGE. @default the Dockerfile's */
  readonly baseImage?: string | undefined;
  /** @default none */
  readonly buildArguments?: Readonly<Record<string, string>>;
  /** Files that the build sees and no layer keeps, as id=NAME,src=FILE. @default none */
  readonly secrets?: readonly string[];
  /** @default none */
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether layers of earlier builds are taken where nothing has changed. @default true */
  readonly cache?: boolean;
  /** Gets each line that the tool prints. */
  readonly onLine?: (line: string) => void;
}

/** Seconds since 1970 that every file and the image are dated with, so that the same sources make the same image. */
const SOURCE_DATE = process.env.SOURCE_DATE_EPOCH ?? '0';

/** The command line of a build, without the tool. */
export function buildCommand(options: BuildOptions): string[] {
  const { tool, folder, file = 'Dockerfile', target, tag, baseImage } = options;
  const { buildArguments = {}, secrets = [], labels = {}, cache = true } = options;
  const given = { ...buildArguments, ...(baseImage !== undefined && { BASE_IMAGE: baseImage }) };
  const pairs = (option: string, values: Readonly<Record<string, string>>) =>
    Object.entries(values).flatMap(([key, value]) => [option, `${key}=${value}`]);
  // SageMaker takes Docker's manifests; podman and buildah would write OCI's. They keep layers for the next build only when asked to
  const own =
    tool === 'docker'
      ? ['--build-arg', `SOURCE_DATE_EPOCH=${SOURCE_DATE}`]
      : ['--format', 'docker', '--layers', '--timestamp', SOURCE_DATE];
  return [
    ...['build', '--platform', 'linux/amd64', '--tag', tag, '--file', join(folder, file)],
    ...(target === undefined ? [] : ['--target', target]),
    ...own,
    ...(cache ? [] : ['--no-cache']),
    ...pairs('--build-arg', given),
    ...pairs('--label', labels),
    ...secrets.flatMap((secret) => ['--secret', secret]),
    folder,
  ];
}

/** The account that publishes AWS's deep learning images in a region. */
function publisherOf(region: string): string | undefined {
  return RegionInfo.get(region).dlcRepositoryAccount;
}

/**
 * What logs in to the registry of a base image: a token where it is one of ECR, AWS's own included; else nothing.
 *
 * @throws OperationError where it is of an account that publishes AWS's images in other regions, not in this one
 */
async function baseCredentials(image: string | undefined): Promise<Credentials[]> {
  const host = image === undefined ? undefined : registryHost(image);
  const registry = host === undefined ? undefined : ecrRegistry(host);
  if (host === undefined || registry === undefined) return [];
  const { account, region } = registry;
  const publisher = publisherOf(region);
  const isPublisher = RegionInfo.regions.some(({ dlcRepositoryAccount }) => dlcRepositoryAccount === account);
  if (isPublisher && publisher !== account)
    throw new OperationError(
      `AWS publishes no images as account ${account} in ${region}.`,
      publisher === undefined
        ? 'take the image of another region.'
        : `there it is ${publisher}: ${image?.replace(account, publisher)}`,
    );
  const { token } = await ecrCredentials(region, account);
  return [{ host, token }];
}

/** @throws Error when the tool fails, with the end of what it printed */
export async function buildImage(options: BuildOptions): Promise<void> {
  const { tool, baseImage, onLine } = options;
  const credentials = await baseCredentials(baseImage);
  await withCredentials(tool, credentials, (login) =>
    runTool(tool, buildCommand(options), {
      // attestations would make an index of the image, which SageMaker does not take
      environment: { ...login, DOCKER_BUILDKIT: '1', BUILDX_NO_DEFAULT_ATTESTATIONS: '1' },
      ...(onLine && { onLine }),
    }),
  );
}
