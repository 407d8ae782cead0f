// A bucket for images and models: encrypted, versioned, closed to the public, spoken to by TLS alone.
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import type { IGrantable } from 'aws-cdk-lib/aws-iam';
import { BlockPublicAccess, Bucket, BucketEncryption, type IBucket, ObjectOwnership } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

export interface DatasetProps {
  /** An existing bucket. @default one is made, and kept when the stack is deleted */
  readonly bucket?: IBucket;
  /** Where in the bucket the raw images lie. @default raw */
  readonly prefix?: string;
}

export class Dataset extends Construct {
  readonly bucket: IBucket;
  /** S3 URI of the raw images. */
  readonly uri: string;

  constructor(scope: Construct, id: string, props: DatasetProps = {}) {
    super(scope, id);
    this.bucket =
      props.bucket ??
      new Bucket(this, 'Bucket', {
        encryption: BucketEncryption.S3_MANAGED,
        blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
        objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforceSSL: true,
        versioned: true,
        removalPolicy: RemovalPolicy.RETAIN,
        lifecycleRules: [
          { abortIncompleteMultipartUploadAfter: Duration.days(7), noncurrentVersionExpiration: Duration.days(90) },
        ],
      });
    this.uri = this.uriOf(props.prefix ?? 'raw');
  }

  uriOf(prefix: string): string {
    return `s3://${this.bucket.bucketName}/${prefix}`;
  }

  grantReadWrite(grantee: IGrantable): void {
    this.bucket.grantReadWrite(grantee);
  }
}
