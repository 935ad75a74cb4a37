"""Find 68 landmarks of a face with face-api's FaceLandmark68Net, run by ONNX Runtime.

assets/landmarks/README.md says where the network comes from.
"""

import numpy as np

from ageing.errors import UserError, reason
from ageing.project import PROJECT

WEIGHTS = PROJECT / "assets/landmarks/landmarks.onnx"
SIZE = 112   # pixels per side of the network's input
POINTS = 68  # in the order of the 300-W data set (Sagonas et al. 2013)


class Landmarks:
    """Raises UserError if the file at `path` is missing or damaged."""

    def __init__(self, path=WEIGHTS):
        from ageing.onnx_session import open_session

        try:  # one thread: a second one gains little here, and loading takes twice as long
            self.session = open_session(path.read_bytes(), threads=1)
            self.find(np.zeros((1, SIZE, SIZE, 3), np.uint8))
        except Exception as error:  # onnxruntime's own classes derive from nothing narrower
            told = reason(error) if isinstance(error, OSError) else "damaged"
            raise UserError(f"{path}: the landmark network cannot be read ({told}); get it back with "
                            "`git checkout assets/landmarks`") from error

    def find(self, crops):
        """uint8 RGB (n, SIZE, SIZE, 3) -> float32 (n, POINTS, 2): x and y as shares of the side."""
        points, = self.session.run(["points"], {"pixels": crops})
        return points
