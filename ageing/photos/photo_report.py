"""The report on each photo: what --json writes and the terminal shows."""

import json

from ageing.storage import replacing


def report_on(source, photo, faces, chosen):
    """The report on a photo before anything is written: its size, `faces`, and which of them are `chosen`."""
    report = {
        "photo": str(source), "width": photo.rgb.shape[1], "height": photo.rgb.shape[0],
        "faces": [{"box": [round(v, 1) for v in face.box], "confidence": round(face.confidence, 3),
                   "edited": face in chosen} for face in faces],
        "outputs": [], "seconds": {},
    }
    if photo.frames > 1:
        report["note"] = f"only the first of its {photo.frames} pictures is read"
    return report


def report_error(source, message):
    """The report on a photo that could not be edited."""
    return {"photo": str(source), "error": " ".join(message.split())}


def summary(report):
    """The report in one line."""
    if "error" in report:
        return f"error: {report['error']}"
    n = len(report["faces"])
    if not n:
        return f"{report['photo']}: no face found, nothing written (lower --confidence to find more)"
    edited = sum(face["edited"] for face in report["faces"])
    note = f" ({report['note']})" if "note" in report else ""
    return f"{report['photo']}: {edited} of {n} face{'s' * (n > 1)} -> {', '.join(report['outputs'])}{note}"


def write(where, reports):
    """Write `reports` as JSON to the file `where`, or to stdout if it is "-"."""
    text = json.dumps(reports, indent=2)
    if where == "-":
        print(text)
        return
    with replacing(where) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
