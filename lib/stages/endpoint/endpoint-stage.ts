// What all endpoints are: checked settings, a role, a place in the network, alarms that take an update back, and requests of SageMaker's API.
import type { DeploymentConfig } from '@aws-sdk/client-sagemaker';
import { Annotations, Names } from 'aws-cdk-lib';
import type { IAlarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { Connections, IConnectable } from 'aws-cdk-lib/aws-ec2';
import type { IRole } from 'aws-cdk-lib/aws-iam';
import { CfnModel, type CfnModelProps } from 'aws-cdk-lib/aws-sagemaker';
import type { Construct } from 'constructs';
import { type Finding, PipelineError, type Resolvable } from '../../pipeline';
import { grantNetworkInterfaces, type Place, placeIn } from '../access/network';
import { acknowledge, acknowledgeInPacks } from '../checks/acknowledge';
import { type CheckedVariant, checkEndpoint } from './check-endpoint';
import { EndpointMetrics } from './endpoint-metrics';
import {
  type ConfigRequest,
  configRequest,
  type Destinations,
  deploymentRequest,
  destinationsOf,
  type ModelRequest,
  modelRequest,
  type NamedVariant,
  toCfn,
  volumeKeyArn,
} from './endpoint-requests';
import { EndpointRole } from './endpoint-role';
import {
  type EndpointModel,
  type EndpointSettings,
  type EndpointVariant,
  type ExistingModel,
  isModelData,
  variantNameOf,
} from './endpoint-settings';

export function whereOf(construct: Construct): string {
  return `endpoint ${construct.node.id} at ${construct.node.path}`;
}

const NO_ACTION = 'SageMaker itself looks at it while it moves the endpoint, and goes back when it goes off';

const NOT_ENCLOSED =
  'SageMaker takes neither network isolation nor a VPC for a serverless endpoint; its role reaches its models and nothing else';

export abstract class EndpointStage extends EndpointMetrics implements IConnectable {
  readonly endpointName: string;
  /** What the containers work as. */
  readonly role: IRole;
  /** Each takes an update of the endpoint back when it goes off. */
  readonly rollbackAlarms: readonly IAlarm[];
  /** With the key of the bucket, where there is none of its own. */
  protected readonly settings: EndpointSettings;
  protected readonly firstVariant: string;
  private readonly variants: readonly CheckedVariant[];
  private readonly place: Place | undefined;
  private readonly destinations: Destinations;

  /**
   * @param own what the stage itself finds wrong
   * @throws PipelineError naming all that is wrong
   */
  constructor(
    scope: Construct,
    id: string,
    settings: EndpointSettings,
    variants: readonly CheckedVariant[],
    own: (where: string) => readonly Finding[] = () => [],
  ) {
    super(scope, id);
    const where = whereOf(this);
    const findings = [...own(where), ...checkEndpoint(where, settings, variants)];
    if (findings.length > 0) throw new PipelineError(this.node.path, findings);
    const key = settings.key ?? settings.bucket?.encryptionKey;
    this.settings = { ...settings, ...(key && { key }) };
    this.variants = variants;
    this.firstVariant = variantNameOf(variants[0] as CheckedVariant);
    this.endpointName = settings.endpointName ?? Names.uniqueResourceName(this, { maxLength: 63, separator: '-' });
    this.destinations = destinationsOf(this.endpointName, settings);
    this.place = placeIn(this, settings, `Endpoint ${this.node.path}`);
    this.role = settings.role ?? this.makeRole();
    this.grantToRole();
    this.rollbackAlarms = this.chooseAlarms();
    if (key && volumeKeyArn(this.settings, this.all) === undefined) {
      Annotations.of(this).addInfo(
        'key is left out of the configuration: SageMaker takes none for instance types with local disks, which their hardware encrypts',
      );
    }
  }

  /**
   * The containers' place in their VPC.
   *
   * @throws PipelineError where they are in none
   */
  get connections(): Connections {
    if (this.place) return this.place.connections;
    throw new PipelineError(this.node.path, [
      { where: whereOf(this), problem: 'it has no connections, for it is in no VPC.', fix: 'set vpc.' },
    ]);
  }

  /** Undefined for a model that is there already. */
  protected modelRequest(model: EndpointModel): ModelRequest | undefined {
    const isolated = this.settings.networkIsolation ?? !this.all.some(({ serverless }) => serverless);
    return modelRequest(model, { roleArn: this.role.roleArn, isolated, place: this.place });
  }

  /** With the model that a variant names, made here as a resource unless it is there already. */
  protected withModel(variant: EndpointVariant): NamedVariant {
    const request = this.modelRequest(variant.model);
    if (!request) return { ...variant, modelName: (variant.model as ExistingModel).modelName };
    const model = new CfnModel(this, `${variantNameOf(variant)}Model`, toCfn(request) as CfnModelProps);
    // what the role may do must be settled before SageMaker looks for the model's data
    if (this.role instanceof EndpointRole) model.node.addDependency(this.role.policy);
    if (variant.serverless) acknowledge(model, { id: 'Scanline-ModelEnclosed', reason: NOT_ENCLOSED });
    return { ...variant, modelName: model.attrModelName };
  }

  protected configRequest(variants: readonly NamedVariant[], shadow?: NamedVariant): ConfigRequest {
    return configRequest(this.settings, variants, shadow, this.destinations);
  }

  /** Undefined where SageMaker itself chooses how the endpoint moves. */
  protected get deploymentRequest(): Resolvable<DeploymentConfig> | undefined {
    if (!this.isGuarded) return undefined;
    const alarms = this.rollbackAlarms.map(({ alarmName }) => alarmName);
    return deploymentRequest(this.settings, alarms);
  }

  /** The variants and the shadow. */
  private get all(): readonly CheckedVariant[] {
    const { shadow } = this.settings;
    return shadow ? [...this.variants, shadow] : this.variants;
  }

  /** Deployment guardrails are for endpoints on instances, without Inf1; a serverless one has them where they are asked for. */
  private get isGuarded(): boolean {
    const without = ({ serverless, instanceType }: CheckedVariant) =>
      serverless !== undefined || /^ml\.inf1\./.test(instanceType ?? '');
    return this.settings.update !== undefined || !this.variants.some(without);
  }

  private makeRole(): EndpointRole {
    const { bucket, key, images = [], async } = this.settings;
    const sources = this.all.flatMap(({ model }) => (model && isModelData(model) ? [model] : []));
    const models = sources.flatMap(({ modelData }) => (typeof modelData === 'string' ? [modelData] : []));
    // the bucket may hold more than models, so it is read only where they, or what is asked about them, are not known
    const named = models.length === this.all.length && !async;
    return new EndpointRole(this, 'Role', {
      ...(bucket && !named && { bucket }),
      ...(key && { key }),
      models,
      destinations: Object.values(this.destinations),
      images: [...new Set([...images, ...sources.map(({ image }) => image)])],
    });
  }

  /** What a role that is given needs too, as far as it can be changed. */
  private grantToRole(): void {
    const { async, key } = this.settings;
    async?.successTopic?.grantPublish(this.role);
    async?.errorTopic?.grantPublish(this.role);
    if (this.settings.role) key?.grantEncryptDecrypt(this.role);
    if (this.place) grantNetworkInterfaces(this, this.role, this.place);
  }

  private chooseAlarms(): readonly IAlarm[] {
    const { update = {}, async } = this.settings;
    if (update.rollbackAlarms) return update.rollbackAlarms;
    if (update.rollbackAlarms === false || !this.isGuarded) return [];
    const names = this.variants.map(variantNameOf);
    const alarms = async
      ? [this.alarmFailures('RollbackFailures')]
      : names.flatMap((variantName, index) => [
          this.alarmErrorRate(`RollbackErrorRate${index || ''}`, { variantName }),
          this.alarmLatency(`RollbackLatency${index || ''}`, { variantName }),
        ]);
    for (const alarm of alarms) acknowledgeInPacks(alarm, 'CloudWatchAlarmAction', NO_ACTION);
    return alarms;
  }
}
