// Where an MLflow run's artifacts go: through the server where it passes them on, else into the S3 bucket that they are kept in.
import { createReadStream, statSync } from 'node:fs';
import type { S3Client } from '@aws-sdk/client-s3';

type Environment = Readonly<Record<string, string | undefined>>;

/** A root of artifacts, as a run names it, that files can be put below. */
export type ArtifactRoot =
  | { readonly kind: 'server'; readonly path: string }
  | { readonly kind: 's3'; readonly bucket: string; readonly prefix: string };

/** undefined for stores that only clients of their own write to: a folder of the server's, Azure, Google ... */
export function artifactRoot(uri: string): ArtifactRoot | undefined {
  const [, path] = /^mlflow-artifacts:(?:\/\/[^/]*)?\/(.*)$/.exec(uri) ?? [];
  if (path !== undefined) return { kind: 'server', path };
  const [, bucket, prefix = ''] = /^s3:\/\/([^/]+)\/?(.*)$/.exec(uri) ?? [];
  return bucket === undefined ? undefined : { kind: 's3', bucket, prefix: prefix.replace(/\/$/, '') };
}

/**
 * Puts files into S3, with what AWS's SDK finds in the environment and what MLflow's own client reads there: MLFLOW_S3_ENDPOINT_URL, and
 * MLFLOW_S3_UPLOAD_EXTRA_ARGS, e.g. {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "1234"}
 * (https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/). Loads the SDK when the first file comes.
 */
export class S3Artifacts {
  private client: Promise<S3Client> | undefined;

  constructor(private readonly environment: Environment) {}

  async put(path: string, { bucket, prefix }: Extract<ArtifactRoot, { kind: 's3' }>, to: string): Promise<void> {
    const { PutObjectCommand } = await import('@aws-sdk/client-s3');
    this.client ??= this.connect();
    const extra = JSON.parse(this.environment.MLFLOW_S3_UPLOAD_EXTRA_ARGS || '{}') as object;
    const object = { Bucket: bucket, Key: prefix === '' ? to : `${prefix}/${to}`, ContentLength: statSync(path).size };
    await (await this.client).send(new PutObjectCommand({ ...extra, ...object, Body: createReadStream(path) }));
  }

  private async connect(): Promise<S3Client> {
    const { S3Client } = await import('@aws-sdk/client-s3');
    const endpoint = this.environment.MLFLOW_S3_ENDPOINT_URL;
    // stores of one's own rarely have a host for each bucket
    return new S3Client({ ...(endpoint && { endpoint, forcePathStyle: true }) });
  }
}
