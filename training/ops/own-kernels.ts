// Whether ops may use Scanline's own kernels (training/native/kernels): they run on the CPU, and only in a process that has them.
import { backend } from '../native/tensorflow';

let allowed = !backend.binding.isUsingGpuDevice();

/** True where an op should use its own kernel; false where it must be composed of TensorFlow's. */
export function useOwnKernels(): boolean {
  return allowed;
}

/** Runs a function whose ops are TensorFlow's alone, so that a graph recorded in it loads anywhere. */
export function withTensorflowOpsOnly<Result>(body: () => Result): Result {
  const before = allowed;
  allowed = false;
  try {
    return body();
  } finally {
    allowed = before;
  }
}

let half = false;

/** Whether what is being recorded will compute its products in bfloat16. */
export function computesInBfloat16(): boolean {
  return half;
}

/** Runs a function that records ops which mixed precision will turn to bfloat16. */
export function inBfloat16<Result>(body: () => Result): Result {
  half = true;
  try {
    return body();
  } finally {
    half = false;
  }
}
