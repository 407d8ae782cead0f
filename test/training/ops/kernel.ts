// One of Scanline's own kernels in a graph of its own, in float32 or in bfloat16.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { encodeSessionConfig } from '../../../training/compiler/session-config';
import type { Feed } from '../../../training/native/addon';
import { native } from '../../../training/native/tensorflow';
import { type Attributes, AttributeType, DataType, type float, type as typeAttribute } from '../../../training/ops/op';
import { assertClose } from '../assert-close';
import { assertAlike, largest } from './gradients';

/** An input of the op's attribute T, which is rounded to bfloat16 whatever the kernel computes in. */
interface Rounded {
  readonly rounded: Tensor;
}
export const rounded = (tensor: Tensor): Rounded => ({ rounded: tensor });

type KernelInput = Tensor | Rounded;
type Inputs = readonly (KernelInput | readonly KernelInput[])[];

interface Outputs {
  /** In order, as float32. */
  readonly values: Float32Array[];
  readonly dtypes: number[];
}

/** Runs an op whose attribute T is the type told. */
export async function runKernel(
  name: string,
  inputs: Inputs,
  attributes: Attributes,
  typeName: 'float32' | 'bfloat16',
): Promise<Outputs> {
  const dtype = DataType[typeName];
  const graph = new native.Graph();
  const feeds: Feed[] = [];
  let operations = 0;
  const add = (type: string, inputs: readonly (number | readonly number[])[], attributes: Attributes) => {
    const list = Object.entries(attributes).map(([name, value]) =>
      typeof value === 'boolean'
        ? { name, type: AttributeType.bool, value }
        : { name, ...(value as ReturnType<typeof float>) },
    );
    return graph.addOperation(type, `operation_${operations++}`, inputs, list, []).outputs;
  };
  const cast = (output: number, from: number, to: number) =>
    add('Cast', [output], { SrcT: typeAttribute(from), DstT: typeAttribute(to) })[0]?.id as number;
  const place = (input: KernelInput): number => {
    const tensor = 'rounded' in input ? input.rounded : input;
    const { float32, bfloat16 } = DataType;
    const given = DataType[tensor.dtype as 'float32' | 'int32'];
    const output = add('Placeholder', [], { dtype: typeAttribute(given) })[0]?.id as number;
    feeds.push({ output, dtype: given, shape: tensor.shape, data: tensor.dataSync() as Float32Array });
    if (!('rounded' in input)) return output;
    const half = cast(output, float32, bfloat16);
    return dtype === bfloat16 ? half : cast(half, bfloat16, float32);
  };
  const ids = inputs.map((input) => (Array.isArray(input) ? input.map(place) : place(input as KernelInput)));
  const outputs = add(name, ids, { T: typeAttribute(dtype), ...attributes });
  const fetches = outputs.map((output) =>
    output.dtype === DataType.bfloat16 ? cast(output.id, output.dtype, DataType.float32) : output.id,
  );
  const session = new native.Session(graph, encodeSessionConfig({}));
  const fetched = await session.run(feeds, fetches, []);
  session.close();
  return { values: fetched.map(({ data }) => data as Float32Array), dtypes: outputs.map((output) => output.dtype) };
}

/** Half of the distance between neighbouring bfloat16 values, as a share of them; twice, for float32's own rounding before. */
const ROUNDING = 2 ** -8;

/** Fails unless a kernel gives in bfloat16 what it gives in float32 for the same inputs, its outputs of type T rounded. */
export async function assertSameInBfloat16(name: string, inputs: Inputs, attributes: Attributes = {}): Promise<void> {
  const full = await runKernel(name, inputs, attributes, 'float32');
  const half = await runKernel(name, inputs, attributes, 'bfloat16');
  for (const [i, values] of half.values.entries()) {
    const expected = full.values[i] as Float32Array;
    if (half.dtypes[i] === DataType.float32) {
      assertAlike([values], [expected], 1e-5);
    } else {
      const least = 1e-5 * largest(expected);
      const shares = values.map((value, j) => {
        const exact = expected[j] as number;
        return (value - exact) / Math.max(Math.abs(exact), least);
      });
      assertClose(shares, new Float32Array(values.length), ROUNDING, `${name}, output ${i}, as a share`);
    }
  }
}
