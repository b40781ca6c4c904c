"""Samples through the network, on all cores: read, prepare, execute, decode.

Threads suffice. Pillow's decoders and the compiled kernels run without the interpreter's lock; each thread executes in
an arena of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError
from mcusim.evaluating.arrays import is_bytes
from mcusim.evaluating.clipping import Cut, cuts_of
from mcusim.evaluating.dataset import Dataset, Sample
from mcusim.evaluating.decoding import Prediction, predictions
from mcusim.evaluating.images import Fit, UnreadableImage, read_pixels, require_pillow
from mcusim.evaluating.preprocessing import Frame, frame_of, held_by, pixel_table, pixels_cut, quantized
from mcusim.evaluating.subject import Subject
from mcusim.execution import execute
from mcusim.graph import DType
from mcusim.ops.registry import Numerics
from mcusim.zoo.declarations import Channels, Preprocessing

__all__ = ["Finished", "Loader", "finished"]

CHUNK_SECONDS = 0.2
"""About what one task takes: short enough for a live progress bar, long enough that handing it out costs nothing."""
MOST_AT_ONCE = 256


class Finished(NamedTuple):
    """Samples that are done, and those whose files could not be read."""

    predictions: list[Prediction]
    unreadable: list[UnreadableImage]


class Loader:
    """Samples -> what the network gets. Raises InputError where the network takes no images, but images came.

    cuts: of each sample that was loaded, what is cut off.
    """

    def __init__(self, subject: Subject, dataset: Dataset, chosen: Preprocessing) -> None:
        self._graph, self._tensor, self._arrays, self._chosen = subject.graph, subject.input, dataset.arrays, chosen
        self.cuts: list[Cut] = []
        self.has_pixels = dataset.arrays is None or is_bytes(dataset.arrays, subject.input)
        if not self.has_pixels:
            return
        frame = frame_of(subject.input)
        if frame is None:
            shape = "x".join(map(str, subject.input.shape))
            fix = "give an .npz with x and y in the input's shape"
            what = f"its input is {shape}, which is no image, and the data set has images"
            raise InputError(what, where=f"network '{subject.graph.name}'", fix=fix)
        if dataset.arrays is None:
            require_pillow()
        self._frame: Frame = frame
        self._table = pixel_table(subject.input, chosen, frame.channels)
        self._is_cut = pixels_cut(held_by(subject.graph), chosen, frame.channels)

    def load(self, samples: Sequence[Sample]) -> tuple[list[Sample], NDArray[Any], list[Fit], list[UnreadableImage]]:
        """A batch: the samples that could be read, what the network gets, how images lie on it, and the damaged."""
        if self._arrays is not None:
            return list(samples), self._from_arrays([sample.index for sample in samples]), [], []
        kept: list[Sample] = []
        given, fits, damaged = [], [], []
        for sample in samples:
            assert sample.path is not None
            try:
                pixels, placed = read_pixels(sample.path, self._frame, self._chosen)
            except UnreadableImage as error:
                damaged.append(error)
                continue
            kept.append(sample)
            given.append(self._valued(pixels))
            fits.append(placed)
        return kept, np.array(given), fits, damaged

    def _valued(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """One image as the network gets it."""
        if self._is_cut.any():
            cut = np.mean([self._is_cut[c][pixels[..., c]].mean() for c in range(self._frame.channels)])
            self.cuts.append(Cut(float(cut)))
        else:
            self.cuts.append(Cut())
        if (self._table == self._table[0]).all():
            values = self._table[0][pixels]
        else:
            values = np.stack([self._table[c][pixels[..., c]] for c in range(self._frame.channels)], axis=-1)
        return np.moveaxis(values, -1, 0) if self._frame.is_planar else values

    def _from_arrays(self, indices: Sequence[int]) -> NDArray[Any]:
        assert self._arrays is not None
        images = self._arrays[list(indices)]
        if self.has_pixels:
            images = np.moveaxis(images, 1, -1) if self._frame.is_planar else images
            images = images[..., ::-1] if self._chosen.channels is Channels.BGR else images
            return np.array([self._valued(image) for image in images])
        self.cuts += cuts_of(self._graph, images)
        if self._tensor.dtype is DType.FLOAT32:
            return images.astype(np.float32)
        return quantized(self._tensor, images.astype(np.float64)) if images.dtype.kind == "f" else images


def finished(
    subject: Subject,
    loader: Loader,
    samples: Sequence[Sample],
    *,
    numerics: Numerics | str,
    threads: int | None,
    skip_unreadable: bool,
) -> Generator[Finished, None, None]:
    """Every sample's prediction, in the order in which they are done. Closing the iterator stops handing out work.

    Raises UnreadableImage at the first damaged file, after what was done beside it, unless these are skipped.
    """

    def work(part: Sequence[Sample]) -> tuple[Finished, float]:
        began = time.perf_counter()
        kept, given, fits, damaged = loader.load(part)
        if not kept:
            return Finished([], damaged), time.perf_counter() - began
        outputs = execute(subject.graph, given, numerics=numerics, threads=1)
        part_done = predictions(subject, kept, given, outputs, fits)
        return Finished(part_done, damaged), (time.perf_counter() - began) / len(part)

    for part_done in _spread(work, samples, min(threads or _cores(), max(len(samples), 1))):
        yield part_done
        if part_done.unreadable and not skip_unreadable:
            raise part_done.unreadable[0]


def _spread(
    work: Callable[[Sequence[Sample]], tuple[Finished, float]], samples: Sequence[Sample], workers: int
) -> Generator[Finished, None, None]:
    """Parts of the samples, handed to threads as these come free; parts grow until one takes CHUNK_SECONDS."""
    place, size = 0, 1
    running: set[Future[tuple[Finished, float]]] = set()
    pool = ThreadPoolExecutor(workers)
    try:
        while place < len(samples) or running:
            while place < len(samples) and len(running) < 2 * workers:
                running.add(pool.submit(work, samples[place : place + size]))
                place += size
            done, running = wait(running, return_when=FIRST_COMPLETED)
            failed = None
            for future in done:
                error = future.exception()
                if error is not None:
                    failed = failed or error
                    continue
                finished_part, seconds = future.result()
                size = max(min(int(CHUNK_SECONDS / max(seconds, 1e-9)), 2 * size, MOST_AT_ONCE), 1)
                yield finished_part
            if failed is not None:
                raise failed
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
