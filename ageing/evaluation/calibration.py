"""How many years a strength stands for, written beside the generators for `infer_faces.py --years`."""

import json

from ageing.photos.calibration import FILE
from ageing.storage import replacing

# Share of the gain on validation crops that is left on photos. `evaluate.py --photos DIR` measured for ageing 0.95 and
# 1.03 by two judges (47 faces in 22 photos; 95 % intervals 0.76 to 1.13 and 0.90 to 1.15), for rejuvenation 0.51 and
# 0.94 on the 13 faces that look 35 or older. The curve itself is measured on crops, of which there are enough.
PHOTO_SHARE = {"age": 1.0, "rejuvenate": 0.7}


def write(folder, directions, how):
    """Write `folder`/calibration.json, which ageing.photos.calibration reads.

    directions: {direction: numbers of measure.measure}. how: a sentence that says by what, when and on what. Written
    are the mean gain in years at each strength, and the 95 % confidence interval of this mean.
    """
    calibration = {direction: curve(numbers, PHOTO_SHARE[direction]) for direction, numbers in directions.items()}
    calibration["measured"] = sentence(directions, how)
    with replacing(folder / FILE) as temporary:
        temporary.write_text(json.dumps(calibration, indent=1) + "\n", encoding="utf-8")


def curve(numbers, share):
    """{name: list}: strengths, and the gain in years that is left of them on photos, with its interval."""
    by_strength = numbers["age gain by strength"]
    years, low, high = ([round(share * value, 2) for value in values]
                        for values in zip(*by_strength.values(), strict=True))
    return {"strength": list(by_strength), "years": years, "low": low, "high": high}


def sentence(directions, how):
    n = min(numbers["faces in the strength curve"] for numbers in directions.values())
    spread = ", ".join(f"{low:.0f} to {high:.0f} ({direction})" for direction, (low, high) in (
        (direction, [PHOTO_SHARE[direction] * v for v in numbers["quartiles of the age gain"]])
        for direction, numbers in directions.items()))
    return (f"{how} Mean of two judges' ages on {n} of these faces, times the share that is left on ordinary "
            f"photos ({PHOTO_SHARE['age']} ageing, {PHOTO_SHARE['rejuvenate']} rejuvenation). Single faces differ: at "
            f"strength 1 the middle half gains {spread} years.")
