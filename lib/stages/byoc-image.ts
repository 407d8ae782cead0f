// The container image of a stage: Scanline's own, one from a folder, from an ECR repository, or by its URI.
import { dirname } from 'node:path';
import { IgnoreMode } from 'aws-cdk-lib';
import type { IRepository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, Platform } from 'aws-cdk-lib/aws-ecr-assets';
import { AccountPrincipal, type IGrantable, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Construct } from 'constructs';

/** The folder of this package, in a checkout as under node_modules. */
const packageRoot = dirname(require.resolve('scanline-sagemaker/package.json'));

const OWN_COMMANDS = 'scanline-sagemaker/containers/byoc';
const SCRIPT_MODE_COMMANDS = 'scanline-sagemaker/containers/script-mode';

/** Builds a stage of the package's Dockerfile at deployment. The package's .dockerignore says what goes in. */
function ownAsset(scope: Construct, id: string, target: 'byoc' | 'script-mode', tensorflow: 'cpu' | 'gpu') {
  return new DockerImageAsset(scope, `${id}Asset`, {
    directory: packageRoot,
    file: 'containers/byoc/Dockerfile',
    target,
    buildArgs: { TENSORFLOW: tensorflow },
    platform: Platform.LINUX_AMD64,
    ignoreMode: IgnoreMode.DOCKER,
  });
}

/** An image that jobs run, with what else is known of it. */
export class ByocImage extends Construct {
  private constructor(
    scope: Construct,
    id: string,
    /** Of the image, with its tag or digest. */
    readonly uri: string,
    /**
     * The folder whose bin/ has the image's commands (train, serve, ...), by which a job runs on a machine without containers:
     * `scanline-sagemaker/...` is inside this package, all else is relative to the CDK app.
     */
    readonly localCommands: string | undefined,
    private readonly repository: IRepository | undefined,
  ) {
    super(scope, id);
  }

  /**
   * Scanline's own image: the trainer, the server, and the commands of the other stages.
   *
   * @param tensorflow the build inside: gpu (4.1 GB) runs on CPU instances too, cpu (0.9 GB) on them alone
   */
  static scanline(scope: Construct, id: string, tensorflow: 'cpu' | 'gpu' = 'gpu'): ByocImage {
    const asset = ownAsset(scope, id, 'byoc', tensorflow);
    return new ByocImage(scope, id, asset.imageUri, OWN_COMMANDS, asset.repository);
  }

  /**
   * Scanline's image of script mode: its `train` runs the TypeScript or JavaScript program of a job, with the trainer as a library.
   *
   * @param tensorflow as of `scanline`; the images share all layers but the last
   */
  static scriptMode(scope: Construct, id: string, tensorflow: 'cpu' | 'gpu' = 'gpu'): ByocImage {
    const asset = ownAsset(scope, id, 'script-mode', tensorflow);
    return new ByocImage(scope, id, asset.imageUri, SCRIPT_MODE_COMMANDS, asset.repository);
  }

  /** Scanline's own image as `scanline image push` has pushed it: nothing is built at deployment. @param uri as it was printed */
  static scanlineFromUri(scope: Construct, id: string, uri: string): ByocImage {
    return new ByocImage(scope, id, uri, OWN_COMMANDS, undefined);
  }

  /** Scanline's image of script mode as `scanline image push` has pushed it. @param uri as it was printed */
  static scriptModeFromUri(scope: Construct, id: string, uri: string): ByocImage {
    return new ByocImage(scope, id, uri, SCRIPT_MODE_COMMANDS, undefined);
  }

  /** An image built from a folder with a Dockerfile. */
  static fromFolder(scope: Construct, id: string, folder: string): ByocImage {
    const asset = new DockerImageAsset(scope, `${id}Asset`, { directory: folder, platform: Platform.LINUX_AMD64 });
    return new ByocImage(scope, id, asset.imageUri, folder, asset.repository);
  }

  /** @param tagOrDigest a tag can come to name another image; a digest (sha256:...) cannot @default latest */
  static fromEcr(scope: Construct, id: string, repository: IRepository, tagOrDigest = 'latest'): ByocImage {
    return new ByocImage(scope, id, repository.repositoryUriForTagOrDigest(tagOrDigest), undefined, repository);
  }

  /** An image by its URI; nothing else is known of it. */
  static fromUri(scope: Construct, id: string, uri: string): ByocImage {
    return new ByocImage(scope, id, uri, undefined, undefined);
  }

  /** Whether it is Scanline's own, which trains by hyperparameters. */
  get isScanline(): boolean {
    return this.localCommands === OWN_COMMANDS;
  }

  /**
   * Lets other accounts pull it, by the policy of its repository.
   *
   * @returns false where that policy is not this app's: the repository is imported, CDK's own, or not known
   */
  allowPullFrom(accounts: readonly string[]): boolean {
    const statement = new PolicyStatement({
      principals: accounts.map((account) => new AccountPrincipal(account)),
      actions: ['ecr:BatchCheckLayerAvailability', 'ecr:BatchGetImage', 'ecr:GetDownloadUrlForLayer'],
    });
    return this.repository?.addToResourcePolicy(statement).statementAdded ?? false;
  }

  /** Allows pulling it, where its repository is known. */
  grantPull(grantee: IGrantable): void {
    this.repository?.grantPull(grantee);
  }
}
