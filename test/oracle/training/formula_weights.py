"""Weights that follow from their name, shape and position, so that a test can make the same (test/training/models/formula-weights.ts)."""
import math

import torch

SAMPLES = 128


def unit(name, count):
    """Numbers in [0, 1) that look random: a hash of the name and of the position in PyTorch's layout."""
    seed = 0
    for character in name:
        seed = (seed * 31 + ord(character)) % 2**32
    value = (torch.arange(count, dtype=torch.int64) * 2654435761 + seed) % 2**32
    for _ in range(2):
        value = ((value ^ (value >> 16)) * 0x45D9F3B) % 2**32
    return ((value ^ (value >> 16)).double() / 2**32).float()


def weight(name, shape):
    count = math.prod(shape)
    spread = 2 * unit(name, count).double() - 1
    if len(shape) >= 2:
        value = spread * math.sqrt(3 / math.prod(shape[1:]))
    elif name.endswith("running_var"):
        value = 1 + spread / 4
    elif count == 1:
        value = 0.25 + spread / 10
    else:
        value = spread / 4 + (1 if name.endswith("weight") else 0)
    return value.float().reshape(shape)


def load(network):
    state = network.state_dict()
    network.load_state_dict({name: weight(name, value.shape) if value.is_floating_point() else value for name, value in state.items()})


def draw(name, shape):
    """Uniform values with a deviation of 1."""
    return (math.sqrt(3) * (2 * unit(name, math.prod(shape)) - 1)).reshape(shape)


def sample(tensor, most=SAMPLES):
    """Values at equal distances, at most so many of them."""
    flat = tensor.flatten()
    return flat[:: max(1, math.ceil(flat.numel() / most))]
