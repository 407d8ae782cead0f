"""Derives the example's images from the MNI152 template: slices of the T1 volume along its three anatomical planes.

usage: derive.py T1.nii.gz FOLDER        (needs nibabel, numpy and pillow)

T1.nii.gz is mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz, as the PyPI package nilearn 0.14.1 carries it. Every plane is cut into
blocks of 10 neighbouring slices with 2 slices left out between blocks, so that blocks that a split keeps apart share no neighbours.
The template is symmetric: a sagittal slice equals its mirror image in the other hemisphere (`scanline split` refuses the leak), so the
sagittal plane is taken of one hemisphere only. Files are named PLANE_bBLOCK_SLICE.png: the block is the group that a split must not tear apart.
"""
import sys
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

PLANES = {"sagittal": 0, "coronal": 1, "axial": 2}
BLOCK, GAP = 10, 2
FIELD = 233  # mm: every slice is put into the middle of a square of the longest side, so that all have one scale
SIZE = 64
LEAST_BRAIN = 0.15  # share of the square; slices with less show hardly anything


def square(image):
    """The slice as it is looked at, rows from top to bottom, in the middle of the square."""
    turned = np.rot90(image)
    sides = [((FIELD - length) // 2, FIELD - length - (FIELD - length) // 2) for length in turned.shape]
    return np.pad(turned, sides)


def main():
    source, folder = sys.argv[1:]
    volume = np.asarray(nibabel.as_closest_canonical(nibabel.load(source)).dataobj).astype(np.uint8)
    for plane, axis in PLANES.items():
        slices = np.moveaxis(volume, axis, 0)
        if plane == "sagittal":
            slices = slices[: len(slices) // 2]
        shown = [i for i, image in enumerate(slices) if (image > 0).sum() >= LEAST_BRAIN * FIELD**2]
        target = Path(folder) / plane
        target.mkdir(parents=True, exist_ok=True)
        for position, index in enumerate(shown):
            block, place = divmod(position, BLOCK + GAP)
            if place < BLOCK:
                image = Image.fromarray(square(slices[index])).resize((SIZE, SIZE), Image.Resampling.LANCZOS)
                image.save(target / f"{plane}_b{block:02}_{index:03}.png", optimize=True)


main()
