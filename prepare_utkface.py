"""Sort UTKFace into the folders that training reads.

    python prepare_utkface.py UTKFace.tar.gz                     -> data/utkface/{train,validation,test}/{20s,50s}
    python prepare_utkface.py UTKFace/ --B 60s=60-69             a folder works too, and other ages

A hash of the file name decides the split, so it is the same on every machine: a tenth is for validation, another tenth
is for the final test. A second run adds what is missing and changes nothing else. The table counts the faces on disk.
"""

import argparse
import contextlib
import dataclasses
import functools
import io
import lzma
import os
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from ageing.errors import UserError, kind_of, reason, run_script
from ageing.face_folder import SMALLEST, Unusable, contents, decode, picture_suffixes
from ageing.storage import SYSTEM_FOLDERS, replacing
from ageing.utkface import GENDERS, RACES, SPLITS, parse_name, split_of

WHERE = ("get UTKFace (aligned and cropped) from https://susanqq.github.io/UTKFace/; "
         "it is for non-commercial research only and may not be redistributed")
SAME = "same file again"
DIFFERENT = "same name as another face, of which the first is kept"


@dataclasses.dataclass(frozen=True)
class AgeRange:
    name: str
    youngest: int
    oldest: int

    @classmethod
    def parse(cls, text):
        """ "20s=20-29" -> AgeRange. Raises UserError. """
        match = re.fullmatch(r"([\w-]+)=(\d{1,3})-(\d{1,3})", text)
        if not match or int(match[2]) > int(match[3]):
            raise UserError(f"command line: {text!r} is no range of ages; write NAME=FROM-TO, for example 20s=20-29")
        return cls(match[1], int(match[2]), int(match[3]))


def prepare(source, root, ranges):
    """Copy the faces of `ranges` from `source` into root/<split>/<range name>/. Returns skipped {reason: [names]}.

    source: archive (.tar, .tar.gz, .zip) or folder of UTKFace files. ranges: [AgeRange]. A name that occurs again is
    written once: the first of them counts. Raises UserError if the source is missing, broken or without a face of
    these ages, if an archive member points outside of the target, if the target holds faces of other ages, or if it
    cannot be written.
    """
    skipped, seen = {}, set()
    ready = _ready(root, ranges)
    with _opened(source, root, skipped) as (total, members):
        bar = tqdm(members, total=total, desc="sorting faces", unit="file", disable=None)
        for name, read in bar:
            parsed = parse_name(name)
            found = parsed and next((r for r in ranges if r.youngest <= parsed[0] <= r.oldest), None)
            if found is None:
                skipped.setdefault("other age" if parsed else "malformed name", []).append(name)
                continue
            path = Path(root, split_of(name), found.name, name)
            if path in ready and path not in seen:
                why = None
            elif (data := read()) is None:
                why = "unreadable file"
            elif path in seen:
                why = SAME if data == path.read_bytes() else DIFFERENT
            else:
                why = _add(path, data)
            if why is None:
                seen.add(path)
            else:
                skipped.setdefault(why, []).append(name)
    if not seen:
        raise UserError(f"{source}: no face of these ages in it; names are [age]_[gender]_[race]_[date]....jpg")
    return skipped


def _ready(root, ranges):
    """Paths of the faces that are there already. Raises UserError if faces of other ages are among them.

    They are left from a run with another range. Training would take them for faces of this one.
    """
    ready = set()
    for folder, found in _folders(root, ranges):
        paths = _pictures(folder)
        others = [path.name for path in paths
                  if (parsed := parse_name(path.name)) and not found.youngest <= parsed[0] <= found.oldest]
        if others:
            ages = f"{found.youngest}-{found.oldest}"
            raise UserError(
                f"{folder}: {len(others)} of its {len(paths)} faces are not {ages} years old ({others[0]}): it was "
                f"filled with another range of ages. Choose another name ({ages}={ages}) or another folder (-o), or "
                f"move {Path(root, '*', found.name)} away first")
        ready.update(paths)
    return ready


def _folders(root, ranges):
    """[(folder, its AgeRange)], in the order of the table's columns."""
    return [(Path(root, split, r.name), r) for r in ranges for split in SPLITS]


def _pictures(folder):
    return contents(folder)[0] if kind_of(folder) == "folder" else []


def _add(path, data):
    """Write the bytes of a face to `path`. Returns why it cannot be used, or None."""
    try:
        decode(io.BytesIO(data), SMALLEST)
    except Unusable as error:
        return f"{error.why} image"
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return None


def count_on_disk(root, ranges):
    """{(folder, gender, race): faces} of the folders of `ranges`. Gender and race are None if the name has none."""
    counts = Counter()
    for folder, _ in _folders(root, ranges):
        for path in _pictures(folder):
            _, *cell = parse_name(path.name) or (None, None, None)
            counts[f"{folder.parent.name}/{folder.name}", *cell] += 1
    return counts


@contextlib.contextmanager
def _opened(source, root, skipped):
    """(number of files or None, iterator of (name, function that reads it)) of an archive or a folder.

    The function returns None for what cannot be read. root: the target, whose splits are left out if they lie inside of
    the source. skipped: as of `prepare`; gets the folders that cannot be read.
    """
    source = Path(source)
    if kind_of(source) is None:
        raise UserError(f"{source}: no such file or folder; {WHERE}")
    try:
        if source.is_dir():
            paths = _files(source, root, skipped)
            if not paths:
                raise UserError(f"{source}: no images in this folder; {WHERE}")
            yield len(paths), ((p.name, functools.partial(_read_file, p)) for p in paths)
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                found = [(name, m) for m in archive.infolist()
                         if (name := _image_name(source, m.filename)) and not m.is_dir()]
                yield len(found), ((name, functools.partial(_read_zipped, archive, m)) for name, m in found)
        else:
            with tarfile.open(source) as archive:
                yield None, ((name, functools.partial(_read_tarred, archive, m)) for m in archive
                             if (name := _image_name(source, m.name)) and not m.isdir())
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        # RuntimeError: an encrypted zip, or a compression that Python does not know
        told = reason(error).splitlines()[0]
        raise UserError(f"{source}: cannot be read ({told}); it is not a UTKFace archive or incomplete: fetch it "
                        "again. Files already copied are kept") from error


def _files(source, root, skipped):
    """Sorted paths of what is called like an image below the folder `source`."""
    targets, found = {Path(root, split).resolve() for split in SPLITS}, []

    def note(error):
        if Path(error.filename) == source:
            raise error
        skipped.setdefault("unreadable folder", []).append(os.path.relpath(error.filename, source))

    for place, folders, files in os.walk(source, onerror=note):
        folders[:] = [name for name in folders if _may_hold_faces(name) and Path(place, name).resolve() not in targets]
        found += [Path(place, name) for name in files if _is_image(name)]
    return sorted(found)


def _read_file(path):
    try:
        return path.read_bytes() if path.is_file() else None  # opening a pipe would wait for its writer
    except OSError:
        return None


def _read_zipped(archive, member):
    try:
        return archive.read(member)
    except (zipfile.BadZipFile, zlib.error):  # a damaged member
        return None


def _read_tarred(archive, member):
    try:
        file = archive.extractfile(member)  # of a link, too
    except (KeyError, RecursionError):  # a link to what is not in the archive, or to itself
        return None
    return file.read() if file else None


def _image_name(source, name):
    """The file name of the archive member `name`, None if it is no face. Raises UserError if it points outside."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise UserError(f"{source}: member {name!r} points outside of the target; this is not the archive that its "
                        "authors distribute. Nothing more is read from it")
    return path.name if _is_image(path.name) and all(map(_may_hold_faces, path.parts[:-1])) else None


def _is_image(name):
    """Archives made on macOS hold a ._ file beside each image, which is not an image."""
    return name[:1] != "." and PurePosixPath(name).suffix.lower() in picture_suffixes()


def _may_hold_faces(folder):
    return folder[0] != "." and folder.lower() not in SYSTEM_FOLDERS


def table(counts, skipped, ranges):
    """Lines of text: faces in each folder by gender and race, then the skipped files by reason."""
    columns = [f"{folder.parent.name}/{folder.name}" for folder, _ in _folders("", ranges)]
    lines = [f"{'':16}" + "".join(f"{c:>16}" for c in columns)]
    for g, gender in enumerate(GENDERS):
        for r, race in enumerate(RACES):
            lines.append(f"{race + ' ' + gender:16}" + "".join(f"{counts[c, g, r]:16,}" for c in columns))
    if any(gender is None for _, gender, _ in counts):
        lines.append(f"{'unknown':16}" + "".join(f"{counts[c, None, None]:16,}" for c in columns))
    lines.append(f"{'all':16}" + "".join(
        f"{sum(n for key, n in counts.items() if key[0] == c):16,}" for c in columns))
    for why, names in sorted(skipped.items()):
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        lines.append(f"skipped, {why}: {len(names):,}" + ("" if why in ("other age", SAME) else f": {listed}"))
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="UTKFace.tar.gz", help="archive or folder (default: %(default)s)")
    parser.add_argument("-o", "--output", default="data/utkface", metavar="DIR", help="default: %(default)s")
    parser.add_argument("--A", default="20s=20-29", metavar="NAME=FROM-TO", help="young domain (default: %(default)s)")
    parser.add_argument("--B", default="50s=50-59", metavar="NAME=FROM-TO", help="old domain (default: %(default)s)")
    args = parser.parse_args(argv)
    ranges = [AgeRange.parse(args.A), AgeRange.parse(args.B)]
    if ranges[0].name == ranges[1].name or ranges[0].oldest >= ranges[1].youngest:
        raise UserError("command line: --A must be the younger domain; the domains must not overlap or share a name")
    skipped = prepare(args.source, args.output, ranges)
    print("\n".join(table(count_on_disk(args.output, ranges), skipped, ranges)))
    print(f"wrote {args.output}/{{{','.join(SPLITS)}}}/{{{ranges[0].name},{ranges[1].name}}}")


if __name__ == "__main__":
    run_script(main, "requirements-photos.txt")
