"""Writes what PyTorch makes of gradients and rates: clipped, averaged, lowered on a plateau, of several parameter groups.

usage: optimization_fixtures.py FOLDER, then npx biome format --write FOLDER
"""
import json
import sys
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

SHAPES = [[3], [2, 2]]


def gradients(count):
    generator = torch.Generator().manual_seed(11)
    return [[3 * torch.randn(shape, generator=generator) for shape in SHAPES] for _ in range(count)]


def clipped(by):
    parameters = [torch.zeros(shape, requires_grad=True) for shape in SHAPES]
    result = []
    for step in gradients(3):
        for parameter, gradient in zip(parameters, step):
            parameter.grad = gradient.clone()
        by(parameters)
        result.append([parameter.grad.flatten().tolist() for parameter in parameters])
    return result


def trained(build, options, factors, decay):
    """Weights, and their moving average, after each of a few updates."""
    torch.manual_seed(2)
    module = torch.nn.ParameterList([torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES])
    start = [parameter.flatten().tolist() for parameter in module]
    optimizer = build([{"params": [p], "lr": 0.05 * f} for p, f in zip(module, factors)], **options)
    average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(decay))
    average.update_parameters(module)  # its first call copies: the average begins with the first weights
    weights, averages = [], []
    for step in gradients(5):
        for parameter, gradient in zip(module, step):
            parameter.grad = gradient.clone()
        optimizer.step()
        average.update_parameters(module)
        weights.append([parameter.flatten().tolist() for parameter in module])
        averages.append([parameter.flatten().tolist() for parameter in average.module])
    return {"start": start, "factors": factors, "decay": decay, "weights": weights, "averages": averages}


SCORES = {
    "min": [1.0, 0.8, 0.79999, 0.81, 0.9, 0.7, 0.7, 0.7, 0.7, 0.6999999, 0.71, 0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6],
    "max": [0.1, 0.2, 0.20001, 0.15, 0.19, 0.3, 0.3, 0.3, 0.29, 0.3000001, 0.4, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1],
}


def plateau(mode):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1e-5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, factor=0.1, patience=2)
    rates = []
    for score in SCORES[mode]:
        scheduler.step(score)
        rates.append(optimizer.param_groups[0]["lr"])
    return {"scores": SCORES[mode], "rates": rates}


def main():
    fixture = {
        "made by": "test/oracle/training/optimization_fixtures.py",
        "torch": torch.__version__,
        "shapes": SHAPES,
        "gradients": [[g.flatten().tolist() for g in step] for step in gradients(5)],
        "clipped": {
            "norm": clipped(lambda p: torch.nn.utils.clip_grad_norm_(p, 5.0)),
            "value": clipped(lambda p: torch.nn.utils.clip_grad_value_(p, 1.5)),
        },
        "trained": {
            "adam": trained(torch.optim.Adam, dict(weight_decay=0.1), [0.1, 1.0], 0.9),
            "adamw": trained(torch.optim.AdamW, dict(weight_decay=0.1), [0.1, 1.0], 0.9),
            "sgd": trained(torch.optim.SGD, dict(momentum=0.9, weight_decay=0.1), [0.1, 1.0], 0.5),
        },
        "plateau": {mode: plateau(mode) for mode in SCORES},
    }
    (Path(sys.argv[1]) / "optimization.json").write_text(json.dumps(fixture) + "\n")


main()
