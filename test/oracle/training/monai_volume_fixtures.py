"""Writes what MONAI's transforms make of a small volume with two channels and labels.

usage: monai_volume_fixtures.py FOLDER, then npx biome format --write FOLDER
"""
import json
import sys
from pathlib import Path

import monai
import monai.transforms as T
import numpy as np
import torch
from monai.data import MetaTensor
from monai.transforms.utils import correct_crop_centers

SHAPE = (6, 5, 4)
# obliquely turned, unevenly spaced, of the orientation PIL
AFFINE = np.eye(4)
AFFINE[:3, :3] = np.array([[0.05, 0.1, -0.99], [0.98, -0.15, 0.03], [-0.15, -0.98, -0.1]])
AFFINE[:3, :3] = np.linalg.svd(AFFINE[:3, :3])[0] @ np.linalg.svd(AFFINE[:3, :3])[2] @ np.diag([1.2, 0.9, 2.1])
AFFINE[:3, 3] = [-7, 12, 30]

generator = np.random.default_rng(11)
image = generator.normal(20, 8, (2, *SHAPE)).astype(np.float32)
image[:, 0] = 0
image[:, :, :, 3] = 0
image[1, 5, 2, 1] = -3
label = (generator.random((1, *SHAPE)) * 3).astype(np.uint8)


def meta(array):
    return MetaTensor(torch.as_tensor(array.copy()), affine=torch.as_tensor(AFFINE))


def numbers(array):
    return [float(f"{value:.7g}") for value in np.asarray(array, dtype=np.float64).flatten()]


def tell(spec, transform, on_label=None):
    """on_label: the same for labels, where they are not left alone."""
    result = transform(meta(image))
    told = {"spec": spec, "shape": list(result.shape[1:]), "affine": numbers(result.affine), "image": numbers(np.moveaxis(np.asarray(result), 0, -1))}
    if on_label is not None:
        told["label"] = [int(value) for value in np.asarray(on_label(meta(label.astype(np.float32)))).flatten()]
    return told


def both(spec, make):
    return tell(spec, make("bilinear"), make("nearest"))


def elastic(mode, noise, sigma, magnitude, padding):
    transform = T.Rand3DElastic((sigma, sigma), (magnitude, magnitude), prob=1, mode=mode, padding_mode=padding)
    transform.randomize(SHAPE)
    transform.rand_offset, transform.sigma, transform.magnitude = noise, sigma, magnitude
    return lambda data: transform(data, randomize=False)


def bias(degree, coefficients):
    transform = T.RandBiasField(degree=degree, prob=1)
    transform.randomize(SHAPE)
    transform._coeff = coefficients
    return lambda data: transform(data, randomize=False)


def cropped(size, foreground):
    """The box that MONAI finds in the image, cut from the labels too."""
    return lambda data: foreground.crop_pad(data, *foreground.compute_bounding_box(meta(image)))


cases = [
    *(both({"name": "Orientation", "axcodes": codes}, lambda mode: T.Orientation(axcodes=codes, labels=None)) for codes in ("RAS", "LPS", "SPL", "PIL")),
    *(
        both({"name": "Spacing", "pixdim": pixdim}, lambda mode: T.Spacing(pixdim=pixdim, mode=mode))
        for pixdim in ([1.03, 1.03, 1.03], [2, 1.5, 3], [0.71, 0.9, 0.8])
    ),
    *(both({"name": "Flip", "spatialAxis": axis}, lambda mode: T.Flip(axis)) for axis in range(3)),
    *(
        both({"name": "Rotate90", "k": k, "spatialAxes": axes}, lambda mode: T.Rotate90(k, axes))
        for k, axes in ((1, [0, 1]), (2, [0, 2]), (3, [1, 2]), (3, [0, 1]))
    ),
    *(
        both(
            {"name": "Affine", "rotate": [0.2, -0.3, 0.4], "shear": [0.1, 0.05, -0.1, 0, 0.02, 0.07], "translate": [0.5, -1, 0.25], "scale": [0.9, 1.1, 1.2], "padding": padding},
            lambda mode: T.Affine([0.2, -0.3, 0.4], [0.1, 0.05, -0.1, 0, 0.02, 0.07], [0.5, -1, 0.25], [0.9, 1.1, 1.2], mode=mode, padding_mode=padding, image_only=True),
        )
        for padding in ("border", "zeros", "reflection")
    ),
    *(
        both(
            {"name": "elastic", "noise": numbers(noise), "sigma": sigma, "magnitude": 20, "padding": "border"},
            lambda mode: elastic(mode, noise, sigma, 20, "border"),
        )
        for sigma, noise in ((1.3, generator.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)), (0.4, generator.uniform(-1, 1, (3, *SHAPE)).astype(np.float32)))
    ),
    tell({"name": "ScaleIntensity"}, T.ScaleIntensity()),
    tell({"name": "ScaleIntensity", "channelWise": True}, T.ScaleIntensity(channel_wise=True)),
    tell({"name": "ScaleIntensityRange", "aMin": 5, "aMax": 25, "bMin": -1, "bMax": 1}, T.ScaleIntensityRange(5, 25, -1, 1)),
    tell({"name": "ScaleIntensityRange", "aMin": 5, "aMax": 25, "bMin": 0, "bMax": 1, "clip": True}, T.ScaleIntensityRange(5, 25, 0, 1, clip=True)),
    *(
        tell(
            {"name": "ScaleIntensityRangePercentiles", "lower": 3, "upper": 97.5, "bMin": 0, "bMax": 2, "clip": True, "channelWise": channel_wise},
            T.ScaleIntensityRangePercentiles(3, 97.5, 0, 2, clip=True, channel_wise=channel_wise),
        )
        for channel_wise in (False, True)
    ),
    *(
        tell({"name": "NormalizeIntensity", "nonzero": nonzero, "channelWise": channel_wise}, T.NormalizeIntensity(nonzero=nonzero, channel_wise=channel_wise))
        for nonzero in (False, True)
        for channel_wise in (False, True)
    ),
    *(tell({"name": "AdjustContrast", "gamma": gamma}, T.AdjustContrast(gamma)) for gamma in (0.6, 1.7)),
    *(tell({"name": "biasField", "degree": degree, "coefficients": c}, bias(degree, c)) for degree, c in ((2, numbers(generator.uniform(-0.3, 0.3, 10))), (3, numbers(generator.uniform(0, 0.1, 20))))),
    *(tell({"name": "CropForeground", "margin": margin}, T.CropForeground(margin=margin), cropped(margin, T.CropForeground(margin=margin))) for margin in (0, 2)),
    both({"name": "SpatialPad", "spatialSize": [9, 4, 7]}, lambda mode: T.SpatialPad([9, 4, 7])),
    both({"name": "CenterSpatialCrop", "roiSize": [3, 4, 9]}, lambda mode: T.CenterSpatialCrop([3, 4, 9])),
]

starts = []
for _ in range(40):
    shape = generator.integers(4, 12, 3)
    size = [int(generator.integers(1, length + 1)) for length in shape]
    center = [int(generator.integers(0, length)) for length in shape]
    found = correct_crop_centers(list(center), size, [int(length) for length in shape])
    starts.append({"shape": shape.tolist(), "size": size, "center": center, "start": [int(c) - s // 2 for c, s in zip(found, size)]})

Path(sys.argv[1], "monai_transforms.json").write_text(
    json.dumps(
        {
            "made by": "test/oracle/training/monai_volume_fixtures.py",
            "monai": monai.__version__,
            "shape": SHAPE,
            "affine": numbers(AFFINE),
            "image": numbers(np.moveaxis(image, 0, -1)),
            "label": label.flatten().tolist(),
            "cases": cases,
            "crop starts": starts,
        }
    )
)
