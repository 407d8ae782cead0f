"""Writes what MONAI and PyTorch compute of losses and their gradients on small random volumes.

usage: loss_fixtures.py FOLDER, then npx biome format --write FOLDER
"""
import json
import sys
from pathlib import Path

import monai
import torch
from monai.losses import DiceCELoss, DiceFocalLoss, DiceLoss, FocalLoss, TverskyLoss

IGNORED = 7
SHAPES = {"volume": (2, 2, 3, 2, 3), "image": (3, 4, 2, 4), "row": (5, 3), "single": (2, 3, 4, 1)}


def plain(tensor):
    """Seven digits: more than float32 keeps of a sum."""
    return [float(f"{value:.7g}") for value in tensor.flatten().tolist()]


def inputs():
    generator = torch.Generator().manual_seed(3)
    result = {}
    for name, shape in SHAPES.items():
        classes = max(2, shape[-1])
        labels = torch.randint(0, classes, shape[:-1], generator=generator)
        ignoring = labels.clone()
        ignoring[torch.rand(labels.shape, generator=generator) < 0.3] = IGNORED
        result[name] = {"logits": 2 * torch.randn(shape, generator=generator), "labels": labels, "ignoring": ignoring}
    return result


def channels_first(tensor):
    return tensor.movedim(-1, 1)



WEIGHTS = {2: [0.5, 2.0], 3: [1.0, 3.0, 0.5], 4: [0.2, 1.0, 2.0, 0.7]}


def cases():
    """name -> (name of the input, our options, MONAI's loss of channels first logits and labels)"""
    with_softmax = dict(softmax=True, to_onehot_y=True)
    with_sigmoid = dict(sigmoid=True, to_onehot_y=True)
    weight = lambda name: WEIGHTS[SHAPES[name][-1]]
    for name in ("volume", "image"):
        w = weight(name)
        yield f"dice, {name}", name, dict(name="dice"), DiceLoss(**with_softmax)
        yield f"dice of sigmoids, {name}", name, dict(name="dice", activation="sigmoid"), DiceLoss(**with_sigmoid)
        yield f"dice without background, {name}", name, dict(name="dice", includeBackground=False), DiceLoss(include_background=False, **with_softmax)
        yield f"dice of squares over the batch, {name}", name, dict(name="dice", squaredPred=True, batch=True), DiceLoss(squared_pred=True, batch=True, **with_softmax)
        yield f"dice with an ignored label, {name}", name, dict(name="dice", ignoreIndex=IGNORED), DiceLoss(ignore_index=IGNORED, **with_softmax)
        yield f"weighted dice, {name}", name, dict(name="dice", classWeights=w), DiceLoss(weight=w, **with_softmax)
        yield f"dice_ce, {name}", name, dict(name="dice_ce"), DiceCELoss(**with_softmax)
        yield f"weighted dice_ce without background, {name}", name, dict(name="dice_ce", includeBackground=False, classWeights=w, labelSmoothing=0.1), DiceCELoss(include_background=False, weight=torch.tensor(w), label_smoothing=0.1, **with_softmax)
        yield f"dice_focal, {name}", name, dict(name="dice_focal"), DiceFocalLoss(**with_softmax)
        yield f"focal, {name}", name, dict(name="focal"), FocalLoss(to_onehot_y=True, use_softmax=True)
        yield f"focal of sigmoids, gamma 1.5, {name}", name, dict(name="focal", activation="sigmoid", gamma=1.5), FocalLoss(to_onehot_y=True, gamma=1.5)
        yield f"weighted focal without background, {name}", name, dict(name="focal", includeBackground=False, classWeights=w), FocalLoss(to_onehot_y=True, use_softmax=True, include_background=False, weight=w[1:])
        yield f"focal with an ignored label, {name}", name, dict(name="focal", ignoreIndex=IGNORED), FocalLoss(to_onehot_y=True, use_softmax=True, ignore_index=IGNORED)
        yield f"tversky, {name}", name, dict(name="tversky", alpha=0.3, beta=0.7), TverskyLoss(alpha=0.3, beta=0.7, **with_softmax)
        yield f"tversky without background with an ignored label, {name}", name, dict(name="tversky", alpha=0.3, beta=0.7, includeBackground=False, ignoreIndex=IGNORED), TverskyLoss(alpha=0.3, beta=0.7, include_background=False, ignore_index=IGNORED, **with_softmax)
    for name in ("volume", "image", "row"):
        w = torch.tensor(weight(name))
        entropy = torch.nn.CrossEntropyLoss
        yield f"cross_entropy, {name}", name, dict(name="cross_entropy"), entropy()
        yield f"weighted cross_entropy with an ignored label, {name}", name, dict(name="cross_entropy", classWeights=w.tolist(), ignoreIndex=IGNORED), entropy(weight=w, ignore_index=IGNORED)
        yield f"weighted, smoothed cross_entropy with an ignored label, {name}", name, dict(name="cross_entropy", classWeights=w.tolist(), ignoreIndex=IGNORED, labelSmoothing=0.2), entropy(weight=w, ignore_index=IGNORED, label_smoothing=0.2)
    yield "dice of one channel", "single", dict(name="dice", activation="sigmoid"), DiceLoss(sigmoid=True)
    yield "dice_ce of one channel", "single", dict(name="dice_ce", activation="sigmoid"), DiceCELoss(sigmoid=True)
    yield "focal of one channel", "single", dict(name="focal", activation="sigmoid"), FocalLoss()


def evaluate(given, options, loss):
    ignoring = options.get("ignoreIndex") is not None
    logits = given["logits"].clone().requires_grad_()
    labels = given["ignoring" if ignoring else "labels"]
    if isinstance(loss, torch.nn.CrossEntropyLoss):
        value = loss(channels_first(logits), labels)
    else:
        value = loss(channels_first(logits), labels[:, None].to(torch.float32 if logits.shape[-1] == 1 else torch.long))
    value.backward()
    return {"loss": value.item(), "gradient": plain(logits.grad)}


def main():
    given = inputs()
    fixture = {
        "made by": "test/oracle/training/loss_fixtures.py",
        "torch": torch.__version__,
        "monai": monai.__version__,
        "inputs": {
            name: {"shape": list(SHAPES[name]), "logits": value["logits"].flatten().tolist(), "labels": value["labels"].flatten().tolist(), "ignoring": value["ignoring"].flatten().tolist()}
            for name, value in given.items()
        },
        "cases": {title: {"input": name, "options": options, **evaluate(given[name], options, loss)} for title, name, options, loss in cases()},
    }
    (Path(sys.argv[1]) / "losses.json").write_text(json.dumps(fixture) + "\n")


main()
