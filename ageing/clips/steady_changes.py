"""The changes of faces in a clip, averaged over time in the face's own square: so they do not flicker.

    changes = SteadyChanges({"age": translator}).update(photo, tracks, now)     for each frame in order

photo: uint8 RGB (H, W, 3); tracks: [tracking.Track]; changes: {"age": [blending.Change]}.
"""

import dataclasses
import math

from ageing.faces.blending import Change, changes_of

# Seconds in which the mean takes over 63 % of a new change. A longer time flickers less, but the change comes late
# where an expression changes.
MEAN_TIME = 0.4
TRANSLATE_EVERY = 0.2   # seconds: the mean would hardly gain from more, and the generator is the slowest step


@dataclasses.dataclass
class Memory:
    """Of one face. last, mean: {direction: float32 (S, S, 3)}, its newest change and the mean over time."""

    translated: float   # seconds: when `last` was made
    last: dict
    mean: dict


class SteadyChanges:
    """translators: {direction: translator.Translator}; what is said of directions holds for any key, as an ages.Target.

    memories: {number of a track: Memory, None before the first}.
    """

    def __init__(self, translators):
        self.translators, self.memories, self.now = translators, {}, None

    def update(self, photo, tracks, now):
        """{direction: [Change]} for those of `tracks` that are shown, scaled by their weights. now: seconds."""
        passed, self.now = 0.0 if self.now is None else now - self.now, now
        shown = [track for track in tracks if track.weight > 0]
        self.memories = {track.number: self.memories.get(track.number) for track in shown}
        self._translate(photo, [track for track in shown if self._is_due(track)])
        share = 1 - math.exp(-passed / MEAN_TIME)
        for memory in filter(None, self.memories.values()):
            for direction, mean in memory.mean.items():
                mean += share * (memory.last[direction] - mean)
        return {direction: [Change(track.placement, self.memories[track.number].mean[direction] * track.weight)
                            for track in shown if self.memories[track.number]]
                for direction in self.translators}

    def _is_due(self, track):
        """A face that is covered or has left keeps its last change while it fades."""
        memory = self.memories[track.number]
        return track.seen and (memory is None or self.now - memory.translated >= TRANSLATE_EVERY - 1e-6)

    def _translate(self, photo, tracks):
        placements = [track.placement for track in tracks]
        changes = {direction: changes_of(photo, placements, translator)
                   for direction, translator in self.translators.items()}
        for i, track in enumerate(tracks):
            last = {direction: of_all[i].delta for direction, of_all in changes.items()}
            before = self.memories[track.number]
            mean = before.mean if before else {direction: delta.copy() for direction, delta in last.items()}
            self.memories[track.number] = Memory(self.now, last, mean)
