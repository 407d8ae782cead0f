// Activations and softmax with native or fused gradients.
import type { Tensor } from '@tensorflow/tfjs-node-gpu';
import { differentiable, float, float32, op } from './op';
import { useOwnKernels } from './own-kernels';

export function relu(x: Tensor): Tensor {
  return differentiable(
    [x],
    ([x], save) => {
      const y = op('Relu', [x], { T: float32 });
      save([y]);
      return y;
    },
    (dy, [y]) => [op('ReluGrad', [dy, y as Tensor], { T: float32 })],
  );
}

/**
 * Negative values multiplied by a slope: LeakyReLU, or with a tensor of one value that is learned PReLU (He et al.,
 * https://arxiv.org/abs/1502.01852).
 */
export function prelu(x: Tensor, slope: number | Tensor): Tensor {
  if (typeof slope === 'number') return slope === 0 ? relu(x) : leakyRelu(x, slope);
  return differentiable(
    [x, slope],
    ([x, slope], save) => {
      save([x, slope]);
      return op('Relu', [x], { T: float32 }).add(x.minimum(0).mul(slope));
    },
    (dy, saved) => {
      const [x, slope] = saved as [Tensor, Tensor];
      const above = op('ReluGrad', [dy, x], { T: float32 });
      const below = dy.sub(above);
      return [above.add(below.mul(slope)), below.mul(x).sum().reshape(slope.shape)];
    },
  );
}

function leakyRelu(x: Tensor, slope: number): Tensor {
  const attributes = { T: float32, alpha: float(slope) };
  return differentiable(
    [x],
    ([x], save) => {
      save([x]);
      return op('LeakyRelu', [x], attributes);
    },
    (dy, [x]) => [op('LeakyReluGrad', [dy, x as Tensor], attributes)],
  );
}

/** The exact Gaussian error linear unit, x * Phi(x) (Hendrycks & Gimpel, https://arxiv.org/abs/1606.08415), as PyTorch's default. */
export function gelu(x: Tensor): Tensor {
  return useOwnKernels() ? ownGelu(x) : tensorflowGelu(x);
}

/** With the kernel of kernels/activations/gelu.cc. */
function ownGelu(x: Tensor): Tensor {
  return differentiable(
    [x],
    ([x], save) => {
      save([x]);
      return op('ScanlineGelu', [x], { T: float32 });
    },
    (dy, [x]) => [op('ScanlineGeluGrad', [dy, x as Tensor], { T: float32 })],
  );
}

function tensorflowGelu(x: Tensor): Tensor {
  const cumulative = (x: Tensor) => x.mul(Math.SQRT1_2).erf().add(1).mul(0.5);
  return differentiable(
    [x],
    ([x], save) => {
      save([x]);
      return x.mul(cumulative(x));
    },
    (dy, saved) => {
      const [x] = saved as [Tensor];
      const density = x
        .square()
        .mul(-0.5)
        .exp()
        .mul(1 / Math.sqrt(2 * Math.PI));
      return [dy.mul(cumulative(x).add(x.mul(density)))];
    },
  );
}

/** Softmax over the last axis. */
export function softmax(x: Tensor): Tensor {
  return differentiable(
    [x],
    ([x], save) => {
      const y = op('Softmax', [x], { T: float32 });
      save([y]);
      return y;
    },
    (dy, saved) => {
      const [y] = saved as [Tensor];
      if (useOwnKernels()) return [op('ScanlineSoftmaxGrad', [dy, y], { T: float32 })];
      const product = dy.mul(y);
      return [product.sub(y.mul(product.sum(-1, true)))];
    },
  );
}
