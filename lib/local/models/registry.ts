// Models, model package groups and their versions.
import { join } from 'node:path';
import type {
  CreateModelInput,
  CreateModelPackageGroupInput,
  CreateModelPackageInput,
  DescribeModelOutput,
  DescribeModelPackageGroupOutput,
  DescribeModelPackageOutput,
  ModelPackageSummary,
} from '@aws-sdk/client-sagemaker';
import { invalid, ServiceError } from '../errors';
import { arn, nameOf, requireName } from '../names';
import { Collection } from '../store';

/** What a model's containers are started from. */
export interface ContainerSource {
  readonly image: string;
  /** S3 URI of model.tar.gz. */
  readonly modelData: string;
  readonly environment: Readonly<Record<string, string>>;
}

export class Registry {
  readonly models: Collection<DescribeModelOutput>;
  readonly groups: Collection<DescribeModelPackageGroupOutput>;
  readonly packages: Collection<DescribeModelPackageOutput>;

  constructor(root: string) {
    this.models = new Collection(join(root, 'models'));
    this.groups = new Collection(join(root, 'model-package-groups'));
    this.packages = new Collection(join(root, 'model-packages'));
  }

  createGroup({ ModelPackageGroupName, ModelPackageGroupDescription }: CreateModelPackageGroupInput): string {
    const name = requireName('model package group', ModelPackageGroupName);
    if (this.groups.get(name))
      throw new ServiceError('ValidationException', `the model package group ${name} already exists`);
    const groupArn = arn('model-package-group', name);
    this.groups.put(name, {
      ModelPackageGroupName: name,
      ModelPackageGroupArn: groupArn,
      ModelPackageGroupStatus: 'Completed',
      CreationTime: new Date(),
      CreatedBy: {},
      ...(ModelPackageGroupDescription !== undefined && { ModelPackageGroupDescription }),
    });
    return groupArn;
  }

  describeGroup(nameOrArn: string | undefined): DescribeModelPackageGroupOutput {
    const group = this.groups.get(nameOf(nameOrArn));
    if (group === undefined) throw invalid(`there is no model package group ${nameOrArn}`);
    return group;
  }

  /** Adds the next version to a group. */
  createPackage(request: CreateModelPackageInput): string {
    const group = this.describeGroup(request.ModelPackageGroupName).ModelPackageGroupName as string;
    const version = this.versions(group).length + 1;
    const packageArn = arn('model-package', `${group}/${version}`);
    this.packages.put(`${group}/${version}`, {
      ...(request as unknown as DescribeModelPackageOutput),
      ModelPackageName: group,
      ModelPackageGroupName: group,
      ModelPackageVersion: version,
      ModelPackageArn: packageArn,
      ModelPackageStatus: 'Completed',
      ModelPackageStatusDetails: { ValidationStatuses: [] },
      ModelApprovalStatus: request.ModelApprovalStatus ?? 'PendingManualApproval',
      CreationTime: new Date(),
    });
    return packageArn;
  }

  describePackage(nameOrArn: string): DescribeModelPackageOutput {
    const found = this.packages.get(nameOf(nameOrArn));
    if (found === undefined) throw invalid(`there is no model package ${nameOrArn}`);
    return found;
  }

  updatePackage(nameOrArn: string, change: Partial<DescribeModelPackageOutput>): string {
    const found = this.describePackage(nameOrArn);
    this.packages.put(nameOf(found.ModelPackageArn as string), { ...found, ...change, LastModifiedTime: new Date() });
    return found.ModelPackageArn as string;
  }

  /** The versions of a group, newest first. */
  versions(group: string): ModelPackageSummary[] {
    return this.packages
      .list()
      .filter(({ ModelPackageGroupName }) => ModelPackageGroupName === group)
      .reverse()
      .map((entry) => ({
        ModelPackageName: entry.ModelPackageName,
        ModelPackageGroupName: entry.ModelPackageGroupName,
        ModelPackageVersion: entry.ModelPackageVersion,
        ModelPackageArn: entry.ModelPackageArn,
        CreationTime: entry.CreationTime,
        ModelPackageStatus: entry.ModelPackageStatus,
        ModelApprovalStatus: entry.ModelApprovalStatus,
      }));
  }

  createModel(request: CreateModelInput): string {
    const name = requireName('model', request.ModelName);
    if (this.models.get(name)) throw invalid(`cannot create already existing model ${name}`);
    this.sourceOf(name, request);
    const modelArn = arn('model', name);
    this.models.put(name, { ...request, ModelName: name, ModelArn: modelArn, CreationTime: new Date() });
    return modelArn;
  }

  describeModel(name: string): DescribeModelOutput {
    const model = this.models.get(name);
    if (model === undefined) throw invalid(`there is no model ${name}`);
    return model;
  }

  /** What a model's container is started from, whether it names it itself or by a model package. */
  containerOf(modelName: string): ContainerSource {
    return this.sourceOf(modelName, this.describeModel(modelName));
  }

  private sourceOf(modelName: string, model: Partial<DescribeModelOutput>): ContainerSource {
    const { PrimaryContainer, Containers = [] } = model;
    const container = PrimaryContainer ?? (Containers.length === 1 ? Containers[0] : undefined);
    if (container === undefined)
      throw new ServiceError(
        'ValidationException',
        `the model ${modelName} must have one container; it has ${Containers.length}`,
      );
    const fromPackage = container.ModelPackageName
      ? this.describePackage(container.ModelPackageName).InferenceSpecification?.Containers?.[0]
      : undefined;
    const image = container.Image ?? fromPackage?.Image;
    const modelData = container.ModelDataUrl ?? fromPackage?.ModelDataUrl;
    if (!image || !modelData)
      throw new ServiceError('ValidationException', `the model ${modelName} has no image or no model data`);
    return { image, modelData, environment: { ...fromPackage?.Environment, ...container.Environment } };
  }
}
