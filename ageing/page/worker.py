"""What is done with a photo: read it, find its faces, translate them; later write it in full size.

The same steps, with the same settings, as `infer_faces.py` without options: so both write the same bytes.
"""

import contextlib
import dataclasses
import io
import re
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from ageing.errors import UserError
from ageing.faces.blending import blend, changes_of
from ageing.faces.direction import Direction
from ageing.page import preview
from ageing.page.slider import Layer, Slider
from ageing.photos import photo_file, sheets
from ageing.storage import unfinished

EXAMPLE_MARGIN = 0.05     # around the face of an example, as a share of its placement's side


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is sent. file: open, at its begin. notes: on what is not kept. name: of a download."""

    file: object
    size: int
    notes: list
    name: str = ""


class Worker:
    """detector, aligner: those of ageing.faces. translators: {Direction: Translator}. slider: slider.Slider.

    For one photo at a time: a large one takes a gigabyte, and one keeps all processors busy.
    """

    def __init__(self, detector, aligner, translators, max_megapixels=150):
        self.detector, self.aligner, self.translators = detector, aligner, translators
        self.max_megapixels = max_megapixels
        self.slider = Slider(translators[Direction.AGE].ages)

    def look(self, upload):
        """([alignment.Placement], Answer with the preview and its first layer) of a sessions.Upload.

        Raises UserError, which names the photo as the visitor does.
        """
        with _on_disk(upload) as path:
            photo = photo_file.read(path, self.max_megapixels)
            faces = self.detector.find(photo.rgb)
            if not faces:
                raise UserError(f"{path}: no face was found. The page finds faces that look at the camera, more or "
                                "less, and that are not tiny")
            placements = self.aligner.align(photo.rgb, faces)
            first = {0: self._changes(photo, placements, self.slider.layers[0])}
            return placements, _answer([preview.packed(photo, faces, placements, first)], photo.notes)

    def layer(self, upload, layer):
        """The Answer with one more slider.Layer, of all faces. Raises UserError."""
        with _on_disk(upload) as path:
            photo = photo_file.read(path, self.max_megapixels)
            changes = self._changes(photo, upload.placements, layer)
            return _answer([preview.layer(photo.rgb.shape, changes)], [])

    def write(self, upload, faces, stop, compare):
        """The Answer with the photo as it is at a slider.Stop, in its own format and full size. Raises UserError.

        faces: numbers of those to edit. compare: it is a picture with before and after side by side. Its name says
        what was asked, as those of infer_faces.py do: _50s, _50s_0.85, _70, _70_compare.
        """
        with _on_disk(upload) as path:
            photo = photo_file.read(path, self.max_megapixels)
            changes = self._changes(photo, [upload.placements[i] for i in faces], stop.made)
            native = blend(photo.native, changes, stop.strength, photo.mode)
            name = stop.name or self.translators[stop.made.direction].title or stop.made.direction
            made = path.with_name(f"made{'.jpg' if compare else photo_file.target_suffix(photo, path)}")
            if compare:
                shown = [("photo", photo.rgb), (name, photo.rgb_of(native))]
                photo_file.save_sheet(made, sheets.before_and_after(shown, changes), photo)
            else:
                photo_file.save(made, photo, native)
            asked = name if stop.name or stop.strength == 1 else f"{name}_{stop.strength:g}"
            name = f"{Path(upload.name).stem}_{asked}{'_compare' * compare}{made.suffix}"
            with open(made, "rb") as file:
                return _answer(iter(lambda: file.read(1 << 20), b""), photo.notes, name)

    def example(self, path, direction):
        """JPEG bytes: the largest face of the photo at `path` as it is and, beside it, older or younger."""
        photo = photo_file.read(path)
        placements = self.aligner.align(photo.rgb, self.detector.find(photo.rgb)[:1])
        start = self.slider.stops[self.slider.start].made
        changes = self._changes(photo, placements, start if start.direction == direction else Layer(direction))
        rows, columns = sheets.region_of(changes, photo.rgb.shape, EXAMPLE_MARGIN)
        pair = np.concatenate([photo.rgb[rows, columns], blend(photo.rgb, changes)[rows, columns]], axis=1)
        with io.BytesIO() as file:
            Image.fromarray(pair).save(file, "JPEG", quality=92)
            return file.getvalue()

    def _changes(self, photo, placements, layer):
        translator = self.translators[layer.direction]
        return changes_of(photo.rgb, placements, translator if layer.told is None else translator.told(layer.told))


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
