// The group that a registry's versions are in, and which other accounts may deploy them.
import { Annotations, Stack, Token } from 'aws-cdk-lib';
import { AccountPrincipal, Effect, Grant, type IGrantable, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IKey } from 'aws-cdk-lib/aws-kms';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import { CfnModelPackageGroup } from 'aws-cdk-lib/aws-sagemaker';
import { Construct } from 'constructs';
import { type Finding, PipelineError } from '../../pipeline';
import { bothCases } from '../access/endpoint-permissions';
import type { ByocImage } from '../byoc-image';
import { refusal } from '../checks/checks';

/** What versions of a model are gathered under. */
export interface ModelPackageGroupProps {
  /** Up to 63 letters, digits and hyphens. */
  readonly groupName: string;
  /** @default none */
  readonly description?: string;
}

/** What versions consist of, apart from what the registry itself keeps. */
export interface SharedModels {
  /** Holds the models. */
  readonly bucket: IBucket;
  /**
   * Which objects of the bucket are models, e.g. pipelines/*\/training/*: the images that they were trained on may lie in the same bucket,
   * and are not shared.
   */
  readonly modelKeys: string;
  /** Of the bucket and of the versions. @default the bucket's */
  readonly key?: IKey;
  /** What the models run in. */
  readonly images: readonly ByocImage[];
}

/** https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html */
export class ModelPackageGroup extends Construct {
  /** As CloudFormation knows it. */
  readonly resource: CfnModelPackageGroup;
  /** By which versions are registered. */
  readonly groupName: string;

  /** @throws PipelineError where the name is none */
  constructor(scope: Construct, id: string, props: ModelPackageGroupProps) {
    super(scope, id);
    this.groupName = props.groupName;
    if (!Token.isUnresolved(this.groupName) && !/^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$/.test(this.groupName)) {
      const allowed = '1 to 63 letters, digits and hyphens, no hyphen first or last';
      this.refuse(refusal(this.where, 'groupName', `'${this.groupName}'`, allowed, 'give it another name'));
    }
    this.resource = new CfnModelPackageGroup(this, 'Resource', {
      modelPackageGroupName: this.groupName,
      ...(props.description !== undefined && { modelPackageGroupDescription: props.description }),
    });
  }

  /** Of the group, not of its versions. */
  get groupArn(): string {
    return this.arns('model-package-group', '')[0] as string;
  }

  /**
   * Lets other accounts see and deploy the versions: by the policy of the group, and by those of the bucket, the key and the repositories,
   * as far as they are this app's. A warning names those that are not, for their owner to let the accounts in.
   *
   * The accounts in turn allow it to their own roles; they use the group by its ARN, as {@link ApprovedModelEndpoint} does.
   *
   * @param accounts of 12 digits
   * @throws PipelineError where an account is none
   */
  shareWith(accounts: readonly string[], models: SharedModels): void {
    const wrong = accounts.filter((account) => !Token.isUnresolved(account) && !/^\d{12}$/.test(account));
    const given = accounts.length === 0 ? 'none' : `'${wrong.join("', '")}'`;
    if (accounts.length === 0 || wrong.length > 0) {
      this.refuse(refusal(this.where, 'accounts', given, 'account ids of 12 digits', 'give e.g. 111122223333'));
    }
    this.resource.modelPackageGroupPolicy = this.policyFor(accounts);
    this.shareData(accounts, models);
    for (const image of models.images) {
      if (image.allowPullFrom(accounts)) continue;
      this.warn('Image', `the repository of the image ${image.node.path}`, 'pull it (ecr:BatchGetImage)');
    }
  }

  /** Lets somebody of this account see the group and its versions; not the models, which lie in S3. */
  grantRead(grantee: IGrantable): Grant {
    return this.grant(grantee, ['DescribeModelPackageGroup', 'DescribeModelPackage', 'ListModelPackages']);
  }

  /** Lets somebody of this account register versions. */
  grantRegister(grantee: IGrantable): Grant {
    return this.grant(grantee, ['CreateModelPackage', 'DescribeModelPackage', 'AddTags']);
  }

  /** Lets somebody of this account approve and reject versions, which is what moves an {@link ApprovedModelEndpoint}. */
  grantApprove(grantee: IGrantable): Grant {
    return this.grant(grantee, ['UpdateModelPackage', 'DescribeModelPackage', 'ListModelPackages']);
  }

  private grant(grantee: IGrantable, calls: readonly string[]): Grant {
    return Grant.addToPrincipal({
      grantee,
      actions: calls.map((call) => `sagemaker:${call}`),
      resourceArns: [...this.arns('model-package-group', ''), ...this.arns('model-package', '/*')],
    });
  }

  private policyFor(accounts: readonly string[]): PolicyDocument {
    const principals = accounts.map((account) => new AccountPrincipal(account));
    const allow = (sid: string, calls: readonly string[], resources: string[]) =>
      new PolicyStatement({
        sid,
        effect: Effect.ALLOW,
        principals,
        actions: calls.map((call) => `sagemaker:${call}`),
        resources,
      });
    return new PolicyDocument({
      statements: [
        allow('ShareGroup', ['DescribeModelPackageGroup'], this.arns('model-package-group', '')),
        allow(
          'ShareVersions',
          ['DescribeModelPackage', 'ListModelPackages', 'CreateModel'],
          this.arns('model-package', '/*'),
        ),
      ],
    });
  }

  private shareData(
    accounts: readonly string[],
    { bucket, modelKeys, key = bucket.encryptionKey }: SharedModels,
  ): void {
    const principals = accounts.map((account) => new AccountPrincipal(account));
    const { region } = Stack.of(this);
    const read = bucket.addToResourcePolicy(
      new PolicyStatement({ principals, actions: ['s3:GetObject'], resources: [bucket.arnForObjects(modelKeys)] }),
    );
    if (!read.statementAdded) {
      this.warn('Bucket', `the bucket ${bucket.node.path}`, `read ${modelKeys} (s3:GetObject)`);
    }
    if (!key) return;
    const decrypt = key.addToResourcePolicy(
      new PolicyStatement({
        principals,
        actions: ['kms:Decrypt', 'kms:DescribeKey'],
        resources: ['*'],
        conditions: {
          StringEquals: { 'kms:ViaService': [`s3.${region}.amazonaws.com`, `sagemaker.${region}.amazonaws.com`] },
        },
      }),
      true,
    );
    if (!decrypt.statementAdded) {
      this.warn('Key', `the key ${key.node.path}`, 'decrypt (kms:Decrypt, kms:DescribeKey)');
    }
  }

  private warn(what: string, whose: string, action: string): void {
    Annotations.of(this).addWarningV2(
      `scanline:shared${what}`,
      `${whose} is not this app's, so that its policy stays as it is. Fix: let the accounts ${action} there.`,
    );
  }

  private arns(resource: string, behind: string): string[] {
    return bothCases(this.groupName).map((name) =>
      Stack.of(this).formatArn({ service: 'sagemaker', resource, resourceName: `${name}${behind}` }),
    );
  }

  private get where(): string {
    return `model package group ${this.node.id} at ${this.node.path}`;
  }

  private refuse(finding: Finding): never {
    throw new PipelineError(this.node.path, [finding]);
  }
}
