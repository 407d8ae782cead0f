// MLflow that SageMaker manages: where it is, and requests signed as AWS wants them. Loads AWS's packages only when it is asked for.
import { createHash, createHmac } from 'node:crypto';
import { UserError } from '../../errors';

/** A managed server as AWS's own plugin for Python (sagemaker-mlflow 0.5) addresses it. */
export interface ManagedMlflow {
  readonly endpoint: string;
  readonly region: string;
  /** What requests are signed for. */
  readonly service: string;
  /** Tells the endpoint which server is meant. */
  readonly headers: Readonly<Record<string, string>>;
}

const ARN = /^arn:(aws|aws-us-gov):sagemaker:([\w-]+):\d{12}:(mlflow-tracking-server|mlflow-app)\/[\w-]+$/;

/** @throws UserError for an ARN of another kind */
export function managedMlflow(arn: string): ManagedMlflow {
  const [, , region, kind] = ARN.exec(arn) ?? [];
  if (region === undefined) {
    throw new UserError(
      `${arn} is not the ARN of an MLflow server of SageMaker's.`,
      'it looks like arn:aws:sagemaker:eu-west-1:111122223333:mlflow-tracking-server/NAME.',
    );
  }
  return kind === 'mlflow-app'
    ? {
        endpoint: `https://mlflow.sagemaker.${region}.app.aws`,
        ...{ region, service: 'sagemaker', headers: { 'x-sm-mlflow-app-arn': arn } },
      }
    : {
        endpoint: `https://${region}.experiments.sagemaker.aws`,
        ...{ region, service: 'sagemaker-mlflow', headers: { 'x-mlflow-sm-tracking-server-arn': arn } },
      };
}

/** Node's own SHA-256, as the signer takes it. */
class Sha256 {
  private readonly hash;

  constructor(key?: string | ArrayBuffer | ArrayBufferView) {
    const bytes = key instanceof ArrayBuffer ? Buffer.from(key) : (key as string | NodeJS.ArrayBufferView | undefined);
    this.hash = bytes === undefined ? createHash('sha256') : createHmac('sha256', bytes);
  }

  update(data: Uint8Array): void {
    this.hash.update(data);
  }

  async digest(): Promise<Uint8Array> {
    return this.hash.digest();
  }
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export interface UnsignedRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/**
 * The request's headers with its signature (AWS Signature Version 4).
 *
 * @param credentials @default those that AWS's SDK finds: the environment, profiles, the role of the job or instance
 */
export async function signed(
  { region, service, headers: own }: ManagedMlflow,
  { method, url, headers, body }: UnsignedRequest,
  credentials?: Credentials,
  signingDate = new Date(),
): Promise<Record<string, string>> {
  const { SignatureV4 } = await import('@smithy/signature-v4');
  const provider = credentials ?? (await import('@aws-sdk/credential-provider-node')).defaultProvider();
  const signer = new SignatureV4({ region, service, credentials: provider, sha256: Sha256 as never });
  const content = createHash('sha256').update(body).digest('hex');
  const request = {
    method,
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: { ...headers, ...own, host: url.host, 'x-amz-content-sha256': content },
    body,
  };
  const { headers: result } = await signer.sign(request, { signingDate });
  // fetch sets it itself
  const { host: _, ...rest } = result;
  return rest;
}
