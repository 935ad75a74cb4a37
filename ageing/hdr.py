"""HDR signals (PQ, HLG) as a picture of usual brightness, and a change of that picture as one of the signal."""

import functools

import numpy as np

PQ, HLG = 16, 18    # the transfer functions' numbers (ITU-T H.273)
# From BT.2020's primaries to BT.709's (ITU-R BT.2087), applied to the reduced signal instead of to light: skin gets
# about the saturation that generators know, and the inverse is exact.
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)
WHITE = 203         # cd/m2 of a white sheet of paper in HDR (ITU-R BT.2408)
KNEE = 0.7          # of white: light above is compressed
BRIGHTEST = 0.99    # of the compressed range: above, a change has nothing to take hold of


@functools.cache
class Curve:
    """Reduces one channel of an HDR signal, 0 to 1, to grey levels of an SDR picture, 0 to 255."""

    def __init__(self, transfer):
        self.signals = np.linspace(0, 1, 4096)
        light = np.minimum({PQ: pq_light, HLG: hlg_light}[transfer](self.signals), KNEE - (1 - KNEE) * np.log(
            (1 - BRIGHTEST) / (1 - KNEE)))
        compressed = np.where(light <= KNEE, light, 1 - (1 - KNEE) * np.exp(-(np.maximum(light, KNEE) - KNEE)
                                                                            / (1 - KNEE)))
        self.greys = 255 * compressed ** (1 / 2.2)
        self.table = np.rint(np.interp(np.linspace(0, 1, 65536), self.signals, self.greys)).astype(np.uint8)

    def unreduced(self, delta, signals):
        """A change of the reduced picture, in grey levels, as one of the signals, in 255ths.

        delta, signals: float32 (h, w, 3).
        """
        grey = np.interp(signals, self.signals, self.greys)
        changed = np.clip(grey + delta @ np.linalg.inv(TO_BT709).T, 0, self.greys[-1])
        rising = slice(np.argmax(self.greys) + 1)   # not where the brightest are all one
        moved, still = (np.interp(one, self.greys[rising], self.signals[rising]) for one in (changed, grey))
        moved -= still
        return (255 * moved).astype(np.float32)


def pq_light(signal):
    """Light of a PQ signal (SMPTE ST 2084), 1 for white."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = signal ** (1 / m2)
    return 10000 / WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)


def hlg_light(signal):
    """Light of an HLG signal (ITU-R BT.2100) on a display of 1,000 cd/m2, 1 for white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal ** 2 / 3, (np.exp((np.maximum(signal, 0.5) - c) / a) + b) / 12)
    return 1000 / WHITE * scene ** 1.2
