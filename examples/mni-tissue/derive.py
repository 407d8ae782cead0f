"""Derives the example's volumes from the MNI152 template: 24 + 8 crops of 64^3 voxels of 2 mm, with grey and white matter as labels.

usage: derive.py SOURCE FOLDER        (needs nibabel, numpy and scipy)

SOURCE holds mni_icbm152_{t1,gm,wm}_tal_nlin_sym_09a_converted.nii.gz, as the PyPI package nilearn 0.14.1 carries them. Training crops
are taken of the front half of the brain, validation crops of the back half: no voxel of one is in the other. Each crop is turned, scaled,
mirrored and placed at random, and its values are bent, shaded and made noisy, as if it were another person's and another scanner's.
Writes FOLDER/{train,valid}/subject_XXX/{img,label}.nii.gz, 8 bits each; label 1 is grey matter, 2 is white matter.
"""
import gzip
import json
import sys
from pathlib import Path

import nibabel
import numpy as np
from scipy.ndimage import affine_transform

COUNTS = {"train": 24, "valid": 8}
SIDE, STEP = 64, 2.0  # voxels, mm
SEED = 152


def load(source, kind):
    image = nibabel.as_closest_canonical(nibabel.load(source / f"mni_icbm152_{kind}_tal_nlin_sym_09a_converted.nii.gz"))
    return np.asarray(image.dataobj).astype(np.float32), image.affine


def tissues(source):
    """1 where grey matter is the likeliest of grey, white and the rest, 2 where white is, 0 elsewhere."""
    grey, white = (load(source, kind)[0] / 255 for kind in ("gm", "wm"))
    return np.stack([1 - grey - white, grey, white]).argmax(0).astype(np.uint8)


def rotation(angles):
    (a, b, c) = angles
    x = [[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]]
    y = [[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]]
    z = [[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]]
    return np.array(x) @ np.array(y) @ np.array(z)


def shaded(image, generator):
    """Gamma, a linear bias field and noise, in the brain alone; 0..255."""
    brain = image > 0
    places = np.stack(np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 3, indexing="ij"), -1)
    field = np.exp(places @ generator.uniform(-0.4, 0.4, 3))
    bent = (image / 255) ** generator.uniform(0.8, 1.25) * field * generator.uniform(0.7, 0.95) * 255
    noisy = bent + generator.normal(0, generator.uniform(1, 3), image.shape)
    return np.where(brain, np.clip(np.round(noisy), 1, 255), 0).astype(np.uint8)


def crop(t1, label, half, generator):
    """A crop whose middle lies in the half; what lies in the other half is cut away before."""
    middle = np.array([t1.shape[0] / 2, 0, t1.shape[2] / 2]) + [generator.uniform(-12, 12), np.mean(half), generator.uniform(-12, 12)]
    matrix = rotation(generator.uniform(-0.2, 0.2, 3)) @ np.diag(generator.uniform(0.9, 1.1, 3) * [generator.choice([-1, 1]), 1, 1]) * STEP
    offset = middle - matrix @ np.full(3, (SIDE - 1) / 2)
    own = np.zeros(t1.shape[1], bool)
    own[half[0] : half[1]] = True
    cut = [np.where(own[None, :, None], volume, 0) for volume in (t1, label)]
    image = affine_transform(cut[0], matrix, offset, (SIDE,) * 3, order=1)
    labels = affine_transform(cut[1], matrix, offset, (SIDE,) * 3, order=0)
    return shaded(np.where(image < 8, 0, image), generator), labels


def save(data, path):
    """Without a time or a name in the gzip, so that the same data give the same bytes."""
    affine = np.diag([STEP, STEP, STEP, 1])
    affine[:3, 3] = -STEP * (SIDE - 1) / 2
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    path.write_bytes(gzip.compress(image.to_bytes(), 9, mtime=0))


def main():
    source, folder = map(Path, sys.argv[1:])
    t1, label = load(source, "t1")[0], tissues(source)
    middle = t1.shape[1] // 2
    halves = {"train": (middle, t1.shape[1]), "valid": (0, middle)}
    generator = np.random.default_rng(SEED)
    number = 0
    for part, count in COUNTS.items():
        for _ in range(count):
            number += 1
            target = folder / part / f"subject_{number:03}"
            target.mkdir(parents=True, exist_ok=True)
            image, labels = crop(t1, label, halves[part], generator)
            save(image, target / "img.nii.gz")
            save(labels, target / "label.nii.gz")
    (folder / "label_dict.json").write_text(json.dumps({"background": 0, "grey matter": 1, "white matter": 2}, indent=2) + "\n")


main()
