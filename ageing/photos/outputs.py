"""Where the outputs for each photo are written: decided for all photos before any is edited."""

import collections
import dataclasses
import warnings
from pathlib import Path

from PIL import Image

from ageing.errors import UserError, kind_of
from ageing.photos import photo_file
from ageing.photos.sources import HEIF_SUFFIXES, check_writable, clip_files, is_clip, is_output, names_a_file


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is written. ending: of its name, "50s". sheet: the suffix of one that shows photos; None: edited itself."""

    ending: str
    sheet: str | None = None


@dataclasses.dataclass(frozen=True)
class Job:
    """A photo and its outputs, {Kind: path}. keeps: outputs of an earlier run stay, only missing ones are written.

    resumes: a photo that misses none is done; else that is an error.
    """

    photo: Path
    outputs: dict
    resumes: bool = False
    keeps: bool = False


def missing(job, protected, force):
    """{Kind: path} of the outputs of a Job that are to be written: all, or those that no earlier run wrote.

    Raises UserError if one of them may not be written.
    """
    finished = {kind for kind, path in job.outputs.items()
                if job.keeps and not force and kind_of(path) == "file" and is_output(path)}
    if len(finished) == len(job.outputs) and not job.resumes:
        finished = set()
    for kind, path in job.outputs.items():
        check_writable(path, protected, force or kind in finished)
    return {kind: path for kind, path in job.outputs.items() if kind not in finished}


def jobs(found, kinds, output=None, codec=None):
    """[Job], one for each photo of sources.Found, with a path for each of `kinds`, and none for what has none.

    A clip has no sheets. An output that exists stays, because its name says how it was made; not if `output` is a file,
    and not if all outputs of a photo exist that was named alone. codec: its outputs', a key of clip_file.CODECS.

    output: a file, for one photo, or a folder, which keeps the tree of the photos' folders; None: beside the photo.
    Outputs that would get one name get their photo's suffix into it: p.jpg and p.png become p_jpg_compare.jpg and
    p_png_compare.jpg. Raises UserError if that is not enough, or if `output` has a suffix that cannot be written.
    """
    if names_a_file(output):
        return [Job(source.path, _named(source, Path(output), kinds, codec)) for source in found.photos]
    suffixes = {source: _suffix(source.path, codec) for source in found.photos}

    def path_of(source, kind, distinct=False):
        stem = f"{source.path.stem}_{source.path.suffix[1:]}" if distinct else source.path.stem
        folder = Path(output, source.below) if output else source.path.parent
        return folder / f"{stem}_{kind.ending}{kind.sheet or suffixes[source]}"

    every = [(source, kind) for source in found.photos for kind in _kinds_of(source, kinds)]
    uses = collections.Counter(path_of(*one) for one in every)
    paths = {one: path_of(*one, distinct=uses[path_of(*one)] > 1) for one in every}
    _check_distinct(paths)
    return [Job(source.path, {kind: paths[source, kind] for kind in some}, found.resumes, keeps=True)
            for source in found.photos if (some := _kinds_of(source, kinds))]


def _kinds_of(source, kinds):
    return [kind for kind in kinds if not (kind.sheet and is_clip(source.path))]


def _suffix(path, codec):
    """The suffix of outputs for the photo or clip at `path`."""
    if is_clip(path):
        return clip_files().target_suffix(path, codec)
    return photo_file.target_suffix(_unread(path), path)


def _named(source, file, kinds, codec):
    """{kind: path}: the edited photo, or a sheet alone, is `file` itself; sheets beside a photo lie beside it."""
    kinds = _kinds_of(source, kinds)
    itself = next((kind for kind in kinds if not kind.sheet), kinds[0])
    if is_clip(source.path):
        clip_files().check_suffix(file, codec)
    elif itself.sheet in photo_file.MOVING:
        photo_file.moving_format(file.suffix)
    else:
        photo_file.output_format(None, file.suffix)  # raises if there is no such format
    return {kind: file if kind == itself else file.with_name(f"{file.stem}_{kind.ending}{kind.sheet}")
            for kind in kinds}


def _unread(path):
    """The Photo at `path` without its pixels; if it is damaged, the one that its suffix promises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                form, mode = {"MPO": "JPEG"}.get(image.format, image.format), image.mode
    except Exception:  # reading it will say what is wrong
        is_heif = path.suffix.lower() in HEIF_SUFFIXES
        form, mode = "HEIF" if is_heif else photo_file.format_of(path.suffix), "RGB"
    return photo_file.Photo(None, None, mode, form)


def _check_distinct(paths):
    """Raises UserError if two of `paths`, {(source, kind): path}, are equal."""
    first = {}
    for (source, _), path in paths.items():
        other = first.setdefault(path, source)
        if other != source:
            raise UserError(f"{other.path} and {source.path} would both be written to {path}: edit them in two runs, "
                            "each with its own -o, or name the folder that holds both, with -r")
