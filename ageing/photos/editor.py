"""Edit photo files one after the other: read, detect, align, translate, blend, write."""

import dataclasses
import time

from ageing.errors import UserError
from ageing.faces.alignment import Aligner
from ageing.faces.blending import blend, changes_of
from ageing.faces.detector import Detector
from ageing.photos import outputs, photo_file, photo_report, sheets
from ageing.photos.outputs import Kind


@dataclasses.dataclass
class Editor:
    """What is loaded once, and what to write for each photo.

    translators: {Direction: Translator}. strengths: {direction: strength}, 1 for directions that it lacks.
    face: "all", "largest" or a number, 1 is the largest. compare, steps, draw_boxes: which sheets to write too; steps:
    strengths to show. protected: real paths of all photos, which are never overwritten.
    """

    detector: Detector
    aligner: Aligner
    translators: dict
    strengths: dict = dataclasses.field(default_factory=dict)
    face: str | int = "all"
    compare: bool = False
    steps: tuple = ()
    draw_boxes: bool = False
    force: bool = False
    max_megapixels: float = 150
    protected: frozenset = frozenset()

    def __post_init__(self):
        self.strengths = {direction: self.strengths.get(direction, 1.0) for direction in self.translators}
        # What outputs are called in file names and above a picture: the domain that the generator makes.
        self.domains = {direction: translator.title or direction for direction, translator in self.translators.items()}
        if len(set(self.domains.values())) < len(self.domains):
            self.domains = {direction: direction for direction in self.translators}

    @property
    def kinds(self):
        """[outputs.Kind] of everything that is written for a photo."""
        domains = self.domains.values()
        kinds = [Kind(domain) for domain in domains]
        if self.steps:
            kinds += [Kind(domain, "steps") for domain in domains]
        return kinds + [Kind(None, "compare")] * self.compare + [Kind(None, "faces")] * self.draw_boxes

    def attempt(self, job):
        """As `process`, but an error becomes the report, so that the photos after this one are still edited."""
        return photo_report.attempt(self.process, job)

    def process(self, job):
        """Edit the photo of an outputs.Job and write its outputs. Returns the report on it. Raises UserError."""
        missing = outputs.missing(job, self.protected, self.force)
        if not missing:
            return photo_report.report_finished(job.photo, job.outputs.values())
        begin = time.perf_counter()
        photo = photo_file.read(job.photo, self.max_megapixels)
        read = time.perf_counter()
        faces = self.detector.find(photo.rgb)
        chosen = self._choose(faces, job.photo)
        detected = time.perf_counter()
        placements = self.aligner.align(photo.rgb, [faces[i] for i in chosen])
        aligned = time.perf_counter()
        report = photo_report.report_on(job.photo, photo, faces, dict(zip(chosen, placements, strict=True)),
                                        self.strengths)
        placements = [placement for placement in placements if placement.aligned]
        seconds = {"read": read - begin, "detect": detected - read, "align": aligned - detected}
        if placements:
            changes = {direction: changes_of(photo.rgb, placements, translator)
                       for direction, translator in self.translators.items()}
            translated, noted = time.perf_counter(), len(photo.notes)
            self._write(missing, photo, faces, changes)
            report["notes"] += photo.notes[noted:]  # by `save`
            report["outputs"] = [str(path) for path in missing.values()]
            seconds |= {"translate": translated - aligned, "blend and write": time.perf_counter() - translated}
        report["seconds"] = {name: round(value, 3) for name, value in seconds.items()}
        return report

    def _choose(self, faces, source):
        """Numbers, from 0, of those of `faces` that are to be edited."""
        if isinstance(self.face, int):
            if faces and self.face > len(faces):
                raise UserError(f"{source}: --face {self.face}, but {len(faces)} found; see --draw-boxes")
            return range(len(faces))[self.face - 1:self.face]
        return range(len(faces))[:1 if self.face == "largest" else None]

    def _write(self, missing, photo, faces, changes):
        """Write the outputs `missing` for one photo. changes: {direction: [Change]}."""
        shown = [("photo", photo.rgb)]
        for direction, face_changes in changes.items():
            domain = self.domains[direction]
            native = blend(photo.native, face_changes, self.strengths[direction], photo.mode)
            if path := missing.get(Kind(domain)):
                photo_file.save(path, photo, native)
            if Kind(None, "compare") in missing:  # from young to old
                shown.insert(0 if direction.sign < 0 else len(shown), (domain, photo.rgb_of(native)))
            if path := missing.get(Kind(domain, "steps")):
                photo_file.save_sheet(path, sheets.over_strengths(photo.rgb, face_changes, self.steps), photo)
        one = next(iter(changes.values()))
        if path := missing.get(Kind(None, "compare")):
            photo_file.save_sheet(path, sheets.before_and_after(shown, one), photo)
        if path := missing.get(Kind(None, "faces")):
            placements = [change.placement for change in one]
            photo_file.save_sheet(path, sheets.with_boxes(photo.rgb, faces, placements), photo)
