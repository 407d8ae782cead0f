// URIs of S3 and of container images, and ARNs of roles: whether SageMaker could ever find what is there.
import { knownText, UNKNOWN } from './context';

interface Defect {
  readonly problem: string;
  readonly fix: string;
}

/** Members of requests that take a URI of S3, e.g. S3DataSource.S3Uri. */
export function isS3Uri(member: string): boolean {
  return /\.(\w*S3Uri|S3OutputPath|S3FailurePath|ModelDataUrl|SamplePayloadUrl|ArtifactUrl|ShapBaselineUri)$/.test(
    member,
  );
}

export function isImage(member: string): boolean {
  return /\.(TrainingImage|ImageUri|Image|RuleEvaluatorImage)$/.test(member);
}

/** The pattern that the API has for all of them, e.g. https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_S3DataSource.html */
const S3_URI = /^(https|s3):\/\/([^/]+)\/?/;
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html; lengths are S3's to refuse */
const BUCKET = /^[a-z0-9.-]+$/;

/** @param value a text, or a join of several */
export function s3UriDefect(value: unknown): Defect | undefined {
  const text = knownText(value);
  if (text === undefined || text.startsWith(UNKNOWN)) return undefined;
  const shown = text.replaceAll(UNKNOWN, '…');
  const [, scheme, bucket] = S3_URI.exec(text) ?? [];
  if (bucket === undefined)
    return { problem: `is ${shown || 'empty'}, which is no S3 URI.`, fix: 'write it as s3://bucket/prefix.' };
  if (scheme === 'https' || bucket.includes(UNKNOWN) || BUCKET.test(bucket)) return undefined;
  return {
    problem: `is ${shown}; no bucket can be called ${bucket}.`,
    fix: 'bucket names have lower-case letters, digits, - and . only.',
  };
}

/** registry/repository:tag or @digest; a registry, with a dot or a port in it, there must be, for SageMaker knows none by itself. */
const IMAGE =
  /^(?=[^/]*[.:]|localhost\/)[a-zA-Z0-9.-]+(:\d+)?\/[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/;
/** Characters: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AlgorithmSpecification.html */
const LONGEST_IMAGE = 255;

export function imageDefect(value: string): Defect | undefined {
  const text = knownText(value) as string;
  if (text.includes(UNKNOWN)) return undefined;
  if (IMAGE.test(text) && text.length <= LONGEST_IMAGE) return undefined;
  return {
    problem: `is ${text || 'empty'}, which is no URI of an image.`,
    fix: 'write it as 111122223333.dkr.ecr.eu-central-1.amazonaws.com/repository:tag, with the registry, in lower case, without https://.',
  };
}

/** Members of requests that take the ARN of an IAM role, e.g. CreateTrainingJobRequest.RoleArn. */
export function isRole(member: string): boolean {
  return /RoleArn$/.test(member);
}

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html */
const ROLE = /^arn:aws[a-z-]*:iam::\d{12}:role\/?[a-zA-Z_0-9+=,.@\-_/]+$/;

export function roleDefect(value: string): Defect | undefined {
  const text = knownText(value) as string;
  if (text.includes(UNKNOWN) || ROLE.test(text)) return undefined;
  return {
    problem: `is ${text || 'empty'}, which is no ARN of a role.`,
    fix: 'write it as arn:aws:iam::111122223333:role/name.',
  };
}
