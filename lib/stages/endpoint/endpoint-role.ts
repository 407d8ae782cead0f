// The role that the containers of an endpoint work as: they read models, write what is captured and answered, and nothing else.
import { Fn, Stack } from 'aws-cdk-lib';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { GRANT_FOR_AWS, SageMakerRole } from '../access/execution-role';
import type { ByocImage } from '../byoc-image';

export interface EndpointRoleProps {
  /** Holds the models, and what asynchronous requests are about. @default none */
  readonly bucket?: IBucket;
  /** Of the bucket, and of all that is written. @default none */
  readonly key?: IKey;
  /** S3 URIs of models, where there is no bucket. @default none */
  readonly models?: readonly string[];
  /** S3 URIs below which requests and answers are written. @default nowhere */
  readonly destinations?: readonly string[];
  /** What the containers run. @default none */
  readonly images?: readonly ByocImage[];
}

/** After https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html (CreateModel). */
export class EndpointRole extends SageMakerRole {
  constructor(scope: Construct, id: string, props: EndpointRoleProps) {
    super(scope, id, 'SageMaker endpoint: reads models, writes what is captured and answered, pulls its images');
    const { bucket, key, models = [], destinations = [], images = [] } = props;
    if (bucket) {
      this.allow(['s3:ListBucket', 's3:GetBucketLocation'], [bucket.bucketArn]);
      this.allow(['s3:GetObject'], [bucket.arnForObjects('*')], {
        reason: 'the models of one bucket: which is served is known only when it is approved',
      });
    } else if (models.length > 0) {
      this.allow(['s3:GetObject'], [...new Set(models.map((uri) => this.arnOf(uri)))]);
    }
    if (destinations.length > 0) {
      this.allow(
        ['s3:PutObject', 's3:AbortMultipartUpload'],
        [...new Set(destinations.map((uri) => this.arnOf(`${uri}/*`)))],
        { reason: 'SageMaker names the objects that it writes below a prefix' },
      );
    }
    if (key) {
      this.allow(['kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey'], [key.keyArn]);
      this.allow(['kms:CreateGrant'], [key.keyArn], { conditions: GRANT_FOR_AWS });
    }
    this.allowContainers(images);
  }

  /** Of an S3 URI, known now or only at the deployment. */
  private arnOf(uri: string): string {
    const path = uri.startsWith('s3://') ? uri.slice('s3://'.length) : Fn.select(1, Fn.split('s3://', uri));
    return `arn:${Stack.of(this).partition}:s3:::${path}`;
  }
}
