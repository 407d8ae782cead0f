// A bucket for images and models: encrypted with one key, versioned, closed to the public, spoken to by TLS alone, its use logged.
import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Metric, type MetricOptions, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { type IGrantable, type IRole, PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type IKey, Key } from 'aws-cdk-lib/aws-kms';
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  type CfnBucket,
  type IBucket,
  type LifecycleRule,
  ObjectOwnership,
  StorageClass,
} from 'aws-cdk-lib/aws-s3';
import { BucketDeployment, Source } from 'aws-cdk-lib/aws-s3-deployment';
import { Construct } from 'constructs';
import { allowExistingRole } from './access/execution-role';
import { acknowledgeInPacks } from './checks/acknowledge';

/** Where the images lie, and how they are kept. */
export interface DatasetProps {
  /** An existing bucket. @default one is made */
  readonly bucket?: IBucket;
  /** Where in the bucket the raw images lie. @default raw */
  readonly prefix?: string;
  /** An existing key. @default that of the existing bucket, where known; else one is made, rotated each year */
  readonly key?: IKey;
  /**
   * An existing bucket for the log of who read and wrote; there is none of an existing `bucket`.
   * An imported one must let logging.s3.amazonaws.com write below access/.
   *
   * @default one is made
   */
  readonly accessLogs?: IBucket;
  /**
   * Of a bucket that is made. @default uploads that broke off go after 7 days, overwritten and deleted versions after 90,
   * and raw images that nobody reads for 30 days are stored more cheaply, without a fee for reading them again
   */
  readonly lifecycleRules?: readonly LifecycleRule[];
  /** What becomes of the buckets and the key that are made when the stack is deleted. @default they are kept */
  readonly removalPolicy?: RemovalPolicy;
}

/** HIPAA asks for six years of documentation: 45 CFR 164.316(b)(2)(i). */
const LOG_RETENTION = Duration.days(6 * 365 + 2);

const NOT_REPLICATED =
  'a copy in a second region doubles the cost of all images and is a decision about where patient data may lie: ' +
  'give a bucket of your own with replication as `bucket`';

/** What every bucket that is made here has. */
const CLOSED: BucketProps = {
  blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
  objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
  enforceSSL: true,
  minimumTLSVersion: 1.2,
  versioned: true,
};

const LOG_PREFIX = 'access/';

/** By the policy of the bucket for the logs: what CDK does without its feature flag needs ACLs, which are off. */
function logAccess(bucket: Bucket, logs: IBucket): void {
  (bucket.node.defaultChild as CfnBucket).loggingConfiguration = {
    destinationBucketName: logs.bucketName,
    logFilePrefix: LOG_PREFIX,
  };
  logs.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('logging.s3.amazonaws.com')],
      actions: ['s3:PutObject'],
      resources: [logs.arnForObjects(`${LOG_PREFIX}*`)],
      conditions: {
        ArnLike: { 'aws:SourceArn': bucket.bucketArn },
        StringEquals: { 'aws:SourceAccount': Stack.of(bucket).account },
      },
    }),
  );
}

/** A bucket of images, its key, and the log of who read it. */
export class Dataset extends Construct {
  /** Made here, or the existing one. */
  readonly bucket: IBucket;
  /** Of the bucket, and of all that is made of what is in it. */
  readonly key: IKey;
  /** S3 URI of the raw images. */
  readonly uri: string;
  private readonly prefix: string;
  /** What was made here. */
  private readonly own: { bucket?: Bucket; key?: Key } = {};

  constructor(scope: Construct, id: string, props: DatasetProps = {}) {
    super(scope, id);
    const { removalPolicy = RemovalPolicy.RETAIN } = props;
    this.prefix = props.prefix ?? 'raw';
    this.key = props.key ?? props.bucket?.encryptionKey ?? this.makeKey(removalPolicy);
    this.bucket = props.bucket ?? this.makeBucket(props, removalPolicy);
    this.uri = this.uriOf(this.prefix);
  }

  /** S3 URI of a prefix of the bucket. */
  uriOf(prefix: string): string {
    return `s3://${this.bucket.bucketName}/${prefix}`;
  }

  /** Lets a principal read and write the objects, with the key. */
  grantReadWrite(grantee: IGrantable): void {
    this.bucket.grantReadWrite(grantee);
    this.key.grantEncryptDecrypt(grantee);
  }

  /** Lets a principal read the raw images, with the key. */
  grantRead(grantee: IGrantable): void {
    this.bucket.grantRead(grantee, `${this.prefix}/*`);
    this.key.grantDecrypt(grantee);
  }

  /** Lets a principal add raw images, with the key, and neither read nor delete any: for what delivers them. */
  grantUpload(grantee: IGrantable): void {
    this.bucket.grantPut(grantee, `${this.prefix}/*`);
    // S3 decrypts the parts of a large upload to put them together
    this.key.grantEncryptDecrypt(grantee);
  }

  /**
   * A metric of the bucket's storage, which S3 tells once a day: https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
   *
   * @param metricName NumberOfObjects or BucketSizeBytes
   * @param storageType e.g. AllStorageTypes, StandardStorage, IntelligentTieringFAStorage
   * @param props by default the average over a day
   */
  metric(metricName: string, storageType: string, props?: MetricOptions): Metric {
    return new Metric({
      namespace: 'AWS/S3',
      metricName,
      dimensionsMap: { BucketName: this.bucket.bucketName, StorageType: storageType },
      statistic: Stats.AVERAGE,
      period: Duration.days(1),
      ...props,
    });
  }

  /** How many objects there are, old versions among them. @param props by default the average over a day */
  metricObjects(props?: MetricOptions): Metric {
    return this.metric('NumberOfObjects', 'AllStorageTypes', props);
  }

  /**
   * Bytes of one class of storage.
   *
   * @param storageType as S3 calls it here @default StandardStorage
   * @param props by default the average over a day
   */
  metricSize(storageType = 'StandardStorage', props?: MetricOptions): Metric {
    return this.metric('BucketSizeBytes', storageType, props);
  }

  /** Lets an existing role read and write, through the policies of what was made here: the role itself stays as it is. */
  allowExistingRole(role: IRole): void {
    allowExistingRole(role, this.own.bucket, this.own.key);
  }

  /**
   * Uploads a folder of images with each deployment, to where the raw images lie. Nothing in the bucket is deleted by it.
   *
   * It is a BucketDeployment, for the stages read a folder of images: an Asset would leave one ZIP file in the bootstrap bucket,
   * which has another key. A Lambda function unpacks it, which sets the limit: some gigabytes, and 15 minutes. For more,
   * use `aws s3 sync FOLDER URI`.
   *
   * @param folder on this machine, with one folder per class
   * @param memoryLimit of the function, in MiB
   */
  upload(folder: string, memoryLimit = 1024): BucketDeployment {
    return new BucketDeployment(this, 'Upload', {
      sources: [Source.asset(folder)],
      destinationBucket: this.bucket,
      destinationKeyPrefix: this.prefix,
      prune: false,
      retainOnDelete: true,
      memoryLimit,
    });
  }

  private makeKey(removalPolicy: RemovalPolicy): Key {
    this.own.key = new Key(this, 'Key', {
      description: 'Images, models, and the volumes of the jobs that use them',
      enableKeyRotation: true,
      removalPolicy,
    });
    return this.own.key;
  }

  private makeBucket(props: DatasetProps, removalPolicy: RemovalPolicy): Bucket {
    const bucket = new Bucket(this, 'Bucket', {
      ...CLOSED,
      encryption: BucketEncryption.KMS,
      encryptionKey: this.key,
      bucketKeyEnabled: true,
      removalPolicy,
      lifecycleRules: [...(props.lifecycleRules ?? this.defaultLifecycle())],
    });
    acknowledgeInPacks(bucket, 'S3BucketReplicationEnabled', NOT_REPLICATED);
    logAccess(bucket, props.accessLogs ?? this.makeLogBucket(removalPolicy));
    this.own.bucket = bucket;
    return bucket;
  }

  private defaultLifecycle(): LifecycleRule[] {
    return [
      { abortIncompleteMultipartUploadAfter: Duration.days(7), noncurrentVersionExpiration: Duration.days(90) },
      {
        prefix: `${this.prefix}/`,
        transitions: [{ storageClass: StorageClass.INTELLIGENT_TIERING, transitionAfter: Duration.days(30) }],
      },
    ];
  }

  private makeLogBucket(removalPolicy: RemovalPolicy): Bucket {
    const logs = new Bucket(this, 'AccessLogs', {
      ...CLOSED,
      encryption: BucketEncryption.S3_MANAGED,
      removalPolicy,
      lifecycleRules: [
        {
          abortIncompleteMultipartUploadAfter: Duration.days(7),
          transitions: [{ storageClass: StorageClass.INFREQUENT_ACCESS, transitionAfter: Duration.days(90) }],
          expiration: LOG_RETENTION,
          noncurrentVersionExpiration: Duration.days(90),
        },
      ],
    });
    acknowledgeInPacks(
      logs,
      'S3DefaultEncryptionKMS',
      'S3 delivers access logs only to a bucket encrypted with its own keys (SSE-S3): ' +
        'https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html',
    );
    acknowledgeInPacks(
      logs,
      'S3BucketLoggingEnabled',
      'it holds the access logs; logging its own access would never end',
    );
    acknowledgeInPacks(logs, 'S3BucketReplicationEnabled', 'it holds no images, and its log is kept for six years');
    return logs;
  }
}
