"""The report on each photo or clip: what --json writes and the terminal shows."""

import json
import sys
from pathlib import Path

from ageing.errors import UserError, printable
from ageing.faces.direction import Direction
from ageing.storage import as_private_as, replacing

MANY = 10   # photos; of more, only errors and the closing summary are shown


class Reports:
    """The reports of one run, shown as they are added.

    told: the stream for all but errors. photos: how many there will be. earlier: {photo: report} of an earlier run,
    which add what is known of photos that were done before, if the same outputs were asked for.
    """

    def __init__(self, told, photos, earlier=None):
        self.told, self.photos, self.earlier, self.all = told, photos, earlier or {}, []
        self.bar, self.print = None, print
        if photos > 1:  # importing it takes a twentieth of the time for one photo
            from tqdm import tqdm
            self.bar, self.print = tqdm, tqdm.write

    def progress(self, jobs):
        """`jobs`, with a progress bar if there are several and stderr is a terminal."""
        return self.bar(jobs, unit="photo", disable=None) if self.bar else jobs

    def tell(self, line):
        self.print(line, file=self.told)

    def add(self, report):
        if "error" in report:
            self.print(summary(report), file=sys.stderr)
        elif self.photos <= MANY:
            self.tell(summary(report))
        known = self.earlier.get(name_of(report), {}) if "done before" in report else {}
        self.all.append((known if known.get("outputs") == report.get("outputs") else {}) | report)

    def close(self, skipped):
        """Show the closing summary, if there is more to say than one line on one photo. skipped: see `closing`."""
        if self.photos > 1 or skipped:
            self.tell(closing(self.all, skipped))

    def write(self, where):
        """Write all reports as JSON to the file `where`, or to stdout if it is "-"."""
        text = json.dumps(self.all, indent=2)
        if where == "-":
            print(text)
            return
        with as_private_as(*filter(None, map(name_of, self.all))), replacing(where) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    @property
    def failed(self):
        return any("error" in report for report in self.all)

    @property
    def succeeded(self):
        """Whether there are outputs, of this run or an earlier one."""
        return any(report.get("outputs") for report in self.all)


def read(path):
    """{photo: report} that an earlier run wrote to the file `path`; None if it is missing or holds something else."""
    try:
        reports = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kinds = {"photo", "clip", "folder"}
    if not isinstance(reports, list) or not all(isinstance(r, dict) and kinds & r.keys() for r in reports):
        return None
    return {name_of(report): report for report in reports if "folder" not in report and "error" not in report}


def name_of(report):
    """The path of the photo or clip that a report is on."""
    return report.get("photo") or report.get("clip")


def report_on(source, photo, faces, placements, targets):
    """The report on a photo before anything is written: its size, its `faces` and how they are edited.

    placements: {index of a face that was chosen: its alignment.Placement}. targets: [ages.Target].
    """
    aligned = {i: placement.aligned for i, placement in placements.items()}
    left = [i + 1 for i in aligned if not aligned[i]]
    return {
        "photo": str(source), "width": photo.rgb.shape[1], "height": photo.rgb.shape[0],
        "faces": [{"box": [round(v, 1) for v in face.box], "turn": face.turn, "confidence": round(face.confidence, 3),
                   "aligned": aligned.get(i), "edited": aligned.get(i, False)}
                  for i, face in enumerate(faces)],
        "targets": _asked(targets), "outputs": [], "notes": notes_on(left) + photo.notes, "seconds": {},
    }


def notes_on(left):
    """[why the faces with the numbers `left`, from 1, are not edited], [] without any."""
    told = (f"faces {_listed(left)} were left as they are: they are" if len(left) > 1 else
            f"face {_listed(left)} was left as it is: it is")
    return [f"{told} seen from the side, or half covered"] * bool(left)


def report_on_clip(source, clip, targets):
    """The report on a clip_file.Clip before anything is written. "length": its seconds, a guess or None."""
    return {"clip": str(source), "width": clip.size[0], "height": clip.size[1], "length": clip.seconds, "frames": 0,
            "faces": [], "targets": _asked(targets), "outputs": [], "notes": [], "seconds": {}}


def _asked(targets):
    return [{"name": target.name, "age": target.age, "direction": target.direction,
             "strength": round(target.strength, 3), "share": round(target.share, 3)} for target in targets]


def report_finished(source, outputs, kind="photo"):
    """The report on a photo (or, by `kind`, a clip) whose outputs were all written by an earlier run."""
    return {kind: str(source), "done before": True, "outputs": [str(path) for path in outputs]}


def report_error(source, message, kind="photo"):
    """The report on a photo (or, by `kind`, a clip or a folder) that could not be edited."""
    return {kind: str(source), "error": str(message)}


def attempt(process, job, kind="photo"):
    """The report that process(job) returns. An error becomes the report, so that files after it are still edited.

    The outputs of a private photo are private.
    """
    try:
        with as_private_as(job.photo):
            return process(job)
    except UserError as error:
        return report_error(job.photo, error, kind)
    except Exception as error:  # not foreseen
        text = " ".join(str(error).split())
        return report_error(job.photo, f"{job.photo}: {type(error).__name__}: {text}", kind)


def summary(report):
    """The report in one line."""
    if "error" in report:
        return printable(f"error: {report['error']}")
    outputs = ", ".join(report["outputs"])
    if "done before" in report:
        return printable(f"{name_of(report)}: done before, see {outputs} (--force makes them anew)")
    n = len(report["faces"])
    if not n:
        return printable(f"{name_of(report)}: no face found, nothing written (lower --confidence to find more)")
    if not report["outputs"]:
        return printable(f"{name_of(report)}: nothing written: {'; '.join(report['notes'])}")
    if "interrupted" in report:
        return printable(f"{name_of(report)}: interrupted, the first {report['interrupted']} -> {outputs}")
    edited = _edited([report])
    faces = _count(n, "face") if edited in (0, n) else f"{edited} of {n} faces"
    frames = f" in {_count(report['frames'], 'frame')}" if "frames" in report else ""
    done = _made(report["targets"]) if edited else "numbered"
    told = f" ({'; '.join(report['notes'])})" if report["notes"] else ""
    return printable(f"{name_of(report)}: {faces}{frames} {done} -> {outputs}{told}")


def _made(targets):
    """What became of the faces: "made older (50s) at strength 0.6"."""
    ages = [target["age"] for target in targets if target["age"] is not None]
    ways = [("older" if Direction(target["direction"]).sign > 0 else "younger")
            + (f" ({target['name']})" if target["name"] != target["direction"] else "") for target in targets]
    made = f"about {_listed(ages)} years old" if ages else _listed(ways)
    strength = "".join(f" at strength {one:g}" for one in {target["strength"] for target in targets} - {1})
    return f"made {made}{strength}" if targets else "shown at all ages"


def closing(reports, skipped):
    """All reports in one line. skipped: text on the other files in the folders, or ""."""
    done = sum("done before" in report for report in reports)
    errors = sum("error" in report for report in reports)
    read_now = [report for report in reports if "faces" in report and "done before" not in report]
    written = [report for report in read_now if report["outputs"]]
    aged = [report for report in written if any(face["edited"] for face in report["faces"])]
    phrases = []
    if aged:
        phrases.append(f"{len(aged)} edited ({_count(_edited(aged), 'face')})")
    if numbered := len(written) - len(aged):
        phrases.append(f"{numbered} numbered")
    if faceless := len(read_now) - len(written):
        phrases.append(f"{faceless} without a face to edit")
    if errors:
        phrases.append(_count(errors, "error"))
    kinds = [kind for report in reports if "done before" not in report for kind in ("photo", "clip") if kind in report]
    counts = [_count(kinds.count(kind), kind) for kind in dict.fromkeys(sorted(kinds, reverse=True))] or ["0 photos"]
    phrases = [f"{' and '.join(counts)}: {', '.join(phrases)}"] if phrases else []
    if done:
        phrases.append(f"{done} done before")
    if noted := sum(bool(report["notes"]) for report in read_now):
        phrases.append(f"notes on {noted}, see --json")
    if skipped:
        phrases.append(f"skipped: {skipped}")
    return printable("; ".join(phrases))


def _edited(reports):
    """How many faces were edited."""
    return sum(face["edited"] for report in reports for face in report["faces"])


def _listed(items):
    """As "1, 2 and 7"."""
    *others, last = map(str, items or [""])
    return f"{', '.join(others)} and {last}" if others else last


def _count(n, what):
    return f"{n} {what}{'s' * (n != 1)}"
