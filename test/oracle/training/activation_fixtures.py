"""Counts what one training step of MONAI's networks in fp32 keeps for the backward pass, and their parameters: numbers, not bytes.

What autograd saves is seen by its hooks, each storage once, parameters left out. lib/stages/training/network-size.ts is held to it.

usage: activation_fixtures.py FILE
"""
import json
import sys

import torch
from conv_stem_vit import ConvStemViT
from monai.networks.nets import DenseNet121, DenseNet201, SegResNet, SwinUNETR, UNet, ViT, resnet18, resnet50

# by the hyperparameters of Scanline: the network, and the shape of a batch
CASES = [
    ({"model_name": "densenet121", "img_size": [128]}, lambda: DenseNet121(2, 1, 2), (2, 1, 128, 128)),
    ({"model_name": "densenet201", "img_size": [64]}, lambda: DenseNet201(2, 1, 2), (2, 1, 64, 64)),
    ({"model_name": "resnet18", "img_size": [128]}, lambda: resnet18(spatial_dims=2, n_input_channels=1, num_classes=2), (2, 1, 128, 128)),
    ({"model_name": "resnet50", "img_size": [64], "conv1_t_stride": 2}, lambda: resnet50(spatial_dims=2, n_input_channels=1, num_classes=2, conv1_t_stride=2), (2, 1, 64, 64)),
    ({"model_name": "resnet50", "img_size": [96], "no_max_pool": True}, lambda: resnet50(spatial_dims=2, n_input_channels=1, num_classes=2, no_max_pool=True), (1, 1, 96, 96)),
    ({"model_name": "vit", "img_size": [128]}, lambda: ViT(1, 128, 16, classification=True, num_classes=2, spatial_dims=2), (2, 1, 128, 128)),
    ({"model_name": "vit", "img_size": [256], "patch_size": [8], "hidden_size": 96, "mlp_dim": 384, "num_layers": 3, "num_heads": 4}, lambda: ViT(1, 256, 8, hidden_size=96, mlp_dim=384, num_layers=3, num_heads=4, classification=True, num_classes=2, spatial_dims=2), (1, 1, 256, 256)),
    ({"model_name": "vit_conv", "img_size": [64]}, lambda: ConvStemViT(1, (64, 64), 2), (2, 1, 64, 64)),
    ({"model_name": "segresnet", "roi_size": [64]}, lambda: SegResNet(3, 8, 1, 2), (1, 1, 64, 64, 64)),
    ({"model_name": "segresnet", "roi_size": [48], "init_filters": 16, "upsample_mode": "deconv"}, lambda: SegResNet(3, 16, 1, 2, upsample_mode="deconv"), (1, 1, 48, 48, 48)),
    ({"model_name": "segresnet", "roi_size": [128], "spatial_dims": 2, "blocks_down": [1, 1, 2], "blocks_up": [1, 1]}, lambda: SegResNet(2, 8, 1, 2, blocks_down=(1, 1, 2), blocks_up=(1, 1)), (2, 1, 128, 128)),
    ({"model_name": "unet", "roi_size": [64]}, lambda: UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2)), (1, 1, 64, 64, 64)),
    ({"model_name": "unet", "roi_size": [64], "num_res_units": 2}, lambda: UNet(3, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2), num_res_units=2), (1, 1, 64, 64, 64)),
    ({"model_name": "unet", "roi_size": [96], "channels": [32, 64, 128], "strides": [1, 2]}, lambda: UNet(3, 1, 2, (32, 64, 128), (1, 2)), (1, 1, 96, 96, 96)),
    ({"model_name": "unet", "roi_size": [256], "spatial_dims": 2}, lambda: UNet(2, 1, 2, (16, 32, 64, 128, 256), (2, 2, 2, 2)), (2, 1, 256, 256)),
    ({"model_name": "swinunetr", "roi_size": [64]}, lambda: SwinUNETR(1, 2, feature_size=24), (1, 1, 64, 64, 64)),
    ({"model_name": "swinunetr", "roi_size": [64], "feature_size": 48}, lambda: SwinUNETR(1, 2, feature_size=48), (1, 1, 64, 64, 64)),
    ({"model_name": "swinunetr", "roi_size": [128], "spatial_dims": 2}, lambda: SwinUNETR(1, 2, feature_size=24, spatial_dims=2), (1, 1, 128, 128)),
]


def kept(network, shape):
    own = {parameter.untyped_storage().data_ptr() for parameter in network.parameters()}
    saved = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            # held, so that no other tensor comes to lie at the same place
            saved[storage.data_ptr()] = (storage, storage.nbytes() / 4)
        return tensor

    # as TensorFlow computes attention: step by step
    attention = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
    with attention, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = network(torch.randn(shape))
        output = output[0] if isinstance(output, tuple) else output
        output.square().mean()
    return round(sum(numbers for _, numbers in saved.values()) / shape[0])


if __name__ == "__main__":
    torch.manual_seed(0)
    found = []
    for hyperparameters, build, shape in CASES:
        network = build().train()
        parameters = sum(parameter.numel() for parameter in network.parameters())
        found.append({"hyperparameters": hyperparameters, "parameters": parameters, "activations": kept(network, shape)})
        print(found[-1], flush=True)
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(one) for one in found) + "\n]\n")
