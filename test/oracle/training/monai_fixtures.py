"""Writes what MONAI computes for small networks: weights, one training step's logits, loss and gradients, and logits in inference.

The weights of the larger networks follow a formula that the test knows too (formula_weights.py), and of their gradients a few values stand
for all: so their fixtures stay small.

usage: monai_fixtures.py FOLDER [--full]
With --full the networks at the sizes of the papers (28 MB and 340 MB), which are not kept in the repository.
"""
import sys
from pathlib import Path

import torch
from conv_stem_vit import ConvStemViT
from formula_weights import draw, load, sample
from monai.networks.nets import DenseNet, DenseNet121, DenseNet169, DenseNet201, DenseNet264, ResNet, SegResNet, SwinUNETR, UNet, ViT
from safetensors.torch import save_file


def densenet(**options):
    return DenseNet(spatial_dims=2, **options)


def vit(**options):
    return ViT(classification=True, spatial_dims=2, **options)


SMALL = {
    "densenet": (densenet, dict(in_channels=3, out_channels=4, init_features=8, growth_rate=4, block_config=(2, 3), bn_size=2), (3, 3, 37, 50)),
    "densenet_elu": (densenet, dict(in_channels=1, out_channels=2, init_features=6, growth_rate=3, block_config=(1, 1, 2), act="elu"), (2, 1, 64, 40)),
    "densenet_wide": (densenet, dict(in_channels=1, out_channels=2, init_features=16, growth_rate=16, block_config=(2, 1), bn_size=2), (2, 1, 64, 52)),
    "vit": (vit, dict(in_channels=1, img_size=(32, 48), patch_size=(8, 16), hidden_size=24, mlp_dim=40, num_layers=2, num_heads=3, num_classes=3), (2, 1, 32, 48)),
    "vit_bias": (vit, dict(in_channels=2, img_size=(37, 35), patch_size=(8, 8), hidden_size=16, mlp_dim=20, num_layers=1, num_heads=4, num_classes=2, qkv_bias=True, post_activation="none"), (3, 2, 37, 35)),
}
GROUPS = ("group", {"num_groups": 2})
BY_FORMULA = {
    "segresnet": (SegResNet, dict(spatial_dims=3, init_filters=8, in_channels=2, out_channels=3, blocks_down=(1, 2, 1), blocks_up=(1, 2)), (2, 2, 8, 12, 4)),
    "segresnet_deconv": (SegResNet, dict(spatial_dims=3, init_filters=4, in_channels=1, out_channels=2, blocks_down=(1, 1), blocks_up=(1,), upsample_mode="deconv", norm=GROUPS, act="leakyrelu"), (1, 1, 6, 8, 4)),
    "segresnet_pixelshuffle": (SegResNet, dict(spatial_dims=3, init_filters=4, in_channels=1, out_channels=2, blocks_down=(1, 1), blocks_up=(1,), upsample_mode="pixelshuffle", norm="instance"), (2, 1, 4, 8, 6)),
    "segresnet_2d": (SegResNet, dict(spatial_dims=2, init_filters=8, in_channels=1, out_channels=2, blocks_down=(1, 1), blocks_up=(1,), upsample_mode="deconv", norm="batch"), (2, 1, 20, 12)),
    "unet": (UNet, dict(spatial_dims=3, in_channels=1, out_channels=2, channels=(4, 8, 16), strides=(2, 2)), (2, 1, 8, 12, 8)),
    "unet_residual": (UNet, dict(spatial_dims=3, in_channels=2, out_channels=4, channels=(4, 6, 8), strides=(2, 1), num_res_units=2, norm=GROUPS), (1, 2, 8, 6, 4)),
    "unet_batch": (UNet, dict(spatial_dims=3, in_channels=1, out_channels=2, channels=(4, 8), strides=(2,), kernel_size=(1, 3, 3), up_kernel_size=(1, 3, 3), norm="batch", act="relu"), (2, 1, 6, 8, 4)),
    "resnet": (ResNet, dict(spatial_dims=2, block="basic", layers=[1, 2, 1, 1], block_inplanes=[4, 6, 8, 12], n_input_channels=2, num_classes=3), (3, 2, 33, 26)),
    "resnet_bottleneck": (ResNet, dict(spatial_dims=3, block="bottleneck", layers=[1, 1, 2, 1], block_inplanes=[2, 3, 4, 6], n_input_channels=1, num_classes=2, conv1_t_size=3, conv1_t_stride=2, no_max_pool=True, bias_downsample=False), (2, 1, 17, 16, 20)),
    "vit_conv": (ConvStemViT, dict(in_channels=3, img_size=(16, 24), hidden_size=16, num_layers=2, num_heads=4, mlp_dim=24, num_classes=4, stem=(4, 6, 6, 8)), (3, 3, 16, 24)),
    "vit_wide": (vit, dict(in_channels=1, img_size=(144, 144), patch_size=(8, 8), hidden_size=640, mlp_dim=650, num_layers=2, num_heads=4, num_classes=2), (2, 1, 144, 144)),
    "swinunetr": (SwinUNETR, dict(spatial_dims=3, in_channels=2, out_channels=3, feature_size=12, window_size=3, depths=(2, 1, 1, 1), norm_name=("group", {"num_groups": 4})), (1, 2, 32, 32, 32)),
    "swinunetr_2d": (SwinUNETR, dict(spatial_dims=2, in_channels=1, out_channels=2, feature_size=12, norm_name="batch", qkv_bias=False), (2, 1, 64, 32)),
    "unet_2d": (UNet, dict(spatial_dims=2, in_channels=1, out_channels=3, channels=(4, 8, 16), strides=(2, 2), num_res_units=1, act="leakyrelu"), (2, 1, 24, 16)),
}
FULL = {
    "densenet121": (densenet, dict(in_channels=1, out_channels=2), (8, 1, 128, 128)),
    "vit_b16": (vit, dict(in_channels=1, img_size=(128, 128), patch_size=(16, 16), num_classes=2), (4, 1, 128, 128)),
}


def logits_of(output):
    return output[0] if isinstance(output, tuple) else output


def reference(build, options, shape, spread):
    torch.manual_seed(7)
    network = build(**options)
    generator = torch.Generator().manual_seed(8)
    # values unlike the initial ones everywhere, so that a forgotten scale, offset or statistic shows
    for parameter in network.parameters():
        parameter.data += spread * torch.randn(parameter.shape, generator=generator)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            buffer += 0.1 * torch.randn(buffer.shape, generator=generator)
        if name.endswith("running_var"):
            buffer *= 1 + 0.5 * torch.rand(buffer.shape, generator=generator)
    tensors = {f"weights.{name}": value.clone() for name, value in network.state_dict().items()}

    images = torch.randn(shape, generator=generator)
    labels = torch.arange(shape[0]) % options.get("out_channels", options.get("num_classes"))
    network.eval()
    with torch.no_grad():
        tensors["inference.logits"] = logits_of(network(images)).clone()
    network.train()
    logits = logits_of(network(images))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    tensors |= {"images": images.permute(0, 2, 3, 1), "labels": labels.to(torch.int32), "training.logits": logits, "loss": loss}
    tensors |= {f"gradients.{name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    tensors |= {f"after.{name}": value for name, value in network.named_buffers() if "running" in name}
    return {name: value.detach().contiguous().clone() for name, value in tensors.items()}


def reference_by_formula(build, options, shape):
    network = build(**options)
    load(network)
    images = draw("images", (shape[0], *shape[2:], shape[1])).movedim(-1, 1)
    classes = options.get("out_channels", options.get("num_classes"))
    network.eval()
    with torch.no_grad():
        inferred = logits_of(network(images))
    pixels = inferred.numel() // classes
    labels = ((torch.arange(pixels) * 7) % 11 % classes).reshape(shape[0], *inferred.shape[2:])
    network.train()
    loss = torch.nn.functional.cross_entropy(logits_of(network(images)), labels)
    loss.backward()
    tensors = {"shape_of_images": torch.tensor((shape[0], *shape[2:], shape[1]), dtype=torch.int32), "loss": loss}
    tensors["inference.logits"] = sample(inferred.movedim(1, -1), 1024)
    tensors |= {f"shape.{name}": torch.tensor(value.shape, dtype=torch.int32) for name, value in network.state_dict().items()}
    tensors |= {f"gradients.{name}": sample(p.grad) for name, p in network.named_parameters() if p.grad is not None}
    tensors |= {f"after.{name}": value for name, value in network.named_buffers() if "running" in name}
    return {name: value.detach().contiguous().clone() for name, value in tensors.items()}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (build, options, shape) in (FULL if "--full" in sys.argv else SMALL).items():
        save_file(reference(build, options, shape, 0 if "--full" in sys.argv else 0.05), folder / f"{name}.safetensors")
    if "--full" not in sys.argv:
        for name, (build, options, shape) in BY_FORMULA.items():
            save_file(reference_by_formula(build, options, shape), folder / f"{name}.safetensors")
    if "--full" in sys.argv:
        for build in (DenseNet121, DenseNet169, DenseNet201, DenseNet264):
            print(build.__name__, sum(p.numel() for p in build(spatial_dims=2, in_channels=1, out_channels=2).parameters()))


main()
