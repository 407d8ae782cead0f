#!/usr/bin/env python3
"""Turns a PyTorch state dict or checkpoint (.pt, .pth, .ckpt) into a .safetensors file that Scanline reads.

usage: weights_to_safetensors.py INPUT OUTPUT.safetensors [--key KEY]

Only tensors are read (torch.load with weights_only=True): a file that would run code when it is loaded is refused. A state dict below
a key (state_dict, model, net ...) is found, beside numbers of NumPy too, as the best score. Names stay as they are: Scanline knows which
prefix is a wrapper's (module., as DataParallel's) and which is the network's own. Needs torch and safetensors.
"""
import argparse
import re
import sys

KEYS = ("state_dict", "model_state_dict", "model", "network", "net", "network_weights", "ema_state_dict")


def fail(message):
    sys.exit(f"weights_to_safetensors.py: {message}")


def numbers_of_numpy():
    """What makes a number of NumPy, which checkpoints keep as their best score: it holds values and runs nothing."""
    try:
        import numpy
    except ImportError:
        return []
    core = getattr(numpy, "_core", None) or numpy.core
    kinds = {type(numpy.dtype(name)) for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool")}
    scalar = core.multiarray.scalar
    return [scalar, (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), numpy.dtype, *kinds]


def load(path):
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals(numbers_of_numpy()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = str(error)
        # what was found alone: torch's advice is to load it all the same
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"it asks for {found.group(1)}" if found else "it is no file of tensors"
        fail(f"{path} holds more than tensors, and loading it could run code: {what}\n  Fix: save its state_dict() alone, where you trust it: torch.save(model.state_dict(), 'weights.pt')")
    except Exception as error:  # torch raises many kinds for files that are none of its own
        fail(f"{path} cannot be read as a PyTorch file: {error}")


def is_state_dict(value):
    import torch

    return isinstance(value, dict) and len(value) > 0 and all(isinstance(k, str) for k in value) and any(isinstance(v, torch.Tensor) for v in value.values())


def find_state_dict(value, key):
    if key is not None:
        if not isinstance(value, dict) or key not in value:
            fail(f"there is no key {key}; there are: {', '.join(map(str, value)) if isinstance(value, dict) else 'none'}")
        value = value[key]
    if isinstance(value, dict):
        # before the tensors beside it: a checkpoint may hold its epoch as one
        for name in KEYS:
            if name in value and isinstance(value[name], dict):
                return find_state_dict(value[name], None)
    if is_state_dict(value):
        return value
    if isinstance(value, dict):
        fail(f"no state dict was found; the keys are: {', '.join(map(str, value))}\n  Fix: name one of them with --key")
    fail(f"it holds a {type(value).__name__}, not a state dict\n  Fix: save the model's state_dict()")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("--key", help="where the state dict is in the file (default: found)")
    arguments = parser.parse_args()
    try:
        import torch
        from safetensors.torch import save_file
    except ImportError as error:
        fail(f"{error}\n  Fix: pip install torch safetensors")
    state = find_state_dict(load(arguments.input), arguments.key)
    left = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    # a copy of each: safetensors does not take tensors that share memory
    tensors = {name: value.detach().clone().contiguous() for name, value in state.items() if isinstance(value, torch.Tensor)}
    save_file(tensors, arguments.output, metadata={"format": "pt"})
    print(f"{arguments.output}: {len(tensors)} tensors" + (f"; left out, no tensors: {', '.join(left)}" if left else ""))


if __name__ == "__main__":
    main()
