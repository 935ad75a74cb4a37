"""Edit photo files one after the other: read, detect, translate, blend, write."""

import dataclasses
import time
from pathlib import Path

from ageing.errors import UserError
from ageing.photos import photo_file, sheets
from ageing.photos.blending import bands, changes_of
from ageing.photos.detector import Detector
from ageing.photos.photo_report import report_error, report_on
from ageing.photos.sources import check_writable, names_a_file


@dataclasses.dataclass
class Editor:
    """What is loaded once, and what to write for each photo.

    translators: {"age" or "rejuvenate": Translator}. output: a file or a folder; None: beside the photo.
    face: "all", "largest" or a number, 1 is the largest. compare, steps, draw_boxes: which sheets to write too; steps:
    strengths to show. protected: real paths of all photos, which are never overwritten.
    """

    detector: Detector
    translators: dict
    output: str | None = None
    strength: float = 1.0
    face: str | int = "all"
    compare: bool = False
    steps: tuple = ()
    draw_boxes: bool = False
    force: bool = False
    max_megapixels: float = 150
    protected: frozenset = frozenset()

    def __post_init__(self):
        self.written = set()

    def attempt(self, source):
        """As `process`, but an error becomes the report, so that the photos after this one are still edited."""
        try:
            return self.process(source)
        except UserError as error:
            return report_error(source, str(error))
        except Exception as error:  # not foreseen
            return report_error(source, f"{source}: {type(error).__name__}: {error}")

    def process(self, source):
        """Edit the photo at `source`, a Path, and write its outputs. Returns the report on it. Raises UserError."""
        begin = time.perf_counter()
        photo = photo_file.read(source, self.max_megapixels)
        read = time.perf_counter()
        faces = self.detector.find(photo.rgb)
        chosen = self._choose(faces, source)
        detected = time.perf_counter()
        report = report_on(source, photo, faces, chosen)
        seconds = {"read": read - begin, "detect": detected - read}
        if chosen:
            changes = {direction: changes_of(photo.rgb, chosen, translator)
                       for direction, translator in self.translators.items()}
            translated = time.perf_counter()
            report["outputs"] = [str(path) for path in self._write(source, photo, faces, changes)]
            seconds |= {"translate": translated - detected, "blend and write": time.perf_counter() - translated}
        report["seconds"] = {name: round(value, 3) for name, value in seconds.items()}
        return report

    def _choose(self, faces, source):
        """Those of `faces` that are to be edited."""
        if isinstance(self.face, int):
            if faces and self.face > len(faces):
                raise UserError(f"{source}: --face {self.face}, but {len(faces)} found; see --draw-boxes")
            return faces[self.face - 1:self.face]
        return faces[:1] if self.face == "largest" else faces

    def _write(self, source, photo, faces, changes):
        """Write the outputs for one photo; their paths. changes: {direction: [Change]}.

        Nothing is written if one of the outputs may not be.
        """
        paths = self._paths(source, photo, changes)
        self._claim(source, paths.values())
        shown = [("photo", photo.rgb)]
        for direction, face_changes in changes.items():
            native = photo.edited(bands(photo.native.shape, face_changes, self.strength))
            photo_file.save(paths[direction], photo, native)
            if self.compare:  # from young to old
                place = 0 if direction == "rejuvenate" else len(shown)
                shown.insert(place, (self._title(direction), photo.rgb_of(native)))
            if self.steps:
                sheet = sheets.over_strengths(photo.rgb, face_changes, self.steps)
                photo_file.save_sheet(paths[f"{direction}, steps"], sheet)
        if self.compare:
            photo_file.save_sheet(paths["compare"], sheets.before_and_after(shown, next(iter(changes.values()))))
        if self.draw_boxes:
            photo_file.save_sheet(paths["faces"], sheets.with_boxes(photo.rgb, faces))
        return paths.values()

    def _paths(self, source, photo, directions):
        """{what: path} of all outputs for one photo."""
        paths = {direction: self._path(source, photo, self._title(direction)) for direction in directions}
        if self.steps:
            paths |= {f"{d}, steps": path.with_name(f"{path.stem}_steps.jpg") for d, path in paths.items()}
        for sheet, wanted in (("compare", self.compare), ("faces", self.draw_boxes)):
            if wanted:
                paths[sheet] = self._path(source, photo, sheet, is_sheet=True)
        return paths

    def _path(self, source, photo, title, is_sheet=False):
        """Where the output `title` for `source` is written."""
        if names_a_file(self.output):
            path = Path(self.output)
            photo_file.output_format(photo, path.suffix)  # raises if there is no such format
            if is_sheet:
                path = path.with_name(f"{path.stem}_{title}.jpg")
            return path
        suffix = photo_file.output_format(photo)[1]
        if photo_file.format_of(source.suffix) == photo.format:
            suffix = source.suffix  # .jpeg stays .jpeg
        return Path(self.output or source.parent) / f"{source.stem}_{title}{'.jpg' if is_sheet else suffix}"

    def _title(self, direction):
        """What an output is called in file names and above a picture: the domain that its generator makes."""
        return self.translators[direction].title or direction

    def _claim(self, source, paths):
        """Raises UserError if one of `paths` may not be written, or was written for another photo."""
        for path in paths:
            if path in self.written:
                raise UserError(f"{source}: {path} was just written for another photo; rename one or use another -o")
            check_writable(path, self.protected, self.force)
        self.written.update(paths)
