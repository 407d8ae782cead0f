"""Writes MONAI's metrics of segmented volumes, scikit-learn's of classified samples, and MONAI's sliding-window inference.

usage: metric_fixtures.py FOLDER, then npx biome format --write FOLDER
"""
import json
import math
import sys
import warnings
from pathlib import Path

import monai
import numpy as np
import sklearn
import torch
from monai.inferers import sliding_window_inference
from monai.metrics import DiceMetric, MeanIoU, compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou
from monai.networks import one_hot
from scipy.ndimage import gaussian_filter
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

warnings.filterwarnings("ignore")


def known(values):
    """JSON has no NaN and no infinity."""
    flat = np.asarray(values, dtype=float).flatten().tolist()
    return ["nan" if math.isnan(v) else "inf" if math.isinf(v) else float(f"{v:.8g}") for v in flat]


def blobs(generator, shape, classes):
    """Smooth regions of every class."""
    return np.argmax([gaussian_filter(generator.normal(size=shape), 1.5) for _ in range(classes)], axis=0)


def volumes():
    generator = np.random.default_rng(5)
    both = lambda shape, classes: (blobs(generator, shape, classes), blobs(generator, shape, classes))
    yield "blobs", *both((12, 10, 8), 3), 3, [1.0, 1.0, 1.0]
    yield "anisotropic blobs", *both((9, 11, 7), 4), 4, [0.7, 0.7, 2.5]
    yield "an image", *both((24, 17), 3), 3, [0.5, 1.5]
    truth = blobs(generator, (10, 10, 10), 2)
    yield "equal to the truth", truth, truth, 2, [1.0, 2.0, 3.0]
    noise = (generator.random((8, 8, 8)) < 0.1).astype(int)
    yield "scattered voxels", noise, (generator.random((8, 8, 8)) < 0.1).astype(int), 2, [1.0, 1.0, 1.5]
    empty, corner = np.zeros((6, 5, 4), int), np.zeros((6, 5, 4), int)
    corner[:2, :2, :2] = 1
    yield "nothing predicted", empty, corner, 2, [1.0, 1.0, 1.0]
    yield "nothing there", corner, empty, 2, [1.0, 1.0, 1.0]
    yield "neither predicted nor there", empty, empty, 2, [1.0, 1.0, 1.0]
    opposite = np.zeros((6, 5, 4), int)
    opposite[5, 4, 3] = 1
    yield "opposite corners", corner, opposite, 2, [1.0, 2.0, 0.5]


def hot(labels, classes):
    return one_hot(torch.as_tensor(labels.copy())[None, None], num_classes=classes)


def measure(predicted, truth, classes, spacing):
    pair = dict(y_pred=hot(predicted, classes), y=hot(truth, classes))
    surfaces = dict(include_background=True, spacing=spacing)
    return {
        "shape": list(truth.shape),
        "spacing": spacing,
        "classes": classes,
        "predicted": "".join(map(str, predicted.flatten())),
        "actual": "".join(map(str, truth.flatten())),
        "dice": known(compute_dice(**pair)),
        "iou": known(compute_iou(**pair)),
        "hausdorff95": known(compute_hausdorff_distance(**pair, **surfaces, percentile=95)),
        "surface": known(compute_average_surface_distance(**pair, **surfaces)),
        "symmetric": known(compute_average_surface_distance(**pair, **surfaces, symmetric=True)),
    }


def aggregate(given):
    """Over several volumes of three classes, the background left out."""
    result = {}
    for name, metric in (("dice", DiceMetric), ("iou", MeanIoU)):
        for reduction in ("mean", "mean_batch"):
            counter = metric(include_background=False, reduction=reduction)
            for predicted, truth in given:
                counter(hot(predicted, 3), hot(truth, 3))
            result[f"{name} {reduction}"] = known(counter.aggregate())
    return result


def several():
    generator = np.random.default_rng(6)
    given = [(blobs(generator, (6, 7, 5), 3), blobs(generator, (6, 7, 5), 3)) for _ in range(3)]
    missing = np.where(given[1][1] == 2, 0, given[1][1])
    given[1] = (given[1][0], missing)
    digits = [{"predicted": "".join(map(str, p.flatten())), "actual": "".join(map(str, t.flatten()))} for p, t in given]
    return {"shape": [6, 7, 5], "volumes": digits, **aggregate(given)}


def samples():
    generator = np.random.default_rng(7)
    for name, classes, count, digits in (("three classes", 3, 60, 3), ("two classes", 2, 40, 3), ("ties", 2, 50, 0)):
        labels = generator.integers(classes, size=count)
        logits = np.round(generator.normal(size=(count, classes)) + np.eye(classes)[labels], digits)
        # less the largest: equal logits, shifted, are then ties to the last bit
        powers = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = powers / powers.sum(1, keepdims=True)
        predicted = logits.argmax(1)
        precision, recall, f1, support = precision_recall_fscore_support(labels, predicted, zero_division=0)
        yield name, {
            "logits": logits.tolist(),
            "labels": labels.tolist(),
            "auc": [roc_auc_score(labels == k, probabilities[:, k]) for k in range(classes)],
            "precision": precision.tolist(),
            "recall": recall.tolist(),
            "f1": f1.tolist(),
            "support": support.tolist(),
            "confusion": confusion_matrix(labels, predicted).tolist(),
        }


def image(shape, channels):
    """Numbers that other programs get exactly."""
    size = int(np.prod(shape)) * channels
    return torch.tensor([((i * 7919) % 101) / 64 - 0.75 for i in range(size)], dtype=torch.float32).reshape(*shape, channels)


def predict(roi):
    """Of windows [n, C, ...roi]: predictions that depend on the place in the window."""
    place = torch.arange(int(np.prod(roi)), dtype=torch.float32).reshape(roi) / int(np.prod(roi))
    return lambda windows: torch.stack([windows.sum(1) * place, windows[:, 0] ** 2 - place, windows[:, -1] + 2 * place], 1)


WINDOWS = {
    "constant": dict(shape=(10, 9, 7), channels=1, roi=(4, 5, 3), overlap=0.25, mode="constant", batch=3),
    "gaussian": dict(shape=(10, 9, 7), channels=2, roi=(4, 5, 4), overlap=0.5, mode="gaussian", batch=4),
    "gaussian of another width": dict(shape=(11, 6, 5), channels=1, roi=(5, 4, 3), overlap=0.6, mode="gaussian", sigma_scale=0.25, batch=1),
    "smaller than the window": dict(shape=(3, 9, 2), channels=2, roi=(6, 4, 5), overlap=0.25, mode="gaussian", batch=2),
    "as large as the window": dict(shape=(4, 5, 3), channels=1, roi=(4, 5, 3), overlap=0.25, mode="gaussian", batch=2),
    "much smaller on the first axis": dict(shape=(1, 6, 6), channels=1, roi=(4, 4, 4), overlap=0.5, mode="constant", batch=2),
    "an image": dict(shape=(13, 10), channels=3, roi=(5, 6), overlap=0.7, mode="gaussian", batch=5),
}


def windows():
    for name, o in WINDOWS.items():
        given = image(o["shape"], o["channels"]).movedim(-1, 0)[None]
        options = dict(sigma_scale=o["sigma_scale"]) if "sigma_scale" in o else {}
        values = sliding_window_inference(given, o["roi"], o["batch"], predict(o["roi"]), overlap=o["overlap"], mode=o["mode"], **options)
        yield name, {**{k: list(v) if isinstance(v, tuple) else v for k, v in o.items()}, "values": known(values[0].movedim(0, -1))}


def main():
    made = {"made by": "test/oracle/training/metric_fixtures.py", "monai": monai.__version__, "scikit-learn": sklearn.__version__}
    folder = Path(sys.argv[1])
    segmentation = {name: measure(p, t, classes, spacing) for name, p, t, classes, spacing in volumes()}
    fixture = {**made, "segmentation": segmentation, "several": several(), "classification": dict(samples())}
    (folder / "metrics.json").write_text(json.dumps(fixture) + "\n")
    (folder / "sliding_window.json").write_text(json.dumps({**made, "cases": dict(windows())}) + "\n")


main()
