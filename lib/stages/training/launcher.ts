// How a script is started on several GPUs or instances, as AWS's Python SDK 2 asks its containers for it.
import { Expression, type Finding, type Text } from '../../pipeline';
import { refusal } from '../checks/checks';
import { toText } from '../checks/known-text';
import { type Framework, hasGpu, releaseVersion } from './framework-image';

/**
 * - pytorchddp: PyTorch's DistributedDataParallel, by mpirun and SageMaker's own library, a process a GPU; on PyTorch up to 2.2
 * - torch_distributed: torchrun, a process a GPU
 * - mpi: mpirun, also Horovod
 * - parameter_server: TensorFlow's
 */
export type Launcher = 'pytorchddp' | 'torch_distributed' | 'mpi' | 'parameter_server';

/** How a script runs on several GPUs or instances. */
export interface LauncherProps {
  /** How the script is started. @default once on each instance */
  readonly launcher?: Launcher;
  /** With mpi: processes on each instance. @default the container's: one */
  readonly processesPerHost?: number;
  /** With mpi: more options of mpirun. @default none */
  readonly mpiOptions?: string;
}

/** The newest PyTorch whose images have that library: fw_utils.py of AWS's Python SDK 2.257.7. */
const NEWEST_PYTORCH_DDP = '2.2.0';

const LAUNCHERS: readonly Launcher[] = ['pytorchddp', 'torch_distributed', 'mpi', 'parameter_server'];

const PYTORCH: readonly Launcher[] = ['torch_distributed', 'pytorchddp', 'mpi'];

/** By the framework whose image it is; an image of one's own may have any. */
const OF_FRAMEWORKS: Readonly<Record<string, readonly Launcher[]>> = {
  pytorch: PYTORCH,
  huggingface: PYTORCH,
  tensorflow: ['mpi', 'parameter_server'],
  'huggingface-tensorflow': ['mpi'],
};

/** What is wrong with the props, all at once. */
export function checkLauncher(
  where: string,
  props: LauncherProps & {
    readonly framework?: Framework;
    readonly version?: string;
    readonly image?: unknown;
    readonly entryPoint: string;
    readonly instanceType?: Text;
  },
): Finding[] {
  const { launcher, processesPerHost, mpiOptions, framework, entryPoint, instanceType } = props;
  const findings: Finding[] = [];
  const refuse = (...details: [string, unknown, string, string]) => findings.push(refusal(where, ...details));
  if (launcher !== undefined && !LAUNCHERS.includes(launcher)) {
    refuse('launcher', `'${launcher}'`, LAUNCHERS.join(', '), 'choose one of these');
  }
  const own = OF_FRAMEWORKS[framework ?? ''];
  if (launcher !== undefined && LAUNCHERS.includes(launcher) && own && !own.includes(launcher)) {
    refuse('launcher', `${launcher} with ${framework}`, own.join(', '), 'choose one of these');
  }
  if (framework === 'pytorch' && props.image === undefined && launcher === 'pytorchddp') {
    const version = releaseVersion(framework, props.version);
    if (version !== undefined && version.localeCompare(NEWEST_PYTORCH_DDP, 'en', { numeric: true }) > 0) {
      const fix = "set launcher to torch_distributed, or version to '2.2'";
      refuse('launcher', `pytorchddp with PyTorch ${version}`, `it up to ${NEWEST_PYTORCH_DDP}`, fix);
    }
  }
  if (launcher === 'torch_distributed' && !entryPoint.endsWith('.py')) {
    refuse('entryPoint', `'${entryPoint}'`, 'with torch_distributed a .py file', 'start from a Python program');
  }
  if ((launcher === 'torch_distributed' || launcher === 'pytorchddp') && !hasGpu(instanceType)) {
    const fix = 'choose an instance type with GPUs, or another launcher';
    refuse('launcher', `${launcher} on an instance without a GPU`, 'it with GPUs', fix);
  }
  if (launcher !== 'mpi' && (processesPerHost !== undefined || mpiOptions !== undefined)) {
    const prop = processesPerHost === undefined ? 'mpiOptions' : 'processesPerHost';
    refuse(prop, props[prop], 'it with launcher mpi alone', `set launcher to mpi, or leave ${prop} out`);
  }
  if (processesPerHost !== undefined && !(Number.isInteger(processesPerHost) && processesPerHost >= 1)) {
    refuse('processesPerHost', processesPerHost, 'a whole number from 1', 'give e.g. the number of GPUs');
  }
  return findings;
}

/** The hyperparameters by which the container is told. */
export function launcherHyperparameters(
  { launcher, processesPerHost, mpiOptions = '', framework }: LauncherProps & { readonly framework?: Framework },
  instanceType: Text,
): Readonly<Record<string, Text>> {
  // the SDK leaves what the pipeline fills in without quotes
  const sagemaker_instance_type =
    instanceType instanceof Expression ? toText(instanceType) : JSON.stringify(instanceType);
  switch (launcher) {
    case undefined:
      return {};
    case 'pytorchddp':
      // the SDK's PyTorch estimator asks for SageMaker's library, its Hugging Face estimator for the toolkit's own launcher
      if (framework === 'huggingface') return { sagemaker_pytorch_ddp_enabled: 'true', sagemaker_instance_type };
      return {
        sagemaker_distributed_dataparallel_enabled: 'true',
        sagemaker_distributed_dataparallel_custom_mpi_options: '""',
        sagemaker_instance_type,
      };
    case 'torch_distributed':
      return { sagemaker_torch_distributed_enabled: 'true', sagemaker_instance_type };
    case 'mpi':
      return {
        sagemaker_mpi_enabled: 'true',
        ...(processesPerHost !== undefined && {
          sagemaker_mpi_num_of_processes_per_host: String(processesPerHost),
        }),
        sagemaker_mpi_custom_mpi_options: JSON.stringify(mpiOptions),
      };
    case 'parameter_server':
      return { sagemaker_parameter_server_enabled: 'true' };
  }
}
