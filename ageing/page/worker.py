"""What is done with a photo: read it, find its faces, translate them; later write it in full size.

The same steps, with the same settings, as `infer_faces.py` without options: so both write the same bytes.
"""

import contextlib
import dataclasses
import re
import shutil
import tempfile
from pathlib import Path

from ageing.errors import UserError
from ageing.faces.blending import blend, changes_of
from ageing.page import preview
from ageing.photos import photo_file
from ageing.storage import unfinished


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is sent. file: open, at its begin. notes: on what is not kept. name: of a download."""

    file: object
    size: int
    notes: list
    name: str = ""


class Worker:
    """detector, aligner: those of ageing.faces. translators: {Direction: Translator}.

    For one photo at a time: a large one takes a gigabyte, and one keeps all processors busy.
    """

    def __init__(self, detector, aligner, translators, max_megapixels=150):
        self.detector, self.aligner, self.translators = detector, aligner, translators
        self.max_megapixels = max_megapixels

    def look(self, upload, side):
        """({direction: [blending.Change]}, Answer with the preview) of a sessions.Upload.

        side: pixels of the longer side on the screen. Both directions are translated here, once.
        Raises UserError, which names the photo as the visitor does.
        """
        with _on_disk(upload) as path:
            photo = photo_file.read(path, self.max_megapixels)
            faces = self.detector.find(photo.rgb)
            found = zip(faces, self.aligner.align(photo.rgb, faces), strict=True)
            kept = [(face, placement) for face, placement in found if placement.aligned]
            if not kept:
                why = "every face is seen from the side, or half covered" if faces else "no face was found"
                raise UserError(f"{path}: {why}. The page finds faces that look at the camera, more or less, and that "
                                "are not tiny")
            told = f"{len(faces) - len(kept)} of {len(faces)} faces not changed: seen from the side, or half covered"
            notes = [told] * (len(kept) < len(faces)) + photo.notes
            faces, placements = zip(*kept, strict=True)
            changes = {direction: changes_of(photo.rgb, placements, translator)
                       for direction, translator in self.translators.items()}
            return changes, _answer([preview.packed(photo, faces, placements, changes, side)], notes)

    def write(self, upload, changes, direction, strength):
        """The Answer with the edited photo, in its own format and full size. changes: those of the faces to edit.

        Raises UserError.
        """
        with _on_disk(upload) as path:
            photo = photo_file.read(path, self.max_megapixels)
            native = blend(photo.native, changes, strength, photo.mode)
            made = path.with_name(f"made{photo_file.target_suffix(photo, path)}")
            photo_file.save(made, photo, native)
            name = f"{Path(upload.name).stem}_{self.translators[direction].title or direction}{made.suffix}"
            with open(made, "rb") as file:
                return _answer(iter(lambda: file.read(1 << 20), b""), photo.notes, name)


def _answer(parts, notes, name=""):
    """The Answer of `parts`, in a file without a name: it waits for a slow visitor without taking memory."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever sends it closes it
    file.writelines(parts)
    size = file.tell()
    file.seek(0)
    return Answer(file, size, notes, name)


@contextlib.contextmanager
def _on_disk(upload):
    """The path of an upload's copy, for as long as somebody reads it. A UserError names the upload instead."""
    with tempfile.TemporaryDirectory(prefix=unfinished(), ignore_cleanup_errors=True) as folder:
        path = Path(folder, f"photo{upload.suffix}")
        try:
            with open(path, "wb") as copy:
                upload.file.seek(0)
                shutil.copyfileobj(upload.file, copy, 1 << 20)
            yield path
        except UserError as error:
            text = re.sub(re.escape(folder) + r"[/\\](photo|made)(\.\w*)?", lambda _: upload.name, str(error))
            raise UserError(text.removesuffix("; choose another format with -o")) from error
        except ValueError as error:
            if not upload.file.closed:
                raise
            raise UserError(f"{upload.name}: the session ended") from error
