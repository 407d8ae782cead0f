// Reorders the axes of an array in memory.

/** The values of an array of the given shape with its axes in another order; `axes[i]` is the old axis that becomes the i-th. */
export function permute(data: Float32Array, shape: readonly number[], axes: readonly number[]): Float32Array {
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, length) => product * length, 1));
  const lengths = axes.map((axis) => shape[axis] as number);
  const steps = axes.map((axis) => strides[axis] as number);
  const result = new Float32Array(data.length);
  const [inner, innerStep] = [lengths.at(-1) as number, steps.at(-1) as number];
  const position = lengths.map(() => 0);
  let source = 0;
  for (let target = 0; target < result.length; target += inner) {
    for (let i = 0; i < inner; i++) result[target + i] = data[source + i * innerStep] as number;
    for (let axis = lengths.length - 2; axis >= 0; axis--) {
      source += steps[axis] as number;
      position[axis] = (position[axis] as number) + 1;
      if ((position[axis] as number) < (lengths[axis] as number)) break;
      source -= (steps[axis] as number) * (lengths[axis] as number);
      position[axis] = 0;
    }
  }
  return result;
}
