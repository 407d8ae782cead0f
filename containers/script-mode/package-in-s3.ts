// The package of a job that is named by its place in S3, as AWS's framework images take it.
// https://github.com/aws/sagemaker-training-toolkit/blob/master/src/sagemaker_training/files.py
import { createWriteStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { UserError } from '../../training/errors';

/** Whether a source is an object in S3. */
export function isInS3(source: string): boolean {
  return source.startsWith('s3://');
}

/**
 * Fetches an object with the job's role, and what else AWS's SDK finds in the environment.
 *
 * @param uri s3://bucket/key
 * @param region of the job @default AWS_REGION, which SageMaker sets
 * @param file is written
 * @throws UserError when S3 does not give it
 */
export async function fetchPackage(uri: string, region: string | undefined, file: string): Promise<void> {
  const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(uri) ?? [];
  if (Bucket === undefined || Key === undefined)
    throw new UserError(
      `sagemaker_submit_directory is ${JSON.stringify(uri)}, which names no object in S3.`,
      'name one: s3://bucket/path/sourcedir.tar.gz.',
    );
  const { GetObjectCommand, S3Client } = await import('@aws-sdk/client-s3');
  const { AWS_REGION, AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 } = process.env;
  const client = new S3Client({
    ...(AWS_REGION === undefined && region !== undefined && { region }),
    // stores of one's own rarely have a host for each bucket
    forcePathStyle: (AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL) !== undefined,
  });
  try {
    const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
    await pipeline(Body as Readable, createWriteStream(file));
  } catch (error) {
    const { name, message } = error as Error;
    throw new UserError(
      `the job's package ${uri} cannot be fetched: ${name}: ${message}`,
      "see that it exists, that the job's role has s3:GetObject for it, and that the job is not isolated from the network; " +
        'ScriptModeTraining needs none of that, for its package comes by an input channel.',
    );
  } finally {
    client.destroy();
  }
}
