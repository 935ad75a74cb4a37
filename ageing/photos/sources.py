"""Which files a command line means: the photos and clips that it names, and which files may be written.

What is said of photos here holds for clips, too.
"""

import collections
import dataclasses
import errno
import glob
import importlib.util
import os
from pathlib import Path

from PIL import Image

from ageing.errors import UserError, printable, reason
from ageing.photos.metadata import is_marked
from ageing.project import as_installed
from ageing.storage import SYSTEM_FOLDERS

# Files of a folder that are taken for photos. A file that is named itself may be of any format that Pillow reads.
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".tif", ".tiff", ".avif", ".bmp", ".gif", ".jp2",
            ".ppm", ".pgm", ".tga"}
HEIF_SUFFIXES = {".heic", ".heif", ".hif"}  # the same, if pillow-heif is installed
CLIP_SUFFIXES = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv",
                 ".flv", ".3gp", ".3g2", ".ogv", ".vob", ".mxf"}  # clips, if PyAV is installed
CLIPS_NEED = as_installed("clips need PyAV: pip install -r requirements-video.txt")


@dataclasses.dataclass(frozen=True)
class Source:
    """A photo. below: its folder, relative to the one that was named. named: it was named itself, by its full name."""

    path: Path
    below: Path = Path()
    named: bool = False


@dataclasses.dataclass
class Found:
    """photos: [Source] in order, each once. skipped: how many files of the folders are no photos, {suffix: number}.

    outputs, folders: how many earlier outputs, and folders inside of folders, are left out. unreadable: {folder inside
    of a named folder: why it could not be read}.
    """

    photos: list = dataclasses.field(default_factory=list)
    skipped: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    outputs: int = 0
    folders: int = 0
    unreadable: dict = dataclasses.field(default_factory=dict)

    @property
    def resumes(self):
        """Whether outputs that exist stay. They are an error if there is only one photo, which was named itself."""
        return len(self.photos) > 1 or not any(photo.named for photo in self.photos)

    @property
    def told_skipped(self):
        """`skipped` as text, for example "4 .txt, 2 .mp4"."""
        kinds = sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
        text = ", ".join(f"{n} {printable(suffix) or 'without a suffix'}" for suffix, n in kinds)
        text += " (HEIC and HEIF: pip install pillow-heif)" * bool(HEIF_SUFFIXES & self.skipped.keys())
        return text + f" ({CLIPS_NEED})" * bool(CLIP_SUFFIXES & self.skipped.keys())


def find(names, recursive=False):
    """What `names` (files, folders, patterns) mean: Found. recursive: with the folders inside of folders.

    Left out are: of a folder, hidden files, files of other kinds and earlier outputs; of a pattern, earlier outputs;
    of several named files, earlier outputs unless all are such, because a shell may have made the names from a pattern.
    Raises UserError that lists every name that gives no photo.
    """
    found, faults, seen = Found(), [], set()
    for name in names:
        path, photos = Path(name), []
        try:
            if path.is_dir():
                inside = _in_folder(path, recursive)
                photos, fault = inside.photos, _fault_of_folder(inside)
                found.skipped += inside.skipped
                found.unreadable |= inside.unreadable
            elif path.exists() or os.path.islink(path) or not glob.has_magic(name):
                fault = _fault_of_file(name, path)
                photos = [] if fault else [Source(path, named=True)]
            else:
                matches = matches_of(name)
                photos = [Source(p) for p in matches if not is_output(p)]
                fault = "matches only earlier outputs of this program" if matches else "matches no file"
        except OSError as error:
            fault = f"cannot be read ({reason(error)})"
        if not photos:
            faults.append(f"{printable(name[:80])}: {fault}")
        for photo in photos:
            place = real_path(photo.path.parent) / photo.path.name
            if place not in seen:
                seen.add(place)
                found.photos.append(photo)
    if faults:
        raise UserError("; ".join(faults))
    named = [photo for photo in found.photos if photo.named]
    outputs = {photo for photo in named if len(named) > 1 and is_output(photo.path)}
    if len(outputs) < len(named):
        found.photos = [photo for photo in found.photos if photo not in outputs]
    return found


def _in_folder(folder, recursive):
    """Found of one folder."""
    def note(error):
        if Path(error.filename) == folder:
            raise error
        found.unreadable[error.filename] = reason(error)

    found, root = Found(), real_path(folder)
    suffixes = photo_suffixes() | (CLIP_SUFFIXES if importlib.util.find_spec("av") else set())
    entered = {root, *root.parents}
    for place, folders, files in os.walk(folder, onerror=note, followlinks=True):
        folders[:] = [name for name in sorted(folders) if _is_album(Path(place, name), root, entered)]
        if not recursive:
            found.folders = len(folders)
            folders.clear()
        for path in (Path(place, name) for name in sorted(files) if name[0] != "."):
            if path.suffix.lower() not in suffixes:
                found.skipped[path.suffix.lower()] += 1
            elif os.path.isfile(path) and is_output(path):  # isfile: opening a pipe would wait for its writer
                found.outputs += 1
            else:
                found.photos.append(Source(path, path.parent.relative_to(folder)))
    return found


def _is_album(path, root, entered):
    """Whether to search a folder inside of `root`: not if it is hidden or a trash, nor twice, because links may circle.

    entered: real paths of the folders that are searched; `path` is added. A link to a folder inside `root` is not
    followed: that folder is found without it.
    """
    real = real_path(path)
    if path.name[0] == "." or path.name.lower() in SYSTEM_FOLDERS or real in entered or (
            path.is_symlink() and root in real.parents):
        return False
    entered.add(real)
    return True


def _fault_of_folder(found):
    """What to say of a folder without photos."""
    others = [f"{found.outputs} earlier output{'s' * (found.outputs > 1)}"] * bool(found.outputs)
    others += [found.told_skipped] * bool(found.skipped)
    text = "no photos there" + f", only {', '.join(others)}" * bool(others)
    return f"{text}; -r also looks into the folders inside" if found.folders else text


def _fault_of_file(name, path):
    """Why the named file is no photo that can be edited, or None."""
    if name == "-" and not path.exists():
        return "photos are not read from standard input; save it in a file first"
    if not path.exists():
        return "no such file"
    # /dev/stdin and /dev/fd/63 may lead to regular files, but outputs cannot be written beside them.
    folder = os.path.realpath(path.parent)
    if not path.is_file() or folder in ("/dev", "/dev/fd") or folder.startswith("/proc/"):
        return "not a file on disk; save the photo in one first"
    if is_clip(path) and not importlib.util.find_spec("av"):
        return CLIPS_NEED
    return None


def photo_suffixes():
    """Suffixes of the photos that can be read here."""
    return SUFFIXES | (HEIF_SUFFIXES if importlib.util.find_spec("pillow_heif") else set())


def is_clip(path):
    """Whether a file is taken for a clip, by its suffix."""
    return Path(path).suffix.lower() in CLIP_SUFFIXES


def is_output(path):
    """Whether the photo or clip at `path` says that this program edited it. Only its header is read."""
    if not is_clip(path):
        return is_marked(path)
    return bool(importlib.util.find_spec("av")) and clip_files().is_marked(path)


def clip_files():
    """The module that reads and writes clips. It is imported when there is one: PyAV is optional, and not quick."""
    from ageing.clips import clip_file

    return clip_file


def matches_of(pattern):
    """[Path] of the files that match `pattern`, sorted. A name that exists is meant, whatever its brackets."""
    root = Path(pattern).anchor
    places = [Path(root)]
    for part in Path(pattern).parts[bool(root):]:
        places = [place / name for place in places for name in (
            [part] if os.path.lexists(place / part) else sorted(glob.glob(part, root_dir=place)))]
    return [path for path in places if path.is_file()]


def names_a_file(output):
    """Whether the value of -o is the name of a file: it has a photo's or clip's suffix, and is not a folder."""
    if not output or output.endswith(("/", os.sep)) or os.path.isdir(output):
        return False
    return Path(output).suffix.lower() in Image.registered_extensions().keys() | HEIF_SUFFIXES | CLIP_SUFFIXES


def real_path(path):
    """Absolute, with symbolic links resolved."""
    return Path(os.path.realpath(path))


def check_writable(path, protected, force):
    """Raises UserError if `path` is one of the photos (`protected`: their real paths), or exists and not `force`.

    Or if its name is too long: writing would fail only after the work.
    """
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UserError(f"{path}: {reason(error)}; choose a shorter one with -o, or rename the photo") from error
    if real_path(path) in protected:
        raise UserError(f"{path}: is one of the photos, which are never overwritten; choose another name with -o")
    if os.path.exists(path) and not force:
        raise UserError(f"{path}: exists already; overwrite it with --force or choose another with -o")
