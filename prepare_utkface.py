"""Sort UTKFace into the folders that training reads.

    python prepare_utkface.py UTKFace.tar.gz                     -> data/utkface/{train,validation,test}/{20s,50s}
    python prepare_utkface.py UTKFace/ --B 60s=60-69             a folder works too, and other ages

A hash of the file name decides the split, so it is the same on every machine: a tenth is for validation, another tenth
is for the final test. A second run adds what is missing and changes nothing else.
"""

import argparse
import contextlib
import dataclasses
import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections import Counter
from pathlib import Path, PurePosixPath

from PIL import Image
from tqdm import tqdm

from ageing.errors import UserError, reason, run_script
from ageing.face_folder import EXTENSIONS, SMALLEST, UNREADABLE
from ageing.storage import replacing
from ageing.utkface import GENDERS, RACES, SPLITS, parse_name, split_of

WHERE = ("get UTKFace (aligned and cropped) from https://susanqq.github.io/UTKFace/; "
         "it is for non-commercial research only and may not be redistributed")


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
    """Copy the faces of `ranges` from `source` into root/<split>/<range name>/.

    source: archive (.tar, .tar.gz, .zip) or folder of UTKFace files. ranges: [AgeRange]. Returns (counts, skipped):
    counts {(folder, gender, race): faces}, new ones and those that were there; skipped {reason: [names]}.
    Raises UserError if the source is missing or broken, if an archive member points outside of the target, or if the
    target cannot be written.
    """
    counts, skipped = Counter(), {}
    ready = _ready(root, ranges)
    with _opened(source) as (total, members):
        bar = tqdm(members, total=total, desc="sorting faces", unit="file", disable=None)
        for name, read in bar:
            parsed = parse_name(name)
            if parsed is None:
                skipped.setdefault("malformed name", []).append(name)
                continue
            age, gender, race = parsed
            found = next((r for r in ranges if r.youngest <= age <= r.oldest), None)
            if found is None:
                skipped.setdefault("other age", []).append(name)
                continue
            folder = f"{split_of(name)}/{found.name}"
            if (folder, name) not in ready:
                data = read()
                if (why := _broken(data)) is not None:
                    skipped.setdefault(why, []).append(name)
                    continue
                with replacing(Path(root, folder, name)) as temporary:
                    temporary.write_bytes(data)
                ready.add((folder, name))
            counts[folder, gender, race] += 1
    return counts, skipped


def _ready(root, ranges):
    """(folder, name) of the faces that are there already."""
    return {(f"{split}/{r.name}", path.name) for split in SPLITS for r in ranges
            for path in Path(root, split, r.name).glob("*")}


def _broken(data):
    """Why an image cannot be used, or None."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return "tiny image" if min(image.size) < SMALLEST else None
    except UNREADABLE:
        return "unreadable image"


@contextlib.contextmanager
def _opened(source):
    """(number of files or None, iterator of (name, function that reads it)) of an archive or a folder."""
    source = Path(source)
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; {WHERE}")
    try:
        if source.is_dir():
            paths = sorted(p for p in source.rglob("*") if p.suffix.lower() in EXTENSIONS)
            if not paths:
                raise UserError(f"{source}: no images in this folder; {WHERE}")
            yield len(paths), ((p.name, p.read_bytes) for p in paths)
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                names = _images(source, archive.namelist())
                yield len(names), ((PurePosixPath(n).name, lambda n=n: archive.read(n)) for n in names)
        else:
            with tarfile.open(source) as archive:
                yield None, _tar_members(source, archive)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError) as error:
        # RuntimeError: an encrypted zip, or a compression that Python does not know
        told = reason(error).splitlines()[0]
        raise UserError(f"{source}: cannot be read ({told}); it is not a UTKFace archive or incomplete: fetch it "
                        "again. Files already copied are kept") from error


def _tar_members(source, archive):
    for member in archive:
        if _is_image(source, member.name) and member.isfile():
            yield PurePosixPath(member.name).name, lambda m=member: archive.extractfile(m).read()


def _images(source, names):
    return [n for n in names if _is_image(source, n)]


def _is_image(source, name):
    """Raises UserError if `name` points outside of the archive."""
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or re.match(r"[A-Za-z]:", name):
        raise UserError(f"{source}: member {name!r} points outside of the target; this is not the archive that its "
                        "authors distribute. Nothing more is read from it")
    # Archives made on macOS hold a ._ file beside each image, which is not an image.
    return path.suffix.lower() in EXTENSIONS and not path.name.startswith("._")


def table(counts, skipped, ranges):
    """Lines of text: faces a folder by gender and race, then the skipped files by reason."""
    columns = [f"{split}/{r.name}" for r in ranges for split in SPLITS]
    lines = [f"{'':16}" + "".join(f"{c:>16}" for c in columns)]
    for g, gender in enumerate(GENDERS):
        for r, race in enumerate(RACES):
            lines.append(f"{race + ' ' + gender:16}" + "".join(f"{counts[c, g, r]:16,}" for c in columns))
    lines.append(f"{'all':16}" + "".join(
        f"{sum(n for key, n in counts.items() if key[0] == c):16,}" for c in columns))
    for why, names in sorted(skipped.items()):
        listed = "" if why == "other age" else ": " + ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
        lines.append(f"skipped, {why}: {len(names):,}{listed}")
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
    counts, skipped = prepare(args.source, args.output, ranges)
    if not counts:
        raise UserError(f"{args.source}: no face of these ages in it; names are [age]_[gender]_[race]_[date]....jpg")
    print("\n".join(table(counts, skipped, ranges)))
    print(f"wrote {args.output}/{{{','.join(SPLITS)}}}/{{{ranges[0].name},{ranges[1].name}}}")


if __name__ == "__main__":
    run_script(main, "requirements-photos.txt")
