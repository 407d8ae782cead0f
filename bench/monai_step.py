"""One training step of a MONAI network for each line on standard input; prints its milliseconds. At the end: the peak memory in MB.

usage: monai_step.py NETWORK BATCH SIZE PRECISION LAYOUT THREADS
  NETWORK densenet121 or vit, PRECISION fp32 or bf16, LAYOUT contiguous_format or channels_last
"""
import resource
import sys
import time

# MONAI loads TensorFlow where it is installed, for nothing that is measured here: it would only add to its memory
sys.modules["tensorflow"] = None

import torch
from monai.networks.nets import DenseNet121, ViT

name, batch, size, precision, layout, threads = sys.argv[1:]
batch, size = int(batch), int(size)
torch.manual_seed(0)
torch.set_num_threads(int(threads))
if name == "densenet121":
    network = DenseNet121(spatial_dims=2, in_channels=1, out_channels=2)
else:
    network = ViT(
        in_channels=1, img_size=(size, size), patch_size=(16, 16), spatial_dims=2, classification=True, num_classes=2
    )
memory_format = getattr(torch, layout)
network = network.to(memory_format=memory_format).train()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
images = torch.rand(batch, 1, size, size).to(memory_format=memory_format)
labels = torch.arange(batch) % 2

for _ in sys.stdin:
    start = time.perf_counter()
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        logits = network(images)
        logits = logits[0] if isinstance(logits, tuple) else logits
        loss = torch.nn.functional.cross_entropy(logits, labels)
    loss.backward()
    optimizer.step()
    loss.item()
    print((time.perf_counter() - start) * 1000, flush=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
