"""The One-Euro filter: smooths a signal more the slower it moves.

Casiez, Roussel, Vogel 2012, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems". The cutoff frequency rises with the speed: little jitter at rest, little lag in motion.
"""

import math


class OneEuro:
    """Filters numbers or arrays, each element by itself.

    cutoff: Hz, of a signal at rest. beta: Hz by which it rises per unit of speed. speed_cutoff: Hz, of the speed.
    """

    def __init__(self, cutoff, beta, speed_cutoff=1.0):
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self.value, self.speed = None, 0.0

    def __call__(self, value, seconds, unit=1.0):
        """The filtered `value`. The first call returns it as it is.

        seconds: since the last call, above 0. unit: of the value, for the speed: beta then needs no change where the
        same motion is shown larger.
        """
        if self.value is None:
            self.value = value
            return value
        speed = (value - self.value) / seconds
        self.speed = self.speed + share(self.speed_cutoff, seconds) * (speed - self.speed)
        cutoff = self.cutoff + self.beta * abs(self.speed) / unit
        self.value = self.value + share(cutoff, seconds) * (value - self.value)
        return self.value


def share(cutoff, seconds):
    """The share of the new value in an exponential mean with this cutoff in Hz (the paper's eq. 5 and 6)."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))
