"""Writes small valid scans: DICOM slices of pydicom in three transfer syntaxes, a series of four as a tar, and NIfTI-1 and NIfTI-2 of nibabel.

usage: scan_fixtures.py FOLDER
"""
import io
import sys
import tarfile
from pathlib import Path

import nibabel
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
generator = np.random.default_rng(11)
i, j, k = np.indices((16, 14, 12))
volume = (50 + 20 * generator.random((16, 14, 12)) + 100 * ((i - 8) ** 2 + (j - 7) ** 2 + (k - 6) ** 2 < 12)).astype(np.int16)
ROOT = "1.2.826.0.1.3680043.8.498."


def dicom(plane, syntax):
    d = Dataset()
    d.file_meta = FileMetaDataset()
    compressed = syntax in (JPEG2000Lossless, RLELossless)
    d.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian if compressed else syntax
    d.file_meta.MediaStorageSOPClassUID = d.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID = f"{ROOT}{plane + 1}"
    d.SeriesInstanceUID, d.StudyInstanceUID, d.Modality = f"{ROOT}100", f"{ROOT}200", "CT"
    pixels = volume[:, :, plane].T
    if syntax == JPEG2000Lossless:
        # the encoder halves the sides five times
        pixels = np.tile(pixels, (3, 3))
    d.Rows, d.Columns, d.SamplesPerPixel, d.PhotometricInterpretation = *pixels.shape, 1, "MONOCHROME2"
    d.PixelSpacing, d.SliceThickness, d.InstanceNumber = [1, 1], 1, plane + 1
    d.ImageOrientationPatient, d.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [-8, -7, plane - 6]
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, 12, 11, 1
    d.RescaleSlope, d.RescaleIntercept, d.WindowCenter, d.WindowWidth = 1, -100, 20, 200
    d.PixelData = pixels.astype("<i2").tobytes()
    d["PixelData"].VR = "OW"
    if compressed:
        d.compress(syntax, generate_instance_uid=False)
    out = io.BytesIO()
    d.save_as(out, enforce_file_format=True)
    return out.getvalue()


for name, syntax in (("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian), ("rle", RLELossless), ("jpeg2000", JPEG2000Lossless)):
    (folder / f"{name}.dcm").write_bytes(dicom(6, syntax))
with tarfile.open(folder / "series.tar", "w") as tar:
    for plane in range(5, 9):
        content = dicom(plane, ExplicitVRLittleEndian)
        info = tarfile.TarInfo(f"series/slice{plane}.dcm")
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
affine = np.array([[-1, 0, 0, 8], [0, 1.1, 0, -7], [0, 0, 0.9, -6], [0, 0, 0, 1]])
nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "one.nii.gz")
nibabel.save(nibabel.Nifti2Image(volume.astype(np.float32), affine), folder / "two.nii")
