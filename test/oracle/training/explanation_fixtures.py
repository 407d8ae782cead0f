"""Writes where PyTorch's networks look: class activation maps from the features before the last mean, and attention of the last block's class token.

Computed from hooks on MONAI's modules, the weights by formula (formula_weights.py).

usage: explanation_fixtures.py FILE
"""
import json
import sys

import torch
from conv_stem_vit import ConvStemViT
from formula_weights import draw, load
from monai.networks.nets import DenseNet, ResNet, ViT


def record(module):
    """What a module gives in the next pass."""
    seen = {}
    module.register_forward_hook(lambda _, inputs, output: seen.update(input=inputs[0], output=output))
    return seen


def images(shape):
    return draw("images", (shape[0], *shape[2:], shape[1])).movedim(-1, 1)


def activation_maps(network, last, weight, shape):
    """https://arxiv.org/abs/1512.04150, (1): the sum over the channels of weight times activation, at each place."""
    load(network)
    network.eval()
    seen = record(last)
    with torch.no_grad():
        logits = network(images(shape))
    features = torch.relu(seen["output"])
    return logits, torch.einsum("oc,nc...->n...o", weight.detach(), features)


def attention_maps(network, normalised, qkv, heads, grid, shape):
    load(network)
    network.eval()
    seen = record(normalised)
    with torch.no_grad():
        logits = network(images(shape))
        logits = logits[0] if isinstance(logits, tuple) else logits
        batch, length, width = seen["output"].shape
        size = width // heads
        q, k, _ = qkv(seen["output"]).split(width, dim=-1)
        q, k = (x.reshape(batch, length, heads, size).transpose(1, 2) for x in (q, k))
        weights = torch.softmax(q @ k.transpose(-2, -1) / size**0.5, -1)
    return logits, weights.mean(1)[:, 0, 1:].reshape(batch, *grid, 1)


def told(shape, logits, maps):
    return {"images": [shape[0], *shape[2:], shape[1]], "logits": logits.flatten().tolist(), "shape": list(maps.shape), "maps": maps.flatten().tolist()}


def main():
    results = {}
    shape = (2, 3, 64, 96)
    network = DenseNet(spatial_dims=2, in_channels=3, out_channels=4, init_features=8, growth_rate=4, block_config=(2, 3), bn_size=2)
    results["densenet"] = told(shape, *activation_maps(network, network.features.norm5, network.class_layers.out.weight, shape))
    shape = (2, 2, 33, 26)
    network = ResNet(spatial_dims=2, block="basic", layers=[1, 2, 1, 1], block_inplanes=[4, 6, 8, 12], n_input_channels=2, num_classes=3)
    results["resnet"] = told(shape, *activation_maps(network, network.layer4, network.fc.weight, shape))
    shape = (2, 1, 32, 48)
    network = ViT(classification=True, spatial_dims=2, in_channels=1, img_size=(32, 48), patch_size=(8, 16), hidden_size=24, mlp_dim=40, num_layers=2, num_heads=3, num_classes=3)
    results["vit"] = told(shape, *attention_maps(network, network.blocks[-1].norm1, network.blocks[-1].attn.qkv, 3, (4, 3), shape))
    shape = (2, 3, 16, 24)
    network = ConvStemViT(in_channels=3, img_size=(16, 24), hidden_size=16, num_layers=2, num_heads=4, mlp_dim=24, num_classes=4, stem=(4, 6, 6, 8))
    results["vit_conv"] = told(shape, *attention_maps(network, network.blocks[-1].norm1, network.blocks[-1].qkv, 4, (4, 6), shape))
    with open(sys.argv[1], "w") as file:
        json.dump(results, file)
        file.write("\n")


main()
