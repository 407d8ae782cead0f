"""Trains a small network on class folders of grey images, as SageMaker's PyTorch image runs it."""
import argparse
import json
import os
import pathlib

import numpy
import torch
from PIL import Image
from torch import nn

arguments = argparse.ArgumentParser()
arguments.add_argument("--epochs", type=int, default=3)
arguments.add_argument("--batch_size", type=int, default=16)
arguments.add_argument("--learning_rate", type=float, default=1e-3)
arguments.add_argument("--size", type=int, default=32, help="pixels of a side")
arguments.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
arguments.add_argument("--model_dir", default=os.environ.get("SM_MODEL_DIR"))
options = arguments.parse_args()

torch.manual_seed(0)
folder = pathlib.Path(options.train)
classes = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
images, labels = [], []
for label, name in enumerate(classes):
    for file in sorted((folder / name).iterdir()):
        image = Image.open(file).convert("L").resize((options.size, options.size))
        images.append(torch.from_numpy(numpy.asarray(image, dtype="float32") / 255)[None])
        labels.append(label)
images, labels = torch.stack(images), torch.tensor(labels)

device = "cuda" if torch.cuda.is_available() else "cpu"
network = nn.Sequential(
    nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
    nn.Flatten(), nn.LazyLinear(len(classes)),
).to(device)
network(images[:1].to(device))
optimizer = torch.optim.Adam(network.parameters(), options.learning_rate)
for epoch in range(options.epochs):
    correct, total = 0, 0.0
    for batch in torch.randperm(len(images)).split(options.batch_size):
        x, y = images[batch].to(device), labels[batch].to(device)
        scores = network(x)
        loss = nn.functional.cross_entropy(scores, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
        correct += (scores.argmax(1) == y).sum().item()
    # the metric definitions of the stage find these
    print(f"epoch={epoch}; train_loss={total / len(images):.4f}; train_accuracy={correct / len(images):.4f};", flush=True)

model = pathlib.Path(options.model_dir)
torch.save(network.state_dict(), model / "model.pth")
(model / "classes.json").write_text(json.dumps(classes))
