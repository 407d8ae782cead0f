// Loads TensorFlow: tfjs on the shared library from the cache, and beside it Scanline's own addon for graphs. Importing it loads it.
import Module from 'node:module';
import { join } from 'node:path';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs-node-gpu';
import { UserError } from '../errors';
import type { NativeLoader, NativeModule } from './addon';
import { addonPath, missingAddons, tfjsFolder } from './addons';
import { type Flavour, flavourOfEnvironment } from './cache';
import { isInstalled, tensorflowFolder } from './install';
import { cpuFallback, inspectMachine } from './machine';

/** What Scanline uses of tfjs-node's backend. The binding is swapped while a graph is recorded. */
export interface TensorflowBackend {
  binding: TensorflowBinding;
  executeMultipleOutputs(
    name: string,
    attributes: OpAttribute[],
    inputs: tfjs.TensorInfo[],
    outputs: number,
  ): tfjs.Tensor[];
  getInputTensorIds(tensors: tfjs.Tensor[]): number[];
  createOutputTensor(metadata: TensorMetadata): tfjs.Tensor;
}

/** What tfjs-node's backend asks of its binding to execute ops and to make, read and drop tensors. */
export interface TensorflowBinding {
  createTensor(shape: number[], dtype: number, values: tfjs.backend_util.BackendValues): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): tfjs.backend_util.BackendValues;
  executeOp(name: string, attributes: OpAttribute[], inputs: number[], outputs: number): TensorMetadata[];
  isUsingGpuDevice(): boolean;
  /** The same tensors, not there before all of them are. Only of a binding that records: executed, ops come one after the other anyway. */
  together?(ids: number[]): TensorMetadata[];
}

export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

/** An attribute of an op; `type` is a TF_AttrType (tensorflow/c/tf_attrtype.h). */
export interface OpAttribute {
  name: string;
  type: number;
  value: unknown;
}

/**
 * Which of the installed builds to load.
 *
 * @default SCANLINE_TENSORFLOW (cpu or gpu), else gpu where there is a device and that build is installed, else cpu
 * @throws UserError when that build, or the binding to it, is not there
 */
export function chooseFlavour(): Flavour {
  const asked = flavourOfEnvironment();
  const flavour =
    asked ?? (isInstalled('gpu') && (inspectMachine().gpus.length > 0 || !isInstalled('cpu')) ? 'gpu' : 'cpu');
  if (isInstalled(flavour) && missingAddons(flavour).length === 0) return flavour;
  throw new UserError(
    isInstalled(flavour)
      ? `the binding to TensorFlow (${flavour}) is not built for this version of Scanline.`
      : `TensorFlow (${flavour}) is not set up on this machine.`,
    `run \`npx scanline setup --tensorflow ${flavour}\`.`,
  );
}

/** tfjs-node 4.22.0 calls these, which Node.js 23 removed; the fix was merged upstream and never released. */
function restoreRemovedUtilities(): void {
  const utilities = util as unknown as Record<string, unknown>;
  utilities.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  utilities.isArray ??= Array.isArray;
}

/** Loads tfjs-node with its binding taken from the cache: in place of the package that would look for it beside tfjs-node. */
function loadTfjs(): typeof tfjs {
  restoreRemovedUtilities();
  const folder = tfjsFolder();
  const locator = require.resolve('@mapbox/node-pre-gyp', { paths: [folder] });
  const standIn = new Module(locator);
  standIn.exports = { find: () => addonPath('tfjs_binding', flavour) };
  standIn.loaded = true;
  require.cache[locator] = standIn;
  try {
    return require(folder);
  } finally {
    delete require.cache[locator];
  }
}

export const flavour = chooseFlavour();

const loader: NativeLoader = require(addonPath('loader', flavour));
loader.load(join(tensorflowFolder(flavour), 'tensorflow', 'libtensorflow_cc.so.2'));

/**
 * Scanline's addon, whose kernels compute as SCANLINE_CPU_FAMILY says.
 *
 * @default the highest family that the processor is of
 * @throws UserError when the processor is of no such family
 */
function loadOwn(): NativeModule {
  const own: NativeModule = require(addonPath('scanline', flavour));
  const asked = process.env.SCANLINE_CPU_FAMILY;
  if (asked === undefined || own.families.includes(asked)) return own;
  throw new UserError(
    `SCANLINE_CPU_FAMILY is '${asked}'; allowed on this processor are ${own.families.join(', ')}.`,
    'unset it, or set one of these.',
  );
}

/** Scanline's addon: graphs and sessions on TensorFlow's C API. */
export const native = loadOwn();

/** tfjs, on TensorFlow's shared library. */
export const tf = loadTfjs();

export const backend = tf.backend() as unknown as TensorflowBackend;

if (flavour === 'gpu' && !backend.binding.isUsingGpuDevice())
  process.stderr.write(`${cpuFallback(inspectMachine(), process.env.SM_NUM_GPUS)}\n`);
