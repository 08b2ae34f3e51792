"""Image files as what a network of small grey images takes."""
from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from .failure import Failure

__all__ = ["FORMATS", "read_image"]

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "PPM", "WEBP")

Levels = NDArray[np.float32]


def read_image(path: Path, shape: tuple[int, int], invert: bool | None) -> Levels:
    """Read an image file.

    It is made grey (the first frame of several, upright, as its EXIF data say), inverted if that is asked for, and
    scaled into the middle of `shape` with its aspect ratio as it is; what is left beside it is 0.

    Parameters
    ----------
    path : Path
    shape : (int, int)
        Height and width of the result.
    invert : bool or None
        Whether dark becomes light; None: if the border of the image is lighter than half, as paper is.

    Returns
    -------
    array of float32, shape `shape`
        From 0, black, to 1, white.

    Raises
    ------
    Failure
        If it is not a whole image, or Pillow is not installed.
    OSError
        If the file cannot be read.
    """
    try:
        from PIL import Image, ImageOps, UnidentifiedImageError
    except ImportError:
        raise Failure('reading images needs Pillow, which is not installed; pip install ".[images]" in the clone adds '
                      "it") from None
    with open(path, "rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")                  # of details that decoders pass over
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(file, formats=FORMATS) as image:
                upright = ImageOps.exif_transpose(image)
                levels = _grey(upright)
        except UnidentifiedImageError:
            raise Failure(f"{path} is not an image ({', '.join(FORMATS)}), nor does its name end in .npy, .npz, .csv "
                          "or .tsv") from None
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise Failure(f"{path} has too many pixels; make the image smaller first: {error}") from None
        except MemoryError:
            raise
        except Exception as error:  # decoders raise all sorts of things at damaged files
            raise Failure(f"{path} is damaged, or not a whole image: {error}") from None
    return _fitted(_light_on_dark(levels, invert), shape)


def _grey(image: Any) -> Levels:
    """Return the brightness of each pixel, from 0 to 1; of transparent ones that of a ground they stand out from."""
    if image.mode.startswith("I"):                       # 16 bits
        return np.asarray(np.asarray(image, np.float32) / 65535, np.float32)
    if "A" not in image.getbands() and "transparency" not in image.info:
        return _scaled(image.convert("L"))
    image = image.convert("RGBA")
    light, alpha = _scaled(image.convert("RGB").convert("L")), _scaled(image.getchannel("A"))
    ground = 0 if 2 * (light * alpha).sum() > alpha.sum() else 1
    return np.asarray(light * alpha + ground * (1 - alpha), np.float32)


def _scaled(band: Any) -> Levels:
    return data.Pixels(255)(np.asarray(band))


def _light_on_dark(levels: Levels, invert: bool | None) -> Levels:
    """Return dark drawings inverted, on a ground of exactly 0 even if their paper is grey."""
    border = np.concatenate([levels[0], levels[-1], levels[1:-1, 0], levels[1:-1, -1]])
    if not (border.mean() > 0.5 if invert is None else invert):
        return levels
    paper = np.median(border)
    return np.asarray(1 - np.minimum(levels / (paper if paper > 0.5 else 1), 1), np.float32)


def _fitted(levels: Levels, shape: tuple[int, int]) -> Levels:
    """Scale an image into the middle of a shape: averages of areas if it shrinks, in between values if it grows."""
    if levels.shape == shape:
        return levels
    from PIL import Image
    scale = min(shape[0] / levels.shape[0], shape[1] / levels.shape[1])
    height, width = (max(1, round(scale * size)) for size in levels.shape)
    rule = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    scaled = np.asarray(Image.fromarray(levels).resize((width, height), rule))
    fitted = np.zeros(shape, np.float32)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    fitted[top:top + height, left:left + width] = np.clip(scaled, 0, 1)
    return fitted
