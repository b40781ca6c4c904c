"""Image files -> pixels of the input's size, as torchvision and Pillow make them. Only this module imports Pillow."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mcusim.errors import InputError, McusimError
from mcusim.evaluating.preprocessing import Frame
from mcusim.files import is_file
from mcusim.limits import refuse_beyond
from mcusim.zoo.declarations import Channels, Preprocessing, Resize

__all__ = ["SUFFIXES", "Fit", "UnreadableImage", "fit", "read_pixels", "require_pillow"]

PIXEL_BYTES = 12
"""Of an image while it is decoded and converted: as it is stored, as RGBA, and as RGB."""
_UNREADABLE = {
    "UnidentifiedImageError": "it is no image",
    "DecompressionBombError": "it has more pixels than Pillow decodes",
}
"""Pillow's exceptions -> why a file is no image; whatever else its decoders raise, the file is damaged."""
_FORMATS = ("JPEG", "PNG", "BMP", "PPM", "GIF", "TIFF", "WEBP")
"""Pillow tells formats by content, and knows some that run programs (EPS goes to Ghostscript): no other is tried."""
_MODES = frozenset({"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"})
"""Of one byte a channel. Others, of 16 bits or of floats, Pillow would clip to 255 without a word."""
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".pnm", ".gif", ".tif", ".tiff", ".webp"})


class UnreadableImage(InputError):
    """An image file that is damaged, or no image at all."""


class Fit(NamedTuple):
    """How an image of `width` x `height` lies on the input: resized to `scaled`, then cut at `left`, `top`."""

    width: int
    height: int
    scaled: tuple[int, int]
    left: int
    top: int

    def to_image(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Boxes (left, top, right, bottom) in pixels of the input, as pixels of the image."""
        moved = boxes + np.array([self.left, self.top, self.left, self.top], np.float64)
        horizontal, vertical = self.width / self.scaled[0], self.height / self.scaled[1]
        return np.asarray(moved * np.array([horizontal, vertical, horizontal, vertical]))


def fit(width: int, height: int, frame: Frame, chosen: Preprocessing) -> Fit:
    """Where an image goes. CROP is torchvision's Resize(int(size / fraction)) and CenterCrop(size)."""
    if chosen.resize is not Resize.CROP:
        return Fit(width, height, (frame.cols, frame.rows), 0, 0)
    wide, high = int(frame.cols / chosen.fraction), int(frame.rows / chosen.fraction)
    if wide * height >= high * width:
        scaled = wide, max(int(wide * height / width), high)
    else:
        scaled = max(int(high * width / height), wide), high
    return Fit(width, height, scaled, round((scaled[0] - frame.cols) / 2), round((scaled[1] - frame.rows) / 2))


def require_pillow() -> Any:
    """Pillow's Image module. Raises InputError where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        fix = "install it with `pip install 'mcusim[evaluate]'`"
        raise InputError("reading images needs Pillow, which is not installed", where="evaluate", fix=fix) from None
    return Image


def read_pixels(path: Path, frame: Frame, chosen: Preprocessing) -> tuple[NDArray[np.uint8], Fit]:
    """The pixels that the network sees, (rows, columns, channels) in bytes, and how the image lies on them.

    Raises UnreadableImage for a damaged file, InputError for one of another size where nothing may be resized.
    """
    image_module = require_pillow()
    fix = "mend or remove it, or leave such files out with --skip-unreadable"
    if not is_file(path):  # a pipe in the folder would be waited for, and a device has no end
        raise UnreadableImage("it is no regular file", where=str(path), fix=fix)
    try:
        # Pillow warns of sizes, which are bounded here, and of EXIF, which is not read.
        with warnings.catch_warnings(action="ignore"), image_module.open(path, formats=_FORMATS) as opened:
            width, height = opened.size
            refuse_beyond(width * height * PIXEL_BYTES, f"decoding {width}x{height} pixels", where=str(path))
            if opened.mode not in _MODES:
                what = f"its pixels are of another kind than bytes (Pillow's mode {opened.mode[:20]})"
                raise UnreadableImage(what, where=str(path), fix="store it with 8 bits a channel, or leave it out")
            image = _converted(opened, frame)
    except McusimError:
        raise
    except Exception as error:  # Pillow's decoders raise anything on damaged files
        reason = _UNREADABLE.get(type(error).__name__, "it is damaged")
        raise UnreadableImage(reason, where=str(path), fix=fix) from None
    if chosen.resize is Resize.NONE and image.size != (frame.cols, frame.rows):
        what = f"it is {image.size[0]}x{image.size[1]}, and the network takes {frame.cols}x{frame.rows}"
        raise InputError(what, where=str(path), fix="use --preprocess resize=stretch or resize=crop")
    width, height = image.size
    placed = fit(width, height, frame, chosen)
    if image.size != placed.scaled:
        image = image.resize(placed.scaled, image_module.Resampling[chosen.filter.upper()])
    if placed.scaled != (frame.cols, frame.rows):
        image = image.crop((placed.left, placed.top, placed.left + frame.cols, placed.top + frame.rows))
    pixels = np.asarray(image, np.uint8).reshape(frame.rows, frame.cols, frame.channels)
    return (pixels[..., ::-1] if chosen.channels is Channels.BGR else pixels), placed


def _converted(image: Any, frame: Frame) -> Any:
    """In gray or RGB, loaded. Transparency is dropped, as torchvision drops it; EXIF does not turn the image."""
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("L" if frame.channels == 1 else "RGB")
