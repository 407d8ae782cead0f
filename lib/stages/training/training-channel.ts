// Where a training job's data comes from: S3, or a file system in a VPC.
import type { Channel } from '@aws-sdk/client-sagemaker';
import type { Resolvable, Text } from '../../pipeline';

/** How data comes to the container: copied before it starts, read file by file when opened, or streamed through a named pipe. */
export type InputMode = 'File' | 'FastFile' | 'Pipe';

/** Data in S3. */
export interface S3Channel {
  /** S3 URI of a prefix, or of a manifest. */
  readonly uri: Text;
  /** @default the stage's inputMode */
  readonly inputMode?: InputMode;
  /** Whether each instance gets all objects, or its share of them. @default FullyReplicated */
  readonly distribution?: 'FullyReplicated' | 'ShardedByS3Key';
  /** @default S3Prefix */
  readonly dataType?: 'S3Prefix' | 'ManifestFile' | 'AugmentedManifestFile';
  /** Attributes of an augmented manifest that are read. @default none */
  readonly attributeNames?: readonly string[];
  /** MIME type of the data. @default none is given */
  readonly contentType?: Text;
  /** @default None */
  readonly compression?: 'None' | 'Gzip';
  /** @default None */
  readonly recordWrapper?: 'None' | 'RecordIO';
  /** Of the order in which objects come, another in each epoch. @default objects come in the order of their keys */
  readonly shuffleSeed?: number;
}

/** A folder of EFS or FSx for Lustre, mounted; the job must run in a VPC that reaches it. */
export interface FileSystemChannel {
  /** e.g. fs-0123456789abcdef0 */
  readonly fileSystemId: Text;
  /** Amazon EFS or FSx for Lustre. */
  readonly fileSystemType: 'EFS' | 'FSxLustre';
  /** Full path of the folder; of FSx for Lustre it begins with the mount name, e.g. /fsx/images. */
  readonly directory: Text;
  /** Whether the job may write there. @default ro */
  readonly access?: 'ro' | 'rw';
}

/** A plain text is the S3 URI of a prefix that every instance gets whole. */
export type TrainingChannel = Text | S3Channel | FileSystemChannel;

export function isFileSystem(channel: TrainingChannel): channel is FileSystemChannel {
  return typeof channel === 'object' && 'fileSystemId' in channel;
}

export function isS3(channel: TrainingChannel): channel is S3Channel {
  return typeof channel === 'object' && 'uri' in channel;
}

/** A channel as SageMaker takes it. */
export function toChannel(name: string, channel: TrainingChannel): Resolvable<Channel> {
  if (isFileSystem(channel)) {
    return {
      ChannelName: name,
      DataSource: {
        FileSystemDataSource: {
          FileSystemId: channel.fileSystemId,
          FileSystemType: channel.fileSystemType,
          FileSystemAccessMode: channel.access ?? 'ro',
          DirectoryPath: channel.directory,
        },
      },
    };
  }
  const s3: S3Channel = isS3(channel) ? channel : { uri: channel };
  return {
    ChannelName: name,
    DataSource: {
      S3DataSource: {
        S3DataType: s3.dataType ?? 'S3Prefix',
        S3Uri: s3.uri,
        S3DataDistributionType: s3.distribution ?? 'FullyReplicated',
        ...(s3.attributeNames && { AttributeNames: [...s3.attributeNames] }),
      },
    },
    ...(s3.inputMode && { InputMode: s3.inputMode }),
    ...(s3.contentType !== undefined && { ContentType: s3.contentType }),
    ...(s3.compression && { CompressionType: s3.compression }),
    ...(s3.recordWrapper && { RecordWrapperType: s3.recordWrapper }),
    ...(s3.shuffleSeed !== undefined && { ShuffleConfig: { Seed: s3.shuffleSeed } }),
  };
}
