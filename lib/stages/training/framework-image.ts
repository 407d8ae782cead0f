// AWS's own images for script mode, by framework and version: where they are published, and under which tag.
import { Stack, Token } from 'aws-cdk-lib';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { FactName, RegionInfo } from 'aws-cdk-lib/region-info';
import type { Construct } from 'constructs';
import type { Finding, Text } from '../../pipeline';
import { ByocImage } from '../byoc-image';
import { refusal } from '../checks/checks';
import { knownText } from '../checks/known-text';

/**
 * Frameworks of which AWS publishes images. huggingface is transformers on PyTorch, huggingface-tensorflow on TensorFlow, which AWS no
 * longer brings up to date.
 */
export type Framework = 'pytorch' | 'tensorflow' | 'huggingface' | 'huggingface-tensorflow';

export interface FrameworkImageProps {
  readonly framework: Framework;
  /** The framework's version, e.g. 2.6.0 or 2.6; of Hugging Face that of transformers. @default the newest that is listed here */
  readonly version?: string;
  /** e.g. py312. @default the one that AWS publishes for the version */
  readonly pythonVersion?: string;
  /** The rest of the tag, for one very build, e.g. cu126-ubuntu22.04-sagemaker. @default as AWS's Python SDK has it */
  readonly containerVersion?: string;
  /** Decides between the CPU and the GPU image. @default ml.g5.xlarge */
  readonly instanceType?: Text;
}

interface Release {
  readonly python: string;
  /** Of Hugging Face: the version of PyTorch or TensorFlow inside. */
  readonly inside?: string;
  /** What follows the Python version in the tag. */
  readonly container?: string;
}

/**
 * What AWS publishes, oldest first, as its Python SDK 2.245.0 knows it (image_uri_config of that package). The SDK's tags name CUDA
 * only for Hugging Face; those of PyTorch and TensorFlow are moved by AWS to its newest build of that version.
 */
const RELEASES: Readonly<Record<Framework, Readonly<Record<string, Release>>>> = {
  pytorch: {
    '1.13.1': { python: 'py39' },
    '2.0.0': { python: 'py310' },
    '2.0.1': { python: 'py310' },
    '2.1.0': { python: 'py310' },
    '2.2.0': { python: 'py310' },
    '2.3.0': { python: 'py311' },
    '2.4.0': { python: 'py311' },
    '2.5.1': { python: 'py311' },
    '2.6.0': { python: 'py312' },
  },
  tensorflow: {
    '2.11.0': { python: 'py39' },
    '2.12.0': { python: 'py310' },
    '2.13.0': { python: 'py310' },
    '2.14.1': { python: 'py310' },
    '2.16.2': { python: 'py310' },
    '2.18.0': { python: 'py310' },
  },
  huggingface: {
    '4.26.0': { python: 'py39', inside: '1.13.1', container: 'cu117-ubuntu20.04' },
    '4.28.1': { python: 'py310', inside: '2.0.0', container: 'cu118-ubuntu20.04' },
    '4.36.0': { python: 'py310', inside: '2.1.0', container: 'cu121-ubuntu20.04' },
    '4.46.1': { python: 'py311', inside: '2.3.0', container: 'cu121-ubuntu20.04' },
    '4.48.0': { python: 'py311', inside: '2.3.0', container: 'cu121-ubuntu20.04' },
    '4.49.0': { python: 'py311', inside: '2.5.1', container: 'cu124-ubuntu22.04' },
  },
  'huggingface-tensorflow': {
    '4.4.2': { python: 'py37', inside: '2.4.1' },
    '4.5.0': { python: 'py37', inside: '2.4.1' },
    '4.6.1': { python: 'py37', inside: '2.4.1', container: 'cu110-ubuntu18.04' },
    '4.10.2': { python: 'py37', inside: '2.5.1', container: 'cu112-ubuntu18.04' },
    '4.11.0': { python: 'py37', inside: '2.5.1', container: 'cu112-ubuntu18.04' },
    '4.12.3': { python: 'py37', inside: '2.5.1', container: 'cu112-ubuntu18.04' },
    '4.17.0': { python: 'py38', inside: '2.6.3', container: 'cu112-ubuntu20.04' },
  },
};

const REPOSITORIES: Readonly<Record<Framework, string>> = {
  pytorch: 'pytorch-training',
  tensorflow: 'tensorflow-training',
  huggingface: 'huggingface-pytorch-training',
  'huggingface-tensorflow': 'huggingface-tensorflow-training',
};

/** Regions that the Python SDK knows and CDK's facts do not. */
const OTHER_REGIONS: Readonly<Record<string, string>> = {
  'af-south-1': '626614931356',
  'ap-northeast-3': '364406365360',
  'ca-west-1': '204538143572',
  'il-central-1': '780543022126',
  'us-gov-east-1': '446045086412',
  'us-gov-west-1': '442386744353',
  'us-iso-east-1': '886529160074',
  'us-isob-east-1': '094389454867',
};

/** The account that publishes in a region; undefined where AWS publishes none. */
function publisher(region: string): string | undefined {
  return RegionInfo.get(region).dlcRepositoryAccount ?? OTHER_REGIONS[region];
}

/** The release that a version names: itself, or the newest that begins with it. */
function releaseOf(framework: Framework, version: string | undefined): [string, Release] | undefined {
  const releases = Object.entries(RELEASES[framework] ?? {});
  return releases.findLast(([name]) => version === undefined || name === version || name.startsWith(`${version}.`));
}

/** The whole version that a version names, the newest where none is named; undefined where there is none such. */
export function releaseVersion(framework: Framework, version: string | undefined): string | undefined {
  return releaseOf(framework, version)?.[0];
}

/** Whether an instance type has GPUs: its family begins with g or p. */
export function hasGpu(instanceType: Text | undefined): boolean {
  return /^ml\.[gp]\d/.test(knownText(instanceType ?? 'ml.g5.xlarge') ?? 'ml.g5.xlarge');
}

/** What is wrong with the props, all at once. */
export function checkFrameworkImage(scope: Construct, where: string, props: FrameworkImageProps): Finding[] {
  const { framework, version, instanceType } = props;
  const findings: Finding[] = [];
  const refuse = (...details: [string, unknown, string, string]) => findings.push(refusal(where, ...details));
  if (!(framework in RELEASES)) {
    const frameworks = Object.keys(RELEASES).join(', ');
    refuse('framework', `'${framework}'`, frameworks, 'choose one of these, or set image to an image of your own');
    return findings;
  }
  if (!releaseOf(framework, version)) {
    const versions = Object.keys(RELEASES[framework]).join(', ');
    refuse('version', `'${version}'`, `of ${framework} ${versions}`, 'choose one of these, or set image to the URI');
  }
  const region = Stack.of(scope).region;
  if (!Token.isUnresolved(region) && publisher(region) === undefined) {
    const fix = 'deploy to another region, or copy the image to your registry and set image to its URI';
    refuse('framework', `${framework} in ${region}`, 'a region in which AWS publishes its images', fix);
  }
  if (framework.startsWith('huggingface') && !hasGpu(instanceType)) {
    const fix = 'choose e.g. ml.g5.xlarge, or set image to an image of your own';
    refuse('instanceType', knownText(instanceType), "one with a GPU, as AWS's Hugging Face images need", fix);
  }
  return findings;
}

/** The tag under which AWS publishes the image. */
export function frameworkTag(props: FrameworkImageProps): string {
  const [version, release] = releaseOf(props.framework, props.version) as [string, Release];
  const framework = release.inside === undefined ? version : `${release.inside}-transformers${version}`;
  const container = props.containerVersion ?? release.container;
  return [framework, hasGpu(props.instanceType) ? 'gpu' : 'cpu', props.pythonVersion ?? release.python, container]
    .filter((part) => part !== undefined)
    .join('-');
}

/** The image, in the registry of the stack's region. */
export function frameworkImage(scope: Construct, id: string, props: FrameworkImageProps): ByocImage {
  const stack = Stack.of(scope);
  const account = Token.isUnresolved(stack.region)
    ? stack.regionalFact(FactName.DLC_REPOSITORY_ACCOUNT)
    : (publisher(stack.region) as string);
  const repository = Repository.fromRepositoryAttributes(scope, `${id}Repository`, {
    repositoryArn: stack.formatArn({
      service: 'ecr',
      account,
      resource: 'repository',
      resourceName: REPOSITORIES[props.framework],
    }),
    repositoryName: REPOSITORIES[props.framework],
  });
  return ByocImage.fromEcr(scope, id, repository, frameworkTag(props));
}
