"""Which files a command line means: the photos that it names, and which files may be written."""

import glob
import os
from pathlib import Path

from ageing.errors import UserError, reason
from ageing.photos.metadata import is_marked

# Files of a folder that are taken for photos. A file that is named itself may be of any format that Pillow reads.
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif", ".jp2",
            ".ppm", ".pgm"}


def expand(names):
    """[Path] of the photos that `names` (files, folders, patterns) mean, in order, each once.

    Of a folder, earlier outputs, hidden files and files of other kinds are left out. A named file need not exist.
    Raises UserError if a folder cannot be read.
    """
    found = {}
    for name in names:
        path = Path(name)
        try:
            if path.is_dir():
                inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != ".")
                found |= dict.fromkeys(p for p in inside if not is_marked(p))
            elif glob.has_magic(name) and not path.exists():
                found |= dict.fromkeys(sorted(Path(p) for p in glob.glob(name) if os.path.isfile(p)))
            else:
                found[path] = None
        except OSError as error:
            raise UserError(f"{name[:80]}: cannot be read ({reason(error)})") from error
    return list(found)


def names_a_file(output):
    """Whether the value of -o is the name of a file: it has a suffix, no slash at its end, and is not a folder."""
    return bool(output and Path(output).suffix and not output.endswith(("/", os.sep)) and not os.path.isdir(output))


def real_path(path):
    """Absolute, with symbolic links resolved."""
    return Path(os.path.realpath(path))


def check_writable(path, protected, force):
    """Raises UserError if `path` is one of the photos (`protected`: their real paths), or exists and not `force`."""
    if real_path(path) in protected:
        raise UserError(f"{path}: is one of the photos, which are never overwritten; choose another name with -o")
    if os.path.exists(path) and not force:
        raise UserError(f"{path}: exists already; overwrite it with --force or choose another with -o")
