// Endpoints: a model server for each instance, started, waited for until it is healthy, and asked in turn.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type {
  CreateEndpointConfigInput,
  CreateEndpointInput,
  DescribeEndpointConfigOutput,
  DescribeEndpointOutput,
  UpdateEndpointInput,
} from '@aws-sdk/client-sagemaker';
import { extract } from 'tar';
import { invalid, ServiceError } from '../errors';
import type { Executor, RunningContainer } from '../jobs/executor';
import { arn, requireName } from '../names';
import type { FolderS3 } from '../s3';
import { Collection } from '../store';
import type { Registry } from './registry';

/** Milliseconds in which a container must answer /ping: SageMaker's deadlines for one ping and for the first healthy one. */
const PING_DEADLINE = 2_000;
const HEALTHY_DEADLINE = 4 * 60_000;

/** Milliseconds in which /invocations must answer. */
const INVOCATION_DEADLINE = 60_000;

/** Seconds between SIGTERM and SIGKILL for a server. */
const GRACE = 30;

interface Server {
  readonly variant: string;
  /** Of its endpoint's. */
  readonly folder: string;
  readonly url: string;
  readonly container: RunningContainer;
}

export interface InvocationResult {
  readonly status: number;
  readonly contentType: string;
  readonly variant: string;
  readonly body: Buffer;
}

/** A port on this machine that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

export class Endpoints {
  readonly configs: Collection<DescribeEndpointConfigOutput>;
  readonly endpoints: Collection<DescribeEndpointOutput>;
  private readonly servers = new Map<string, Server[]>();
  /** Those that are to take over, while they start. */
  private readonly next = new Map<string, Server[]>();
  private started: Promise<unknown> = Promise.resolve();
  private turn = 0;

  constructor(
    private readonly root: string,
    private readonly s3: FolderS3,
    private readonly executor: Executor,
    private readonly registry: Registry,
  ) {
    this.configs = new Collection(join(root, 'endpoint-configs'));
    this.endpoints = new Collection(join(root, 'endpoints'));
    // servers end with the control plane that started them
    for (const { EndpointName } of this.endpoints.list()) this.endpoints.delete(EndpointName as string);
  }

  createConfig(request: CreateEndpointConfigInput): string {
    const name = requireName('endpoint configuration', request.EndpointConfigName);
    if (this.configs.get(name)) throw invalid(`cannot create already existing endpoint configuration ${name}`);
    if (!request.ProductionVariants?.length) throw invalid('an endpoint configuration needs a production variant');
    for (const { VariantName, ModelName } of request.ProductionVariants) {
      requireName('production variant', VariantName);
      this.registry.describeModel(ModelName ?? '');
    }
    const configArn = arn('endpoint-config', name);
    this.configs.put(name, {
      ...request,
      EndpointConfigName: name,
      EndpointConfigArn: configArn,
      CreationTime: new Date(),
    } as DescribeEndpointConfigOutput);
    return configArn;
  }

  describeConfig(name: string): DescribeEndpointConfigOutput {
    const config = this.configs.get(name);
    if (config === undefined) throw invalid(`there is no endpoint configuration ${name}`);
    return config;
  }

  describe(name: string): DescribeEndpointOutput {
    const endpoint = this.endpoints.get(name);
    if (endpoint === undefined) throw invalid(`there is no endpoint ${name}`);
    return endpoint;
  }

  /** Begins to start the servers; the endpoint is InService, or Failed, later. */
  create({ EndpointName, EndpointConfigName, DeploymentConfig }: CreateEndpointInput): string {
    const name = requireName('endpoint', EndpointName);
    if (this.endpoints.get(name)) throw invalid(`cannot create already existing endpoint ${name}`);
    const config = this.describeConfig(EndpointConfigName ?? '');
    const now = new Date();
    const endpointArn = arn('endpoint', name);
    this.endpoints.put(name, {
      EndpointName: name,
      EndpointArn: endpointArn,
      EndpointConfigName,
      ...(DeploymentConfig && { LastDeploymentConfig: DeploymentConfig }),
      EndpointStatus: 'Creating',
      CreationTime: now,
      LastModifiedTime: now,
    });
    this.started = Promise.allSettled([this.started, this.start(name, config)]);
    return endpointArn;
  }

  /** Waits until no endpoint is being made any more. */
  async settled(): Promise<void> {
    await this.started;
  }

  /** What an Endpoint step of a pipeline does: makes the endpoint, or moves the one of that name. */
  deploy(request: CreateEndpointInput): string {
    return this.endpoints.get(request.EndpointName ?? '') ? this.update(request) : this.create(request);
  }

  /** Begins to start other servers beside the old ones, which answer until the others are healthy; where they never are, for good. */
  update({ EndpointName, EndpointConfigName, DeploymentConfig }: UpdateEndpointInput): string {
    const name = requireName('endpoint', EndpointName);
    const endpoint = this.describe(name);
    const config = this.describeConfig(EndpointConfigName ?? '');
    const { EndpointStatus } = endpoint;
    if (EndpointStatus !== 'InService')
      throw invalid(`cannot update the endpoint ${name}, which is ${EndpointStatus}, not InService`);
    const { FailureReason: _, LastDeploymentConfig: __, ...rest } = endpoint;
    this.endpoints.put(name, {
      ...rest,
      ...(DeploymentConfig && { LastDeploymentConfig: DeploymentConfig }),
      EndpointStatus: 'Updating',
      PendingDeploymentSummary: { EndpointConfigName },
      LastModifiedTime: new Date(),
    });
    this.started = Promise.allSettled([this.started, this.replace(name, config)]);
    return endpoint.EndpointArn as string;
  }

  private async start(name: string, config: DescribeEndpointConfigOutput): Promise<void> {
    const servers: Server[] = [];
    this.servers.set(name, servers);
    // it may be deleted, and even made anew, while its servers start
    const isWanted = () => this.servers.get(name) === servers;
    const change = (result: Partial<DescribeEndpointOutput>) => {
      if (isWanted()) this.endpoints.put(name, { ...this.describe(name), ...result, LastModifiedTime: new Date() });
    };
    try {
      await this.startServers(name, config, servers, isWanted);
      change({ EndpointStatus: 'InService' });
    } catch (error) {
      change({ EndpointStatus: 'Failed', FailureReason: (error as Error).message });
      await stopAll(servers);
    }
    if (!isWanted()) await stopAll(servers);
  }

  private async replace(name: string, config: DescribeEndpointConfigOutput): Promise<void> {
    const old = this.servers.get(name) ?? [];
    const servers: Server[] = [];
    this.next.set(name, servers);
    // it may be deleted meanwhile
    const isWanted = () => this.next.get(name) === servers;
    const settle = (result: Partial<DescribeEndpointOutput>) => {
      const { PendingDeploymentSummary: _, ...rest } = this.describe(name);
      this.endpoints.put(name, { ...rest, ...result, EndpointStatus: 'InService', LastModifiedTime: new Date() });
    };
    try {
      await this.startServers(name, config, servers, isWanted);
      if (!isWanted()) return await stopAll(servers);
      this.servers.set(name, servers);
      settle({ EndpointConfigName: config.EndpointConfigName });
      await stopAll(old);
    } catch (error) {
      if (isWanted()) settle({ FailureReason: (error as Error).message });
      await stopAll(servers);
    } finally {
      if (isWanted()) this.next.delete(name);
    }
  }

  /** Starts the servers of a configuration and waits until all are healthy. @param into gets them as they are started */
  private async startServers(
    name: string,
    config: DescribeEndpointConfigOutput,
    into: Server[],
    isWanted: () => boolean,
  ): Promise<void> {
    for (const { VariantName, ModelName, InitialInstanceCount = 1 } of config.ProductionVariants ?? []) {
      for (let instance = 0; instance < InitialInstanceCount && isWanted(); instance++) {
        into.push(await this.startServer(name, VariantName as string, ModelName as string, instance));
      }
    }
    await Promise.all(into.map((server) => this.untilHealthy(server)));
  }

  private log(name: string, variant: string, instance: number): string {
    return join(this.root, 'servers', name, `${variant}-${instance}.log`);
  }

  private async startServer(endpoint: string, variant: string, modelName: string, instance: number): Promise<Server> {
    const { image, modelData, environment } = this.registry.containerOf(modelName);
    // the folder of a server that still answers stays as it is
    const taken = new Set(this.servers.get(endpoint)?.map(({ folder }) => folder));
    const first = `${variant}-${instance}`;
    const folder = taken.has(first) ? `${first}-next` : first;
    const base = join(this.root, 'servers', endpoint, folder, 'opt', 'ml');
    rmSync(base, { recursive: true, force: true });
    mkdirSync(join(base, 'model'), { recursive: true });
    await extract({ file: this.s3.path(modelData), cwd: join(base, 'model') });
    const port = await freePort();
    const log = this.log(endpoint, variant, instance);
    const container = this.executor.run({
      image,
      command: ['serve'],
      environment,
      base,
      port,
      log,
    });
    return { variant, folder, url: `http://127.0.0.1:${port}`, container };
  }

  private async untilHealthy({ url, container }: Server): Promise<void> {
    const deadline = Date.now() + HEALTHY_DEADLINE;
    let status: number | undefined;
    void container.exited.then((code) => {
      status = code;
    });
    while (Date.now() < deadline && status === undefined) {
      const healthy = await fetch(`${url}/ping`, { signal: AbortSignal.timeout(PING_DEADLINE) }).then(
        (response) => response.ok,
        () => false,
      );
      if (healthy) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(
      status === undefined
        ? `the container did not answer /ping with 200 within ${HEALTHY_DEADLINE / 1000} s`
        : `the container ended with exit status ${status} before it was healthy`,
    );
  }

  async invoke(name: string, body: Buffer, headers: Readonly<Record<string, string>>): Promise<InvocationResult> {
    const status = this.endpoints.get(name)?.EndpointStatus ?? 'not there';
    const servers = this.servers.get(name) ?? [];
    // the runtime's API has another name for it than the control plane's
    if (status !== 'InService' && status !== 'Updating')
      throw new ServiceError('ValidationError', `the endpoint ${name} is ${status}, not InService`);
    const { url, variant } = servers[this.turn++ % servers.length] as Server;
    const response = await fetch(`${url}/invocations`, {
      method: 'POST',
      body: new Uint8Array(body),
      headers,
      signal: AbortSignal.timeout(INVOCATION_DEADLINE),
    }).catch((error: Error) => {
      throw new ServiceError('ModelError', `${variant} did not answer: ${error.message}`, 424);
    });
    return {
      status: response.status,
      contentType: response.headers.get('content-type') ?? 'application/octet-stream',
      variant,
      body: Buffer.from(await response.arrayBuffer()),
    };
  }

  async delete(name: string): Promise<void> {
    this.describe(name);
    this.endpoints.delete(name);
    const servers = [...(this.servers.get(name) ?? []), ...(this.next.get(name) ?? [])];
    this.servers.delete(name);
    this.next.delete(name);
    await stopAll(servers);
  }
}

async function stopAll(servers: readonly Server[]): Promise<void> {
  await Promise.all(servers.map(({ container }) => container.stop(GRACE)));
}
