"""Writes what PyTorch and MONAI compute of single operations and their gradients, with channels last.

usage: op_fixtures.py FOLDER
"""
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from monai.networks.blocks import SubpixelUpsample
from monai.networks.utils import pixelshuffle
from safetensors.torch import save_file

torch.manual_seed(3)


def conv(axes, **options):
    return (F.conv2d, F.conv3d)[axes - 2], options


def transposed(axes, **options):
    return (F.conv_transpose2d, F.conv_transpose3d)[axes - 2], options


def batch_norm(x, weight, bias):
    return F.batch_norm(x, torch.zeros(x.shape[1]), torch.ones(x.shape[1]), weight, bias, training=True)


def blur(x):
    return SubpixelUpsample(x.ndim - 2, in_channels=1, conv_block=None).pad_pool(x)


CONV = {
    "convolution 2D, stride 2": (conv(2, stride=2, padding=1), [(2, 3, 8, 7), (4, 3, 3, 3)]),
    "convolution 2D, dilated": (conv(2, dilation=(2, 1), padding=(2, 1)), [(2, 2, 7, 6), (3, 2, 3, 3)]),
    "convolution 3D": (conv(3, padding=1), [(2, 3, 5, 4, 6), (4, 3, 3, 3, 3)]),
    "convolution 3D, stride 2": (conv(3, stride=2, padding=1), [(2, 2, 6, 5, 4), (3, 2, 3, 3, 3)]),
    "convolution 3D, stride of each axis": (conv(3, stride=(1, 2, 2), padding=(0, 1, 1)), [(1, 2, 3, 6, 6), (3, 2, 1, 3, 3)]),
    "convolution 3D, dilated": (conv(3, dilation=2, padding=2), [(1, 2, 6, 5, 7), (2, 2, 3, 3, 3)]),
    "convolution 3D, patches": (conv(3, stride=2), [(1, 2, 6, 5, 4), (3, 2, 2, 2, 2)]),
    "convolution 3D, pointwise": (conv(3), [(2, 3, 2, 3, 4), (5, 3, 1, 1, 1)]),
}
TRANSPOSED = {
    "transposed 2D, kernel 2": (transposed(2, stride=2), [(2, 3, 4, 5), (3, 2, 2, 2)]),
    "transposed 2D, kernel 3": (transposed(2, stride=2, padding=1, output_padding=1), [(2, 3, 4, 5), (3, 2, 3, 3)]),
    "transposed 3D, kernel 2": (transposed(3, stride=2), [(2, 3, 2, 3, 2), (3, 4, 2, 2, 2)]),
    "transposed 3D, kernel 3": (transposed(3, stride=2, padding=1, output_padding=1), [(1, 3, 2, 4, 3), (3, 2, 3, 3, 3)]),
    "transposed 3D, output padding": (transposed(3, stride=3, padding=0, output_padding=1), [(1, 2, 2, 2, 3), (2, 2, 2, 2, 2)]),
    "transposed 3D, stride 1": (transposed(3, stride=1, padding=1), [(1, 2, 3, 4, 3), (2, 3, 3, 3, 3)]),
}
OTHER = {
    "group norm 3D": (lambda x, w, b: F.group_norm(x, 3, w, b), [(2, 6, 3, 4, 5), (6,), (6,)]),
    "group norm 2D": (lambda x, w, b: F.group_norm(x, 2, w, b), [(3, 8, 4, 6), (8,), (8,)]),
    "instance norm 3D": (F.instance_norm, [(2, 5, 3, 4, 3)]),
    "batch norm 3D": (batch_norm, [(2, 5, 3, 4, 3), (5,), (5,)]),
    "prelu": (F.prelu, [(2, 5, 3, 4, 3), (1,)]),
    "leaky relu": (lambda x: F.leaky_relu(x, 0.01), [(2, 5, 3, 4)]),
    "max pool 3D": (lambda x: F.max_pool3d(x, 3, 2, 1), [(2, 3, 6, 5, 7)]),
    "average pool 3D": (lambda x: F.avg_pool3d(x, 2), [(2, 3, 6, 4, 7)]),
    "global average pool 3D": (lambda x: F.adaptive_avg_pool3d(x, 1).flatten(1), [(2, 3, 6, 4, 7)]),
    "resize 2D": (lambda x: F.interpolate(x, size=(8, 7), mode="bilinear", align_corners=False), [(2, 3, 4, 5)]),
    "resize 2D, corners aligned": (lambda x: F.interpolate(x, size=(8, 7), mode="bilinear", align_corners=True), [(2, 3, 4, 5)]),
    "resize 3D": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=False), [(2, 3, 2, 3, 1)]),
    "resize 3D, corners aligned": (lambda x: F.interpolate(x, scale_factor=2, mode="trilinear", align_corners=True), [(2, 3, 2, 3, 4)]),
    "resize 3D, smaller": (lambda x: F.interpolate(x, size=(3, 2, 2), mode="trilinear", align_corners=False), [(1, 2, 7, 4, 5)]),
    "pixel shuffle 2D": (lambda x: pixelshuffle(x, 2, 2), [(2, 12, 3, 2)]),
    "pixel shuffle 3D": (lambda x: pixelshuffle(x, 3, 2), [(2, 16, 2, 3, 2)]),
    "blur 3D": (blur, [(2, 1, 3, 4, 5)]),
    "reflect 3D": (lambda x: F.pad(x, (1, 2, 0, 1, 2, 0), mode="reflect"), [(2, 1, 3, 4, 5)]),
}


def channels_last(tensor):
    return tensor.movedim(1, -1) if tensor.ndim > 2 else tensor


def kernel_last(tensor):
    return tensor.permute(*range(2, tensor.ndim), 1, 0)


def main():
    tensors = {}
    for name, (call, shapes) in (CONV | TRANSPOSED | OTHER).items():
        function, options = call if isinstance(call, tuple) else (call, {})
        inputs = [torch.randn(shape).requires_grad_() for shape in shapes]
        value = function(*inputs, **options)
        dy = torch.randn(value.shape)
        value.backward(dy)
        kernels = name in CONV or name in TRANSPOSED
        for i, tensor in enumerate(inputs):
            layout = kernel_last if kernels and i == 1 else channels_last
            tensors |= {f"{name}/input{i}": layout(tensor), f"{name}/gradient{i}": layout(tensor.grad)}
        tensors |= {f"{name}/value": channels_last(value), f"{name}/dy": channels_last(dy)}
    save_file({name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}, Path(sys.argv[1]) / "ops.safetensors")


main()
