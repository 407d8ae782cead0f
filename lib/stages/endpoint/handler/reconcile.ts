// Brings an endpoint to the newest approved version of a model package group, whatever it was woken by and however often.
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  type DeploymentConfig,
  DescribeEndpointCommand,
  type DescribeEndpointCommandOutput,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  DescribeModelPackageCommand,
  ListModelPackagesCommand,
  type SageMakerClient,
  UpdateEndpointCommand,
} from '@aws-sdk/client-sagemaker';
import { deleteFailed, pruneConfigs } from './cleaning';
import { APPROVED_MODEL, type Deployment, type DeploymentEvent } from './deployment';
import { configName, ifKnown, versionIn, versionOfConfig } from './names';
import { type ScalingClients, settleScaling } from './scaling';

export interface Clients extends ScalingClients {
  readonly sagemaker: SageMakerClient;
}

/**
 * - nothing approved: the endpoint, if there is one, stays as it is
 * - serving: the newest approved version is in service; scaling is settled, old configurations are deleted
 * - busy: SageMaker still works on the endpoint; the event that it sends afterwards goes on with it
 * - left: the version was tried and taken back, or the endpoint was deleted; somebody must ask for it again
 * - created, updated: begun
 */
export type Outcome = 'nothing approved' | 'serving' | 'busy' | 'left' | 'created' | 'updated';

const BUSY = new Set(['Creating', 'Updating', 'SystemUpdating', 'RollingBack', 'Deleting']);

/** A version of the group. */
interface Version {
  readonly arn: string;
  readonly version: number;
}

async function newestApproved({ sagemaker }: Clients, { group }: Deployment): Promise<Version | undefined> {
  let NextToken: string | undefined;
  do {
    const page = await sagemaker.send(
      new ListModelPackagesCommand({
        ModelPackageGroupName: group,
        ModelApprovalStatus: 'Approved',
        SortBy: 'CreationTime',
        SortOrder: 'Descending',
        NextToken,
      }),
    );
    const arn = page.ModelPackageSummaryList?.[0]?.ModelPackageArn;
    const version = versionIn(arn);
    if (arn !== undefined && version !== undefined) return { arn, version };
    NextToken = page.NextToken;
  } while (NextToken);
  return undefined;
}

async function ensureConfig(
  { sagemaker }: Clients,
  deployment: Deployment,
  name: string,
  packageArn: string,
): Promise<void> {
  if (!(await ifKnown(sagemaker.send(new DescribeModelCommand({ ModelName: name }))))) {
    const PrimaryContainer = { ModelPackageName: packageArn };
    await sagemaker.send(new CreateModelCommand({ ...deployment.model, ModelName: name, PrimaryContainer }));
  }
  if (await ifKnown(sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: name })))) return;
  const filled = JSON.parse(JSON.stringify(deployment.config), (key, value) =>
    key === 'ModelName' && value === APPROVED_MODEL ? name : value,
  );
  await sagemaker.send(new CreateEndpointConfigCommand({ ...filled, EndpointConfigName: name }));
}

/** Whether what is in service still is approved; what is none of ours is left to those whose it is. */
async function servesApproved(
  { sagemaker }: Clients,
  deployment: Deployment,
  serving: string | undefined,
  packageArn: string,
): Promise<boolean> {
  const version = versionOfConfig(deployment, serving);
  if (version === undefined) return true;
  const ModelPackageName = packageArn.replace(/\d+$/, String(version));
  const described = await ifKnown(sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName })));
  return described?.ModelApprovalStatus === 'Approved';
}

/**
 * Whether a version that was tried before is to be tried again. An endpoint's own events do not ask for that: what was rolled back would
 * be tried for ever. An approval or rejection does where it is about the version that is wanted or the one that serves.
 */
function isAskedFor(event: DeploymentEvent, wanted: number, serving: number | undefined): boolean {
  switch (event['detail-type']) {
    case 'SageMaker Endpoint State Change':
      return false;
    case 'SageMaker Model Package State Change': {
      const version = versionIn(event.detail?.ModelPackageArn);
      return version === undefined || version === wanted || version === serving;
    }
    default:
      return true;
  }
}

/** An alarm that the old version has set off must not bring it back. */
function withoutRollback({ AutoRollbackConfiguration: _, ...rest }: DeploymentConfig = {}): DeploymentConfig {
  return rest;
}

async function create({ sagemaker }: Clients, { endpointName, deployment, tags }: Deployment, name: string) {
  await sagemaker.send(
    new CreateEndpointCommand({
      EndpointName: endpointName,
      EndpointConfigName: name,
      ...(deployment && { DeploymentConfig: deployment }),
      ...(tags.length > 0 && { Tags: [...tags] }),
    }),
  );
}

async function update(
  { sagemaker }: Clients,
  { endpointName, scaling }: Deployment,
  name: string,
  how?: DeploymentConfig,
) {
  await sagemaker.send(
    new UpdateEndpointCommand({
      EndpointName: endpointName,
      EndpointConfigName: name,
      ...(how && Object.keys(how).length > 0 && { DeploymentConfig: how }),
      // what autoscaling has done stays; weights and capture are the configuration's
      ...(scaling.length > 0 && {
        RetainAllVariantProperties: true,
        ExcludeRetainedVariantProperties: [
          { VariantPropertyType: 'DesiredWeight' },
          { VariantPropertyType: 'DataCaptureConfig' },
        ],
      }),
    }),
  );
}

async function move(
  clients: Clients,
  deployment: Deployment,
  endpoint: DescribeEndpointCommandOutput,
  wanted: { readonly name: string; readonly arn: string; readonly asked: boolean },
): Promise<Outcome> {
  const { sagemaker } = clients;
  const { name, arn, asked } = wanted;
  const tried = await ifKnown(sagemaker.send(new DescribeEndpointConfigCommand({ EndpointConfigName: name })));
  if (endpoint.EndpointStatus === 'Failed') {
    if (tried && !asked) return 'left';
    await deleteFailed(sagemaker, deployment.endpointName);
    await ensureConfig(clients, deployment, name, arn);
    await create(clients, deployment, name);
    return 'created';
  }
  const approved = await servesApproved(clients, deployment, endpoint.EndpointConfigName, arn);
  if (tried && !asked && approved) return 'left';
  await ensureConfig(clients, deployment, name, arn);
  await update(clients, deployment, name, approved ? deployment.deployment : withoutRollback(deployment.deployment));
  return 'updated';
}

/** @throws what SageMaker throws; it is then called again with the same event */
export async function reconcile(clients: Clients, deployment: Deployment, event: DeploymentEvent): Promise<Outcome> {
  const { sagemaker } = clients;
  const newest = await newestApproved(clients, deployment);
  if (!newest) return 'nothing approved';
  const { arn, version } = newest;
  const name = configName(deployment, version);
  const endpoint = await ifKnown(
    sagemaker.send(new DescribeEndpointCommand({ EndpointName: deployment.endpointName })),
  );
  if (!endpoint) {
    // somebody has deleted it
    if (event['detail-type'] === 'SageMaker Endpoint State Change') return 'left';
    await ensureConfig(clients, deployment, name, arn);
    await create(clients, deployment, name);
    return 'created';
  }
  const { EndpointStatus = '', EndpointConfigName: serving } = endpoint;
  if (BUSY.has(EndpointStatus)) return 'busy';
  if (serving === name && EndpointStatus === 'InService') {
    await settleScaling(clients, deployment);
    await pruneConfigs(sagemaker, deployment, endpoint);
    return 'serving';
  }
  const asked = isAskedFor(event, version, versionOfConfig(deployment, serving));
  return move(clients, deployment, endpoint, { name, arn, asked });
}
