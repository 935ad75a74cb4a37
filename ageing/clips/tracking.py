"""Follow faces from frame to frame of a clip.

    tracks = tracker.update(photo, now)      for each frame in order; photo: uint8 RGB (H, W, 3), now: seconds

The detector looks every half second. In between, the landmark network looks where the face was in the frame before.
The landmarks are smoothed by a One-Euro filter. A face that leaves or is covered fades out; found again soon, it keeps
its number.
"""

import dataclasses
import math

import cv2
import numpy as np

from ageing.clips import motion
from ageing.faces.alignment import OVAL, PLACES, fitted, is_trusted, means, outlined, rms, transform
from ageing.faces.detector import same

FINEST = 960            # the detector's `finest`: half the time of a photo's; faces from 1/38 of the width are found
DETECT_EVERY = 0.5      # seconds between two runs of the detector, the most expensive step
SEARCH_EVERY = 0.2      # the same, while a face is lost
FADE = 0.3              # seconds in which a change fades in or out
REMEMBERED = 2.0        # seconds for which a lost face keeps its number
MOST_MISSED = 3         # runs of the detector in sequence without the face, after which its landmarks do not count

# The landmarks' OneEuro filter: Hz; Hz for a speed of one placement's side a second.
# `python benchmarks/video.py --smoothing` shows what other values do.
CUTOFF, BETA = 0.3, 10.0
SPEED_CUTOFF = 1.0      # Hz, for the speed itself
OUTLINE_CUTOFF = 0.3    # Hz, of the mean of a face's outline over time: it changes only as the head turns

SAME_FACE = 0.5         # sides of the placement: landmarks that are nearer on average belong to one face
LARGER = 1.3            # ratio of sides from which another face becomes "the largest"
CUT = 30                # grey levels: a scene begins where frames, reduced to THUMBNAIL, differ more on average
THUMBNAIL = (32, 18)    # width and height in pixels


class OneEuro:
    """Smooths numbers or arrays, each element by itself: little jitter at rest, little lag in motion.

    Casiez, Roussel, Vogel 2012, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
    Systems". cutoff: Hz, at rest. beta: Hz by which it rises per unit of speed.
    """

    def __init__(self, cutoff, beta):
        self.cutoff, self.beta = cutoff, beta
        self.value, self.speed = None, 0.0

    def __call__(self, value, seconds, unit=1.0):
        """The smoothed `value`; the first one as it is.

        seconds: since the last call, above 0. unit: in which speeds are counted, here the size of the face.
        """
        if self.value is None:
            self.value = value
            return value
        speed = (value - self.value) / seconds
        self.speed = self.speed + share(SPEED_CUTOFF, seconds) * (speed - self.speed)
        cutoff = self.cutoff + self.beta * abs(self.speed) / unit
        self.value = self.value + share(cutoff, seconds) * (value - self.value)
        return self.value


def share(cutoff, seconds):
    """The share of the new value in an exponential mean with this cutoff in Hz (the paper's eq. 5 and 6)."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff * seconds))


@dataclasses.dataclass(eq=False)
class Track:
    """A face over time. placement: smoothed; unsmoothed: as it was found in the last frame."""

    number: int              # from 1, in the order of appearance, the largest first
    box: tuple               # the detector's, when the face appeared
    begin: float             # seconds at which the face was first seen
    end: float               # and last seen
    places: np.ndarray       # float64 (4, 2): eyes, nose and mouth in the photo's pixels, not smoothed
    weight: float = 0.0      # 0 to 1: how much of its change is shown now
    seen: bool = True        # in the last frame
    missed: int = 0          # runs of the detector without it, in sequence
    edited: bool = False     # whether its weight was ever above 0
    outline: np.ndarray = dataclasses.field(default_factory=lambda: OVAL)   # as Placement.outline, smoothed

    def __post_init__(self):
        self.placement = self.unsmoothed = dataclasses.replace(fitted(self.places), outline=self.outline)
        self.smooth = OneEuro(CUTOFF, BETA)

    def carry(self, matrix):
        """Move the face, and the filter's memory of it, by a similarity, float64 (2, 3)."""
        self.unsmoothed = fitted(transform(matrix, self.unsmoothed.at(PLACES)))
        if self.smooth.value is not None:
            self.smooth.value = transform(matrix, self.smooth.value)

    def follow(self, places, outline, seconds, now):
        """The face was found at `places` with an `outline`, `seconds` after the frame before."""
        self.places, self.unsmoothed, self.seen, self.end = places, fitted(places), True, now
        self.outline = self.outline + share(OUTLINE_CUTOFF, seconds) * (outline - self.outline)
        smoothed = fitted(self.smooth(places, seconds, self.unsmoothed.side))
        self.placement = dataclasses.replace(smoothed, outline=self.outline)

    @property
    def followed(self):
        """Whether the landmark network looks for it; a face that has faded out must be detected again."""
        return (self.seen or self.weight > 0) and self.missed < MOST_MISSED


class Tracker:
    """Follows the faces of one clip. tracks: [Track] of those that are remembered; appeared: of all so far.

    face: which are edited: "all", "largest" or a number. detector, aligner: as for photos.
    """

    def __init__(self, detector, aligner, face="all"):
        self.detector, self.aligner, self.face = detector, aligner, face
        self.tracks, self.appeared = [], []
        self.now = self.looked = self.before = self.thumbnail = self.largest = None

    def update(self, photo, now):
        """[Track] of the faces that are in this frame or fade out. now: its time in seconds, never falling."""
        seconds = max(now - self.now, 1e-3) if self.now is not None else 1e-3
        self.now, begins = now, self._begins_scene(photo)
        if begins:
            self.tracks = []
        self._follow(photo, seconds)
        lost = any(not track.seen for track in self.tracks)
        if begins or now - self.looked >= (SEARCH_EVERY if lost else DETECT_EVERY) - 1e-6:
            self._detect(photo, seconds)
        for track in self.tracks:
            wanted = track.seen and self._chosen(track)
            step = 1 if begins else seconds / FADE
            track.weight = min(track.weight + step, 1) if wanted else max(track.weight - step, 0)
            track.edited |= track.weight > 0
        self.tracks = [track for track in self.tracks if now - track.end <= REMEMBERED]
        self.before = photo
        return [track for track in self.tracks if track.seen or track.weight]

    def _begins_scene(self, photo):
        """Whether this is the first frame of the clip or after a cut."""
        before, self.thumbnail = self.thumbnail, cv2.resize(photo, THUMBNAIL, interpolation=cv2.INTER_AREA)
        return before is None or cv2.absdiff(before, self.thumbnail).mean() > CUT

    def _follow(self, photo, seconds):
        """Find the faces where they were in the frame before."""
        followed = [track for track in self.tracks if track.followed]
        for track in self.tracks:
            track.seen = False
        if not followed:
            return
        for track in followed:
            moved = motion.of_face(self.before, photo, track.unsmoothed)
            if moved is not None:
                track.carry(moved)
        landmarks = self.aligner.points(photo, [track.unsmoothed.matrix for track in followed], mirror=True)
        for track, points, disagreement in zip(followed, *landmarks, strict=True):
            if is_trusted(points, disagreement, track.unsmoothed):
                track.follow(means(points), outlined(points).outline, seconds, self.now)
        for i, track in enumerate(followed):
            if track.seen and any(one.seen and distance(one.places, track) < SAME_FACE for one in followed[:i]):
                track.seen = False  # it follows the same face as an earlier track
                self.tracks.remove(track)

    def _detect(self, photo, seconds):
        """Look for faces in the whole frame: confirm those that are followed, find the lost ones, begin new ones."""
        self.looked = self.now
        faces = self.detector.find(photo)
        placements = self.aligner.align(photo, faces)
        pairs = [(distance(placement.at(PLACES), track), i, track)
                 for i, placement in enumerate(placements) for track in self.tracks
                 if placement.aligned or same(faces[i].box, track.placement.bounds)]
        matched = {}    # {index of a face: the nearest track}
        for far, i, track in sorted(pairs, key=lambda pair: pair[0]):
            if far < SAME_FACE and i not in matched and track not in matched.values():
                matched[i] = track
        for track in self.tracks:
            track.missed += 1
        for i, (face, placement) in enumerate(zip(faces, placements, strict=True)):
            track = matched.get(i)
            places = placement.at(PLACES)
            if track:
                track.missed = 0
                if not track.seen and placement.aligned:
                    if not track.weight:
                        track.smooth = OneEuro(CUTOFF, BETA)
                    track.follow(places, placement.outline, seconds, self.now)
            elif placement.aligned:
                self.appeared.append(Track(len(self.appeared) + 1, face.box, self.now, self.now, places,
                                           outline=placement.outline))
                self.tracks.append(self.appeared[-1])
        for track in self.tracks:
            track.seen &= track.missed < MOST_MISSED

    def _chosen(self, track):
        """Whether a face that is seen is to be edited."""
        if self.face == "largest":
            seen = [one for one in self.tracks if one.seen]
            largest = max(seen, key=lambda one: one.placement.side)
            if self.largest not in seen or largest.placement.side > LARGER * self.largest.placement.side:
                self.largest = largest
            return track is self.largest
        return self.face in ("all", track.number)


def distance(places, track):
    """Root mean square distance of landmarks (4, 2) from those of a Track, in sides of its placement."""
    return float(rms(places - track.places)) / track.unsmoothed.side
