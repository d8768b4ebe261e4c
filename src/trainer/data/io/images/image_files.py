"""Selection, opening and inspection of image files of users."""

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median_low

from PIL import Image, UnidentifiedImageError

from trainer.core.errors import UserError
from trainer.data.io.directory_walk import classify_file, log_skipped, walk_files

IMAGE_EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"),
    *(".jpe", ".jfif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
# formats detected in files without an extension; not TIFF, which includes raw camera files that Pillow cannot read
PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "PPM")
GRAY_MODES = ("1", "L", "LA", "La", "I", "F")  # of Pillow; 16-bit modes start with I;16
MAX_SAMPLED_IMAGES = 1000  # headers that are read to infer size and channels
MAX_INFERRED_SIZE = 64  # the time of a step grows with the square of the size
DEFAULT_CHANNELS = 3


def is_image_file(file: str | Path) -> bool:
    """Return whether a file is an image, from its extension, or from its content if it has none."""
    extension = os.path.splitext(file)[1].lower()
    if extension in IMAGE_EXTENSIONS or (extension and not extension[1:].isdecimal()):  # IMG_2024.01.31 has none
        return extension in IMAGE_EXTENSIONS
    try:
        with warnings.catch_warnings(), Image.open(file, formats=PILLOW_FORMATS):
            return True
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):  # reading it will raise an error
        return True
    except (OSError, SyntaxError, ValueError):
        return False


def iter_image_files(directory: Path, skipped: Counter[str], others: Iterable[str] = ()) -> Iterator[str]:
    """Yield the path of each image below a directory; training and prediction use the same selection.

    Args:
        directory: The directory.
        skipped: Receives the number of other files by kind; see `walk_files`.
        others: Real paths of directories that are read separately.
    """
    for file in walk_files(directory, skipped, others):
        if is_image_file(file):
            yield file
        else:
            skipped[classify_file(file)] += 1


def list_image_files(directory: Path) -> list[Path]:
    """Return the images below a directory, sorted; log the number of skipped files."""
    skipped: Counter[str] = Counter()
    files = [Path(file) for file in sorted(iter_image_files(directory, skipped))]
    log_skipped(directory, skipped)
    return files


@contextmanager
def open_image(file: str | Path) -> Iterator[Image.Image]:
    """Open an image; errors that are raised in the block become a `UserError` with the name of the file.

    Raises:
        UserError: If the file cannot be read, or is too large.
    """
    try:
        # warnings about the size, which is checked below, and about corrupted EXIF data
        with warnings.catch_warnings(action="ignore"), Image.open(file) as image:
            if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
                raise Image.DecompressionBombError
            yield image
    except (UserError, MemoryError):
        raise
    except (UnidentifiedImageError, IsADirectoryError):
        raise UserError(f"{file}: not an image (PNG, JPEG, BMP, GIF, TIFF, WebP)") from None
    except Image.DecompressionBombError:
        limit = (Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise UserError(f"{file}: an image of more than {limit} million pixels; reduce its size") from None
    except Exception as error:  # Pillow raises many types for corrupted files
        raise UserError(f"{file}: an image that cannot be read: {error}") from error


def check_header(file: str | Path) -> None:
    """Raise an error if a file is not an image; a truncated image has a valid header.

    Raises:
        UserError: If the file is not an image, or is too large.
    """
    with open_image(file):
        pass


def infer_size_and_channels(files: Iterable[str]) -> tuple[int, int]:
    """Return size and channels for images, from the headers of a sample.

    The size is the median of the shorter sides in pixels, at most `MAX_INFERRED_SIZE`. Channels are 1 if all images
    are gray, else 3; images with a palette count as color. Without a readable file: `MAX_INFERRED_SIZE` and 3.
    """
    sides: list[int] = []
    modes: set[str] = set()
    for file in files:
        try:
            with open_image(file) as image:
                sides.append(min(image.size))
                modes.add(image.mode)
        except UserError:  # reported before the training
            continue
    if not sides:
        return MAX_INFERRED_SIZE, DEFAULT_CHANNELS
    is_gray = all(mode in GRAY_MODES or mode.startswith("I;16") for mode in modes)
    return min(MAX_INFERRED_SIZE, median_low(sides)), 1 if is_gray else DEFAULT_CHANNELS


def find_listed_image(directory: Path, name: str) -> str | None:
    """Return the path of an image in a directory, or None if there is none.

    Args:
        directory: Directory of the images.
        name: Relative or absolute path, which may lack the extension, or be separated by backslashes.
    """
    names = (name, name.replace("\\", "/"), *(f"{name}{extension}" for extension in IMAGE_EXTENSIONS))
    return next((item for item in names if name and (directory / item).is_file()), None)
