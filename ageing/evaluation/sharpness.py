"""How sharp the photo of a face is."""

import cv2
import numpy as np

EYES = (0.227, 0.336), (0.1875, 0.8125)  # rows and columns as shares of the side, in UTKFace's framing


def sharpness(face):
    """Log of 1 + the variance of the Laplacian at the eyes. face: uint8 RGB, square, in UTKFace's framing.

    Lashes and irises are edges at any age. The skin would not do: old skin has more of them, so that faces of equally
    sharp skin differ less by age than people do. Compare faces of one size only.
    """
    rows, columns = (slice(*(round(share * len(face)) for share in reach)) for reach in EYES)
    grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.log(cv2.Laplacian(grey, cv2.CV_32F)[rows, columns].var() + 1))
