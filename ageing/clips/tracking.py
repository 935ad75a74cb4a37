"""Follow faces from frame to frame of a clip.

    tracks = tracker.update(photo, now)      for each frame in order; photo: uint8 RGB (H, W, 3), now: seconds

The detector looks every half second. In between, the landmark network looks where the face was in the frame before.
The landmarks are smoothed by a One-Euro filter. A face that leaves or is covered fades out; found again soon, it keeps
its number.
"""

import dataclasses

import cv2
import numpy as np

from ageing.clips import motion
from ageing.clips.one_euro import OneEuro
from ageing.faces.alignment import (
    LARGEST_DISAGREEMENT,
    LARGEST_MISFIT,
    PLACES,
    Placement,
    is_near,
    rms,
    transform,
    umeyama,
)
from ageing.faces.detector import same

FINEST = 960            # of the detector, see detector.FINEST: half of a photo's time, for faces of 1/38 of the width
DETECT_EVERY = 0.5      # seconds between two looks of the detector, the most expensive step
SEARCH_EVERY = 0.2      # the same while a face is lost
FADE = 0.3              # seconds in which a change fades in or out
REMEMBERED = 2.0        # seconds after which a lost face that returns gets a new number
MOST_MISSED = 3         # looks of the detector that may miss a face in sequence, however clear its landmarks

# Of the landmarks' One-Euro filter: Hz, and Hz per side of the face's square a second.
# `python benchmarks/video.py --smoothing` shows what other values do.
CUTOFF, BETA = 0.3, 10.0

SAME_FACE = 0.5         # sides of the placement: landmarks that are nearer on average belong to one face
LARGER = 1.3            # by how much another face must be larger, to become the largest
CUT = 30                # grey levels by which frames differ on average from one scene to the next
THUMBNAIL = (32, 18)    # pixels in which they are compared


@dataclasses.dataclass(eq=False)
class Track:
    """A face over time.

    number: from 1, in the order of appearance, the largest first. box: the detector's, at first. begin, end: seconds,
    when the face was first and last seen. placement: smoothed. weight: 0 to 1, how much of its change
    is shown now; 0 if it is not to be edited. edited: whether it ever was.
    """

    number: int
    box: tuple
    begin: float
    end: float
    places: np.ndarray       # float64 (4, 2): of eyes, nose and mouth in the photo's pixels, not smoothed
    weight: float = 0.0
    seen: bool = True        # in the last frame
    missed: int = 0          # looks of the detector, in sequence
    edited: bool = False

    def __post_init__(self):
        self.placement = self.unsmoothed = fitted(self.places)
        self.smooth = OneEuro(CUTOFF, BETA)

    def carry(self, motion):
        """Move along with what was seen in the face's place. motion: a similarity, float64 (2, 3)."""
        self.unsmoothed = fitted(transform(motion, self.unsmoothed.at(PLACES)))
        if self.smooth.value is not None:
            self.smooth.value = transform(motion, self.smooth.value)

    def follow(self, places, seconds, now):
        """Take over where the face was found, `seconds` after the last time."""
        self.places, self.unsmoothed, self.seen, self.end = places, fitted(places), True, now
        self.placement = fitted(self.smooth(places, seconds, self.unsmoothed.side))

    @property
    def followed(self):
        """Whether the landmark network may look for it; a face that has faded out must be detected again."""
        return (self.seen or self.weight > 0) and self.missed < MOST_MISSED


def fitted(places):
    """The Placement of landmarks (4, 2)."""
    return Placement(umeyama(PLACES, places))


class Tracker:
    """Follows the faces of one clip. seen: [Track] of all its faces so far.

    face: which are edited: "all", "largest" or a number. detector, aligner: as for photos.
    """

    def __init__(self, detector, aligner, face="all"):
        self.detector, self.aligner, self.face = detector, aligner, face
        self.tracks, self.seen = [], []
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
        found = self.aligner.places(photo, [track.unsmoothed.matrix for track in followed], mirror=True)
        for track, places, disagreement in zip(followed, *found, strict=True):
            if is_trusted(places, disagreement, track.unsmoothed):
                track.follow(places, seconds, self.now)
        for i, track in enumerate(followed):
            if track.seen and any(one.seen and distance(one.places, track) < SAME_FACE for one in followed[:i]):
                track.seen = False  # two have come to follow one face
                self.tracks.remove(track)

    def _detect(self, photo, seconds):
        """Look for faces in the whole frame: confirm those that are followed, find the lost ones, begin new ones."""
        self.looked = self.now
        faces = self.detector.find(photo)
        placements = self.aligner.align(photo, faces)
        pairs = [(distance(placement.at(PLACES), track), i, track)
                 for i, placement in enumerate(placements) for track in self.tracks
                 if placement.aligned or same(faces[i].box, track.placement.bounds)]
        matched = {}
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
                    track.follow(places, seconds, self.now)
            elif placement.aligned:
                self.seen.append(Track(len(self.seen) + 1, face.box, self.now, self.now, places))
                self.tracks.append(self.seen[-1])
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


def is_trusted(places, disagreement, before):
    """Whether landmarks are those of the face that the Placement `before` held. The limits are those of photos."""
    placement = fitted(places)
    misfit = rms(placement.at(PLACES) - places) / placement.side
    return misfit <= LARGEST_MISFIT and disagreement <= LARGEST_DISAGREEMENT and is_near(placement, before)


def distance(places, track):
    """Root mean square distance of landmarks (4, 2) from those of a Track, in sides of its placement."""
    return float(rms(places - track.places)) / track.unsmoothed.side
