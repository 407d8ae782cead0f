"""One training step of a MONAI network for each line on standard input; prints its milliseconds. At the end: the peak memory in MB.

usage: monai_step.py NETWORK BATCH SIZE PRECISION LAYOUT THREADS
  NETWORK densenet121, vit, vit_conv, segresnet, unet or swinunetr; PRECISION fp32 or bf16, LAYOUT contiguous_format or channels_last
"""
import resource
import sys
import time
from pathlib import Path

# MONAI loads TensorFlow where it is installed, for nothing that is measured here: it would only add to its memory
sys.modules["tensorflow"] = None

import torch
from monai.networks.nets import DenseNet121, SegResNet, SwinUNETR, UNet, ViT

# einops, within SwinUNETR, takes every name in here for a framework that is loaded
del sys.modules["tensorflow"]

sys.path.append(str(Path(__file__).parent.parent / "test" / "oracle" / "training"))
from conv_stem_vit import ConvStemViT

name, batch, size, precision, layout, threads = sys.argv[1:]
batch, size = int(batch), int(size)
torch.manual_seed(0)
torch.set_num_threads(int(threads))
NETWORKS = {
    "densenet121": lambda: DenseNet121(spatial_dims=2, in_channels=1, out_channels=2),
    "vit": lambda: ViT(in_channels=1, img_size=(size, size), patch_size=(16, 16), spatial_dims=2, classification=True, num_classes=2),
    "vit_conv": lambda: ConvStemViT(in_channels=3, img_size=(size, size), num_classes=9),
    "segresnet": lambda: SegResNet(init_filters=16, in_channels=1, out_channels=2),
    "unet": lambda: UNet(spatial_dims=3, in_channels=1, out_channels=2, channels=(64, 128, 256, 512, 1024), strides=(2, 2, 2, 2)),
    "swinunetr": lambda: SwinUNETR(in_channels=1, out_channels=2, feature_size=48),
}
axes = 3 if name in ("segresnet", "unet", "swinunetr") else 2
channels, classes = (3, 9) if name == "vit_conv" else (1, 2)
network = NETWORKS[name]()
if axes == 3 and layout == "channels_last":
    layout = "channels_last_3d"
memory_format = getattr(torch, layout)
network = network.to(memory_format=memory_format).train()
optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
images = torch.rand(batch, channels, *[size] * axes).to(memory_format=memory_format)
pixels = batch * (size**3 if axes == 3 else 1)
labels = (torch.arange(pixels) % classes).reshape(batch, *([size] * 3 if axes == 3 else []))

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
