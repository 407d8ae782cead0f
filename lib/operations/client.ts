// A client of SageMaker as a person's environment has it, and its refusals as what that person can mend.
import { SageMakerClient, SageMakerServiceException } from '@aws-sdk/client-sagemaker';
import { OperationError } from './errors';

/** @param region by default that of the environment or the profile, as AWS_REGION. AWS_ENDPOINT_URL_SAGEMAKER changes the address */
export function sageMakerClient(region?: string): SageMakerClient {
  // an execution is watched for hours: what fails now and then is tried again
  return new SageMakerClient({ maxAttempts: 8, ...(region !== undefined && { region }) });
}

/** What a person can do about a refusal, by the name of the exception. */
const FIXES: Readonly<Record<string, string>> = {
  ResourceNotFound: 'look at the name, the account and the region: `aws sagemaker list-pipelines` lists what is there.',
  AccessDeniedException:
    'allow it to the role: grantStartPipelineExecution, grantRead and grantStop of SageMakerPipeline do.',
  ValidationException: 'correct what it says.',
  ConflictException: 'see how it stands: scanline watch.',
  ThrottlingException: 'look less often, as with --every 60.',
  ExpiredTokenException: 'sign in again.',
  UnrecognizedClientException: 'sign in with credentials of this account and region.',
};

/** @returns what a person can mend, with its fix, where SageMaker or the network refused; else the error itself */
export function explainRefusal(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error instanceof SageMakerServiceException && FIXES[error.name] !== undefined)
    return new OperationError(`SageMaker refuses: ${error.message}`, FIXES[error.name] as string);
  if (/^Region (?:is missing|not accepted)/.test(error.message))
    return new OperationError(
      'no AWS region is chosen, or not one that there is.',
      'give --region, or set AWS_REGION.',
    );
  if (error.name === 'CredentialsProviderError')
    return new OperationError(`there are no AWS credentials: ${error.message}`, 'sign in, or set AWS_PROFILE.');
  if (/^(?:ECONNREFUSED|ENOTFOUND|ETIMEDOUT)$/.test((error as NodeJS.ErrnoException).code ?? ''))
    return new OperationError(
      `SageMaker cannot be reached: ${error.message || (error as NodeJS.ErrnoException).code}.`,
      'look at the network, the region, and AWS_ENDPOINT_URL_SAGEMAKER where that is set.',
    );
  return error;
}

/** Does something with SageMaker. @throws OperationError where it refuses what a person can mend */
export async function withSageMaker<Result>(
  region: string | undefined,
  act: (client: SageMakerClient) => Promise<Result>,
): Promise<Result> {
  const client = sageMakerClient(region);
  try {
    return await act(client);
  } catch (error) {
    throw explainRefusal(error);
  } finally {
    client.destroy();
  }
}
