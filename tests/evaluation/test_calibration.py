"""The file beside the generators that says how many years a strength stands for."""

import json

from ageing.evaluation import calibration
from ageing.photos.calibration import load


def test_gains_on_crops_are_written_as_gains_on_photos(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "PHOTO_SHARE", {"age": 0.5, "rejuvenate": 0.25})
    numbers = {"age gain by strength": {0: (0.0, 0.0, 0.0), 0.5: (8.0, 7.0, 9.0), 1: (20.0, 18.0, 22.0)},
               "faces in the strength curve": 200, "quartiles of the age gain": [12.0, 28.0]}
    fewer = numbers | {"faces in the strength curve": 180}
    calibration.write(tmp_path, {"age": numbers, "rejuvenate": fewer}, "By me.")
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["age"] == {
        "strength": [0, 0.5, 1], "years": [0, 4, 10], "low": [0, 3.5, 9], "high": [0, 4.5, 11]}
    assert written["rejuvenate"]["years"] == [0, 2, 5]
    assert written["measured"] == (
        "By me. Mean of two judges' ages on 180 of these faces, times the share that is left on ordinary photos (0.5 "
        "ageing, 0.25 rejuvenation). Single faces differ: at strength 1 the middle half gains 6 to 14 (age), 3 to 7 "
        "(rejuvenate) years.")
    assert load(tmp_path).strength_for("age", 7) == (0.75, (6.25, 7.75))
