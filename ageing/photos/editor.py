"""Edit photo files one after the other: read, detect, align, translate, blend, write."""

import dataclasses
import time

from ageing.errors import UserError
from ageing.faces.ages import Tour
from ageing.faces.alignment import Aligner
from ageing.faces.blending import blend, changes_of
from ageing.faces.detector import Detector
from ageing.photos import outputs, photo_file, photo_report, sheets
from ageing.photos.outputs import Kind

FACES = Kind("faces", ".jpg")


@dataclasses.dataclass
class Editor:
    """What is loaded once, and what to write for each photo.

    targets: [ages.Target] to edit the photo for, with names of their own. face: "all", "largest" or a number, 1 is the
    largest. compare, draw_boxes, tour: which sheets to write; `tour` moves. protected: real paths of all photos,
    which are never overwritten.
    """

    detector: Detector
    aligner: Aligner
    targets: list
    face: str | int = "all"
    compare: bool = False
    tour: Tour | None = None
    draw_boxes: bool = False
    force: bool = False
    max_megapixels: float = 150
    protected: frozenset = frozenset()

    @property
    def kinds(self):
        """[outputs.Kind] of everything that is written for a photo."""
        kinds = [self.kind_of(target) for target in self.targets]
        sheets = [self.compare and self.compared, self.tour and self.moving, self.draw_boxes and FACES]
        return kinds + [sheet for sheet in sheets if sheet]

    def kind_of(self, target):
        """The outputs.Kind of what is edited for a target."""
        return Kind(self._ending([target.name], [target.strength]))

    @property
    def compared(self):
        names = [target.name for target in sorted(self.targets, key=lambda target: target.direction.sign)]
        return Kind(self._ending(names, [target.strength for target in self.targets], "compare"), ".jpg")

    @property
    def moving(self):
        return Kind(self._ending(["ages"], [self.tour.strength]), self.tour.suffix)

    def _ending(self, names, strengths, *sheet):
        """Of a file name that says what was asked: "30-50_0.6_face2_compare"."""
        asked = [f"{strength:g}" for strength in dict.fromkeys(strengths) if strength != 1]
        if self.face != "all":
            asked.append(self.face if self.face == "largest" else f"face{self.face}")
        return "_".join(["-".join(names), *asked, *sheet])

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
        targets = [target for target in self.targets if missing.keys() & {self.kind_of(target), self.compared}]
        report = photo_report.report_on(job.photo, photo, faces, dict(zip(chosen, placements, strict=True)), targets)
        placements = [placement for placement in placements if placement.aligned]
        seconds = {"read": read - begin, "detect": detected - read, "align": aligned - detected}
        if placements or (faces and not (self.targets or self.tour)):  # all faces are numbered
            wanted = [target.translator for target in targets]
            if self.tour and self.moving in missing:
                wanted += self.tour.stops.values()
            changes = {one: changes_of(photo.rgb, placements, one) for one in dict.fromkeys(wanted)}
            translated, noted = time.perf_counter(), len(photo.notes)
            self._write(missing, photo, faces, targets, changes)
            report["notes"] += photo.notes[noted:]  # by `save`
            report["outputs"] = [str(path) for path in missing.values()]
            seconds |= {"translate": translated - aligned, "blend and write": time.perf_counter() - translated}
        report["seconds"] = {name: round(value, 3) for name, value in seconds.items()}
        return report

    def _choose(self, faces, source):
        """Numbers, from 0, of those of `faces` that are to be edited."""
        if not (self.targets or self.tour):
            return range(0)
        if isinstance(self.face, int):
            if faces and self.face > len(faces):
                raise UserError(f"{source}: --face {self.face}, but {len(faces)} found; see --draw-boxes")
            return range(len(faces))[self.face - 1:self.face]
        return range(len(faces))[:1 if self.face == "largest" else None]

    def _write(self, missing, photo, faces, targets, changes):
        """Write the outputs `missing` for one photo. changes: {translator of each of `targets`: [Change]}."""
        shown = [("photo", photo.rgb)]
        for target in targets:
            native = blend(photo.native, changes[target.translator], target.amount, photo.mode)
            if path := missing.get(self.kind_of(target)):
                photo_file.save(path, photo, native)
            if self.compared in missing:  # from young to old
                first = target.age is None and target.direction.sign < 0
                shown.insert(0 if first else len(shown), (target.name, photo.rgb_of(native)))
        if path := missing.get(self.compared):
            photo_file.save_sheet(path, sheets.before_and_after(shown, changes[targets[0].translator]), photo)
        if self.tour and (path := missing.get(self.moving)):
            known = {age: changes[translator] for age, translator in self.tour.stops.items()}
            titles, ages, milliseconds = zip(*self.tour.loop, strict=True)
            pictures = sheets.through_ages(photo.rgb, known, zip(titles, ages, strict=True), self.tour.strength)
            photo_file.save_moving(path, pictures, milliseconds, photo)
        if path := missing.get(FACES):
            photo_file.save_sheet(path, sheets.with_boxes(photo.rgb, faces), photo)
