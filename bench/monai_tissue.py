"""Trains MONAI's SegResNet on the tissue volumes: the mean Dice that Scanline is held to.

usage: monai_tissue.py FOLDER [--seed N] [--epochs N] [--batch N]        (FOLDER: examples/mni-tissue/volumes)
Prints one JSON line: mean Dice of grey and white matter over the validation volumes, and the seconds of training.
"""
import argparse
import json
import time
from pathlib import Path

import torch
from monai.data import CacheDataset, DataLoader
from monai.losses import DiceCELoss
from monai.metrics import DiceMetric
from monai.networks.nets import SegResNet
from monai.transforms import (
    AsDiscrete, Compose, EnsureChannelFirstd, LoadImaged, NormalizeIntensityd, Orientationd, RandCropByPosNegLabeld, RandFlipd,
)
from monai.utils import set_determinism

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--batch", type=int, default=1)
parser.add_argument("--threads", type=int, default=2)
given = parser.parse_args()
set_determinism(given.seed)
torch.set_num_threads(given.threads)

KEYS = ["img", "label"]
prepare = [
    LoadImaged(KEYS), EnsureChannelFirstd(KEYS), Orientationd(KEYS, axcodes="RAS", labels=None), NormalizeIntensityd("img", nonzero=True),
]
augment = [
    RandCropByPosNegLabeld(KEYS, label_key="label", spatial_size=(48, 48, 48), pos=1, neg=1, num_samples=1),
    *(RandFlipd(KEYS, prob=0.5, spatial_axis=axis) for axis in range(3)),
]


def subjects(part):
    return [{key: str(folder / f"{key}.nii.gz") for key in KEYS} for folder in sorted((given.folder / part).iterdir())]


train = DataLoader(CacheDataset(subjects("train"), Compose(prepare + augment), progress=False), batch_size=given.batch, shuffle=True)
valid = DataLoader(CacheDataset(subjects("valid"), Compose(prepare), progress=False), batch_size=1)
network = SegResNet(spatial_dims=3, init_filters=8, in_channels=1, out_channels=3)
optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=given.epochs * len(train))
loss_of = DiceCELoss(to_onehot_y=True, softmax=True)
start = time.perf_counter()
for epoch in range(given.epochs):
    network.train()
    for batch in train:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(batch["img"]), batch["label"])
        loss.backward()
        optimizer.step()
        schedule.step()
seconds = time.perf_counter() - start
network.eval()
metric, discrete, one_hot = DiceMetric(include_background=False), AsDiscrete(argmax=True, to_onehot=3), AsDiscrete(to_onehot=3)
with torch.no_grad():
    for batch in valid:
        metric([discrete(each) for each in network(batch["img"])], [one_hot(each) for each in batch["label"]])
print(json.dumps({"dice": round(metric.aggregate().item(), 4), "seconds": round(seconds, 1), "seed": given.seed}))
