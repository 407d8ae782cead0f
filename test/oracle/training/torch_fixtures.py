"""Writes what PyTorch computes of learning rates, optimizers and the weighted loss, and what MONAI's networks begin with.

usage: torch_fixtures.py FOLDER, then npx biome format --write FOLDER
"""
import json
import math
import sys
from pathlib import Path

import monai
import torch
from conv_stem_vit import ConvStemViT
from monai.networks.nets import DenseNet, SegResNet, SwinUNETR, UNet, ViT, resnet18

STEPS = 40
PEAK = 0.01


def schedule(make):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=PEAK)
    scheduler = make(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def schedules():
    rates = torch.optim.lr_scheduler
    return {
        "steps": STEPS,
        "peak": PEAK,
        "constant": schedule(lambda o: rates.ConstantLR(o, factor=1)),
        "cosine": schedule(lambda o: rates.CosineAnnealingLR(o, T_max=STEPS)),
        "onecycle": schedule(lambda o: rates.OneCycleLR(o, max_lr=PEAK, total_steps=STEPS, cycle_momentum=False)),
        "polynomial": schedule(lambda o: rates.PolynomialLR(o, total_iters=STEPS, power=0.9)),
        "step": schedule(lambda o: rates.MultiStepLR(o, milestones=[math.ceil(STEPS / 3), math.ceil(2 * STEPS / 3)], gamma=0.1)),
    }


OPTIMIZERS = {
    "adam": (torch.optim.Adam, {}),
    "adam, weight decay": (torch.optim.Adam, dict(weight_decay=0.1)),
    "adamw, weight decay": (torch.optim.AdamW, dict(weight_decay=0.1)),
    "sgd": (torch.optim.SGD, dict(momentum=0)),
    "sgd, momentum": (torch.optim.SGD, dict(momentum=0.9)),
    "sgd, momentum, weight decay": (torch.optim.SGD, dict(momentum=0.8, weight_decay=0.1)),
}


def optimizers():
    """Six steps of a vector whose gradients are given and whose learning rate moves."""
    generator = torch.Generator().manual_seed(1)
    start = torch.randn(5, generator=generator)
    # tiny ones too: there the place of epsilon shows
    gradients = torch.randn(6, 5, generator=generator) * torch.tensor([1, 1e-2, 1e-4, 1e-7, 10])
    rates = [0.1, 0.1, 0.05, 0.02, 0.01, 0.01]
    result = {"start": start.tolist(), "gradients": gradients.tolist(), "rates": rates, "after": {}}
    for name, (build, options) in OPTIMIZERS.items():
        variable = start.clone().requires_grad_()
        optimizer = build([variable], lr=rates[0], **options)
        after = []
        for gradient, rate in zip(gradients, rates):
            optimizer.param_groups[0]["lr"] = rate
            variable.grad = gradient.clone()
            optimizer.step()
            after.append(variable.detach().tolist())
        result["after"][name] = after
    return result


def loss():
    logits = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [30.0, -30.0, 1.0], [-1.0, 2.0, 1.0]])
    labels = torch.tensor([0, 2, 1, 1])
    weights = [1.0, 3.0, 0.5]
    result = {"logits": logits.tolist(), "labels": labels.tolist(), "weights": weights}
    for name, given in (("plain", None), ("weighted", torch.tensor(weights))):
        variable = logits.clone().requires_grad_()
        value = torch.nn.functional.cross_entropy(variable, labels, weight=given)
        value.backward()
        result[name] = {"loss": value.item(), "gradient": variable.grad.tolist()}
    return result


NETWORKS = {
    "densenet121": lambda: DenseNet(spatial_dims=2, in_channels=1, out_channels=2),
    "vit": lambda: ViT(in_channels=1, img_size=(128, 128), patch_size=(16, 16), classification=True, spatial_dims=2, num_classes=2, qkv_bias=True, num_layers=2),
    "resnet18": lambda: resnet18(spatial_dims=2, n_input_channels=1, num_classes=2),
    "vit_conv": lambda: ConvStemViT(in_channels=3, img_size=(32, 32), num_classes=4, num_layers=1),
    "segresnet": lambda: SegResNet(init_filters=8, blocks_down=(1, 1), blocks_up=(1,), upsample_mode="pixelshuffle"),
    "segresnet_deconv": lambda: SegResNet(init_filters=8, blocks_down=(1, 1), blocks_up=(1,), upsample_mode="deconv"),
    "unet": lambda: UNet(spatial_dims=3, in_channels=1, out_channels=2, channels=(8, 16), strides=(2,), num_res_units=2, norm=("group", {"num_groups": 2})),
    "swinunetr": lambda: SwinUNETR(spatial_dims=2, in_channels=1, out_channels=2, feature_size=12, depths=(1, 1, 1, 1)),
}


def begin(build):
    """Mean, deviation and extremes of each parameter over the initial values of a few networks."""
    torch.manual_seed(0)
    drawn = [build() for _ in range(3)]
    statistics = {}
    for name, parameter in drawn[0].named_parameters():
        values = torch.cat([dict(network.named_parameters())[name].detach().double().flatten() for network in drawn])
        statistics[name] = [float(f"{value.item():.6g}") for value in (values.mean(), values.std(unbiased=False), values.min(), values.max())]
    return statistics


def main():
    folder = Path(sys.argv[1])
    made_by = {"made by": "test/oracle/training/torch_fixtures.py", "torch": torch.__version__, "monai": monai.__version__}
    (folder / "torch.json").write_text(json.dumps({**made_by, "schedules": schedules(), "optimizers": optimizers(), "loss": loss()}) + "\n")
    initial = {name: begin(build) for name, build in NETWORKS.items()}
    (folder / "initial_weights.json").write_text(json.dumps({**made_by, "networks": initial}) + "\n")


main()
