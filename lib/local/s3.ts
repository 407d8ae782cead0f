// S3 as a folder: s3://bucket/key is root/bucket/key.
import { cpSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ServiceError } from './errors';

export class FolderS3 {
  constructor(private readonly root: string) {}

  /** Where an object, or the objects below a prefix, lie on this machine. */
  path(uri: string): string {
    const match = /^s3:\/\/([a-z0-9][a-z0-9.-]+)(?:\/(.*))?$/.exec(uri);
    if (!match) throw new ServiceError('ValidationException', `'${uri}' is not an S3 URI; write it as s3://bucket/key`);
    const [, bucket = '', key = ''] = match;
    // a folder would take such keys elsewhere, even out of the bucket
    if (key.split('/').some((part) => part === '.' || part === '..'))
      throw new ServiceError(
        'ValidationException',
        `'${uri}' has . or .. in its key, which S3 as a folder cannot hold`,
      );
    return join(this.root, bucket, key);
  }

  /** Copies an object, or all below a prefix, to a folder of this machine. */
  download(uri: string, folder: string): void {
    const source = this.path(uri);
    if (!existsSync(source)) throw new ServiceError('ValidationException', `there is nothing at ${uri}`);
    mkdirSync(folder, { recursive: true });
    const isFolder = statSync(source).isDirectory();
    const name = source.slice(dirname(source).length + 1);
    cpSync(source, isFolder ? folder : join(folder, name), { recursive: true });
  }

  /** Copies a file or folder of this machine to S3. */
  upload(path: string, uri: string): void {
    const target = this.path(uri);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(path, target, { recursive: true });
  }
}
