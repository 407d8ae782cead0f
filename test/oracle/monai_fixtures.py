"""Writes what MONAI computes for small networks: weights, one training step's logits, loss and gradients, and logits in inference.

usage: monai_fixtures.py FOLDER [--full]
With --full also the networks at the sizes of the papers (28 MB and 340 MB), which are not kept in the repository.
"""
import sys
from pathlib import Path

import torch
from monai.networks.nets import DenseNet, DenseNet121, DenseNet169, DenseNet201, DenseNet264, ViT
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


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (build, options, shape) in (FULL if "--full" in sys.argv else SMALL).items():
        save_file(reference(build, options, shape, 0 if "--full" in sys.argv else 0.05), folder / f"{name}.safetensors")
    if "--full" in sys.argv:
        for build in (DenseNet121, DenseNet169, DenseNet201, DenseNet264):
            print(build.__name__, sum(p.numel() for p in build(spatial_dims=2, in_channels=1, out_channels=2).parameters()))


main()
