"""Writes what MONAI computes of networks with deep supervision: each level's logits, the weighted loss of all, and its gradients.

The networks are MONAI's own with 1 x 1 x 1 convolutions on the levels of their decoders, as its SegResNetDS has them; the loss is MONAI's
DeepSupervisionLoss with nnU-Net's weights: 1, 1/2, 1/4, ..., divided by their sum. Weights and images follow formula_weights.py.

usage: deep_supervision_fixtures.py FOLDER
"""
import sys
from pathlib import Path

import torch
from formula_weights import draw, load, sample
from monai.losses import DeepSupervisionLoss, DiceCELoss
from monai.networks.nets import SegResNet, UNet
from safetensors.torch import save_file

CLASSES = 3
HEADS = 2


class DeepSegResNet(SegResNet):
    def __init__(self, **options):
        super().__init__(out_channels=CLASSES, **options)
        filters = [self.init_filters * 2 ** (level + 1) for level in range(HEADS)]
        self.deep_supervision_heads = torch.nn.ModuleList(torch.nn.Conv3d(channels, CLASSES, 1) for channels in filters)

    def levels(self, images):
        x, skips = self.encode(images)
        outputs = []
        for up, layers, skip in zip(self.up_samples, self.up_layers, skips[::-1][1:]):
            x = layers(up(x) + skip)
            outputs.insert(0, x)
        coarser = [head(features) for head, features in zip(self.deep_supervision_heads, outputs[1:])]
        return [self.conv_final(x), *coarser]


class DeepUNet(UNet):
    def __init__(self, channels, **options):
        super().__init__(spatial_dims=3, out_channels=CLASSES, channels=channels, **options)
        self.deep_supervision_heads = torch.nn.ModuleList(torch.nn.Conv3d(channels[level], CLASSES, 1) for level in range(HEADS))

    def levels(self, images):
        outputs, level = [], self.model
        for _ in range(HEADS):
            level = level[1].submodule
            level[2].register_forward_hook(lambda module, inputs, output: outputs.insert(0, output))
        logits = self(images)
        return [logits, *(head(features) for head, features in zip(self.deep_supervision_heads, outputs))]


GROUPS = ("group", {"num_groups": 2})
NETWORKS = {
    "segresnet_deep": (DeepSegResNet(spatial_dims=3, init_filters=4, in_channels=1, blocks_down=(1, 1, 1, 1), blocks_up=(1, 1, 1), norm=GROUPS), (2, 1, 8, 16, 8)),
    "unet_deep": (DeepUNet(in_channels=2, channels=(4, 6, 8, 10), strides=(2, 1, 2), norm=GROUPS), (1, 2, 8, 12, 16)),
}


def reference(network, shape):
    load(network)
    images = draw("images", (shape[0], *shape[2:], shape[1])).movedim(-1, 1)
    pixels = shape[0] * shape[2] * shape[3] * shape[4]
    labels = ((torch.arange(pixels) * 7) % 11 % CLASSES).reshape(shape[0], 1, *shape[2:])
    weights = [0.5**level for level in range(HEADS + 1)]
    loss_of = DeepSupervisionLoss(DiceCELoss(softmax=True, to_onehot_y=True), weights=[weight / sum(weights) for weight in weights])
    network.train()
    levels = network.levels(images)
    loss = loss_of(levels, labels.float())
    loss.backward()
    tensors = {"shape_of_images": torch.tensor((shape[0], *shape[2:], shape[1]), dtype=torch.int32), "loss": loss}
    tensors |= {f"level.{number}": sample(logits.movedim(1, -1), 512) for number, logits in enumerate(levels)}
    tensors |= {f"shape.{name}": torch.tensor(value.shape, dtype=torch.int32) for name, value in network.state_dict().items()}
    tensors |= {f"gradients.{name}": sample(p.grad) for name, p in network.named_parameters() if p.grad is not None}
    return {name: value.detach().contiguous().clone() for name, value in tensors.items()}


for name, (network, shape) in NETWORKS.items():
    save_file(reference(network, shape), Path(sys.argv[1]) / f"{name}.safetensors")
