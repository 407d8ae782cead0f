"""MONAI's DenseNet121 on a folder that `scanline split` made: trains, chooses by validation loss, prints test accuracy and seconds.

usage: monai_planes.py FOLDER SEED [EPOCHS]
"""
import sys
import time
from pathlib import Path

# MONAI loads TensorFlow where it is installed, for nothing that is measured here
sys.modules["tensorflow"] = None

import numpy as np
import torch
from monai.networks.nets import DenseNet121
from PIL import Image


def load(folder, classes):
    files = [(path, label) for label, name in enumerate(classes) for path in sorted((folder / name).glob("*.png"))]
    images = np.stack([np.asarray(Image.open(path), dtype=np.float32) for path, _ in files])[:, None]
    low, high = images.min((2, 3), keepdims=True), images.max((2, 3), keepdims=True)
    return torch.from_numpy((images - low) / np.maximum(high - low, 1)), torch.tensor([label for _, label in files])


def evaluate(network, images, labels):
    network.eval()
    with torch.no_grad():
        logits = torch.cat([network(batch) for batch in images.split(32)])
    return torch.nn.functional.cross_entropy(logits, labels).item(), (logits.argmax(1) == labels).float().mean().item()


def main():
    folder, seed, epochs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 4
    start = time.perf_counter()
    torch.manual_seed(seed)
    torch.set_num_threads(2)
    classes = sorted(path.name for path in (folder / "train").iterdir() if path.is_dir())
    (x, y), valid, test = (load(folder / part, classes) for part in ("train", "valid", "test"))
    network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=len(classes))
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    best = (float("inf"), None)
    for _ in range(epochs):
        network.train()
        for batch in torch.randperm(len(x)).split(16):
            images = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, x[batch].flip(3), x[batch])
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(network(images), y[batch]).backward()
            optimizer.step()
        loss, _ = evaluate(network, *valid)
        if loss < best[0]:
            best = (loss, evaluate(network, *test)[1])
    print(f"seed={seed}; test_accuracy={best[1]:.4f}; seconds={time.perf_counter() - start:.1f};")


main()
