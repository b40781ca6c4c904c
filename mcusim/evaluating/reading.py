"""A data set at a path -> samples: which of the forms it has, and its reader."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mcusim.errors import InputError
from mcusim.evaluating.arrays import array_place, read_array_samples
from mcusim.evaluating.dataset import Dataset, Form, Reading
from mcusim.evaluating.folders import (
    class_folders,
    has_flat_imagenet,
    images_in,
    inner_split,
    is_wake_words,
    read_flat_imagenet,
    read_folders,
)
from mcusim.evaluating.voc import read_voc, voc_folder
from mcusim.evaluating.wake_words import annotation_files, read_wake_words
from mcusim.files import is_file, reason_of
from mcusim.graph import Tensor

__all__ = ["read_dataset"]


def read_dataset(path: str, reading: Reading, tensor: Tensor, labels: tuple[str, ...] = ()) -> Dataset:
    """The labelled samples at a path.

    tensor: the network's input.   labels: the classes that a detector's declaration names.
    Raises InputError where there is nothing, its form is not known, or its labels do not match the network.
    """
    place = Path(path)
    try:
        place.stat()
    except (OSError, ValueError) as error:
        raise InputError(
            f"it cannot be read ({reason_of(error)})", where=f"--data {path}", fix="check the path"
        ) from None
    form = reading.form or _form(place)
    if is_file(place) and form not in (Form.ARRAYS, Form.VWW):
        raise InputError("it is a file", where=f"--data {path}", fix=f"the form {form} is a folder; give that")
    if reading.is_detector != (form is Form.VOC):
        gives, truth = ("boxes", "labels") if reading.is_detector else ("no boxes", "boxes")
        fix = "give a Pascal VOC data set for a detector, labelled samples for other networks; or declare [detection]"
        what = f"the network gives {gives}, and the data set ({form}) has {truth}"
        raise InputError(what, where=f"--data {path}", fix=fix)
    if form is Form.ARRAYS:
        return read_array_samples(array_place(place) or place, reading, tensor)
    if form is Form.VOC:
        return read_voc(place, reading, labels)
    if form is Form.VWW and (is_file(place) or annotation_files(place)):
        return read_wake_words(place, reading)
    inner = inner_split(place)
    if form is Form.IMAGENET and has_flat_imagenet(inner or place):
        dataset = read_flat_imagenet(inner or place, reading)
    else:
        dataset = read_folders(inner or place, reading, wake_words=form is Form.VWW)
    notes = dataset.notes if inner is None else (f"the folder {inner.name} of it", *dataset.notes)
    return replace(dataset, form=reading.form or dataset.form, notes=notes)


def _form(place: Path) -> Form:
    """The form that a path looks like. Raises InputError where it looks like none."""
    if is_file(place):
        suffix = place.suffix.lower()
        if suffix in (".npz", ".npy"):
            return Form.ARRAYS
        if suffix == ".json":
            return Form.VWW
        fix = "give a folder of images, an .npz with x and y, or an annotation file (.json)"
        raise InputError(f"'{place.name}' is no data set", where=f"--data {place}", fix=fix)
    if array_place(place) is not None:
        return Form.ARRAYS
    if voc_folder(place) is not None:
        return Form.VOC
    if annotation_files(place):
        return Form.VWW
    inner = inner_split(place) or place
    if has_flat_imagenet(inner):
        return Form.IMAGENET
    folders = class_folders(inner)
    if is_wake_words(path.name for path in folders):
        return Form.VWW
    if not folders and images_in(inner):
        fix = "put each class into a sub-folder, or give an annotation file or the ground truth"
        raise InputError("there are images, and nothing says what they show", where=str(inner), fix=fix)
    return Form.FOLDERS
