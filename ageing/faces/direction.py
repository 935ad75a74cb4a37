"""The two directions in which a face is changed, and the one place where they are named."""

import enum


class Direction(enum.StrEnum):
    """From a source domain to a target domain: A is young, B is old.

    A direction is also its own name, as on the command line and in reports: Direction("age") == "age".
    """

    AGE = "age", "A", "B"
    REJUVENATE = "rejuvenate", "B", "A"

    def __new__(cls, text, source, target):
        direction = str.__new__(cls, text)
        direction._value_, direction.source, direction.target = text, source, target
        return direction

    @property
    def generator(self):
        """The name of its file in a folder of weights."""
        return f"g_{self.source}{self.target}.onnx"

    @property
    def sign(self):
        """Of the wanted change in age."""
        return 1 if self.source < self.target else -1
