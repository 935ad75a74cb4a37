"""Sort UTKFace into the folders that training reads.

    python prepare_utkface.py UTKFace.tar.gz        -> data/utkface/{train,validation,test}/{20s,30s,...,80s}
    python prepare_utkface.py UTKFace/ -o faces     a folder works too

Faces below 20 and above 89 years are left out. A hash of the file name decides the split, so it is the same on every
machine: a tenth is for validation, another tenth is for the final test. A second run adds what is missing and changes
nothing else. The table counts the faces on disk.
"""

import argparse
import contextlib
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
from ageing.utkface import DECADES, GENDERS, RACES, SPLITS, parse_name, split_of

WHERE = ("get UTKFace (aligned and cropped) from https://susanqq.github.io/UTKFace/; "
         "it is for non-commercial research only and may not be redistributed")
YOUNGER, OLDER = "below 20 years", "above 89 years"
SAME = "same file again"
DIFFERENT = "same name as another face, of which the first is kept"


def prepare(source, root):
    """Copy the faces from `source` into root/<split>/<decade>/. Returns skipped {reason: [names]}.

    source: archive (.tar, .tar.gz, .zip) or folder of UTKFace files. A name that occurs again is written once: the
    first of them counts. Raises UserError if the source is missing, broken or without a face of these ages, if an
    archive member points outside of the target, or if the target cannot be written.
    """
    skipped, seen = {}, set()
    ready = {path for folder in _folders(root) for path in _pictures(folder)}
    with _opened(source, root, skipped) as (total, members):
        bar = tqdm(members, total=total, desc="sorting faces", unit="file", disable=None)
        for name, read in bar:
            parsed = parse_name(name)
            decade = f"{parsed[0] // 10 * 10}s" if parsed else ""
            path = Path(root, split_of(name), decade, name)
            if parsed is None:
                why = "malformed name"
            elif decade not in DECADES:
                why = YOUNGER if parsed[0] < 20 else OLDER
            elif path in ready and path not in seen:
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
        raise UserError(f"{source}: no face of 20 to 89 years in it; names are [age]_[gender]_[race]_[date]....jpg")
    return skipped


def _folders(root):
    return [Path(root, split, decade) for split in SPLITS for decade in DECADES]


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


def count_on_disk(root):
    """{(split, decade, gender, race): faces} below `root`. Gender and race are None if the name has none."""
    counts = Counter()
    for folder in _folders(root):
        for path in _pictures(folder):
            _, *cell = parse_name(path.name) or (None, None, None)
            counts[folder.parent.name, folder.name, *cell] += 1
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


def table(counts, skipped):
    """Lines of text: faces of each decade by gender and race, then by split, then the skipped files by reason."""
    def row(title, wanted):
        numbers = [sum(n for key, n in counts.items() if key[1] == decade and wanted(key)) for decade in DECADES]
        return f"{title:13}" + "".join(f"{n:9,}" for n in (*numbers, sum(numbers)))

    lines = [f"{'':13}" + "".join(f"{column:>9}" for column in (*DECADES, "all"))]
    lines += [row(f"{race} {gender}", lambda key, cell=(g, r): key[2:] == cell)
              for g, gender in enumerate(GENDERS) for r, race in enumerate(RACES)]
    if any(gender is None for *_, gender, _ in counts):
        lines.append(row("unknown", lambda key: key[2] is None))
    lines += ["", *(row(split, lambda key, split=split: key[0] == split) for split in SPLITS), row("all", bool), ""]
    for why, names in sorted(skipped.items()):
        listed = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        lines.append(f"skipped, {why}: {len(names):,}" + ("" if why in (YOUNGER, OLDER, SAME) else f": {listed}"))
    return lines


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="UTKFace.tar.gz", help="archive or folder (default: %(default)s)")
    parser.add_argument("-o", "--output", default="data/utkface", metavar="DIR", help="default: %(default)s")
    args = parser.parse_args(argv)
    skipped = prepare(args.source, args.output)
    print("\n".join(table(count_on_disk(args.output), skipped)))
    print(f"wrote {args.output}/{{{','.join(SPLITS)}}}/{{{','.join(DECADES)}}}")


if __name__ == "__main__":
    run_script(main, "requirements-photos.txt")
