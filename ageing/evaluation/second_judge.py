"""The second judge of age and gender: face-api's AgeGenderNet, run by ONNX Runtime.

The judges in judges.py chose the recipes, so the recipes may suit them by chance. This one chose nothing: it was first
run when the shipped weights were final. assets/second_judge/README.md says where it comes from.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from ageing.errors import UserError, reason

WEIGHTS = Path(__file__).parents[2] / "assets/second_judge/age_gender.onnx"
SIZE = 112   # pixels per side of its input
BATCH = 8    # faces at once: more is no faster


class Opinion(NamedTuple):
    """ages (n,) in years; male (n,) booleans."""

    ages: np.ndarray
    male: np.ndarray


class SecondJudge:
    """Raises UserError if the file at `path` is missing or damaged."""

    def __init__(self, path=WEIGHTS):
        from ageing.onnx_session import open_session

        try:
            self.session = open_session(path.read_bytes())
            self.estimate(np.zeros((1, SIZE, SIZE, 3), np.uint8))
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            told = reason(error) if isinstance(error, OSError) else "damaged"
            raise UserError(f"{path}: the second judge cannot be read ({told}); get it back with "
                            "`git checkout assets/second_judge`") from error

    def read(self, faces, title="judging"):
        """Opinion of uint8 RGB (n, H, W, 3) in UTKFace's framing; n at least 1."""
        ages, male = [], []
        for i in tqdm(range(0, len(faces), BATCH), desc=title, leave=False, disable=None):
            few = [Image.fromarray(f).resize((SIZE, SIZE), Image.Resampling.LANCZOS) for f in faces[i:i + BATCH]]
            age, probability = self.estimate(np.stack(few))
            ages.append(age)
            male.append(probability > 0.5)
        return Opinion(np.concatenate(ages), np.concatenate(male))

    def estimate(self, pixels):
        """uint8 RGB (n, SIZE, SIZE, 3) -> ages (n,) in years, probabilities (n,) of male; both float32."""
        return self.session.run(["age", "male"], {"pixels": pixels})
