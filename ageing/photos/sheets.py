"""Pictures for people that show a photo and its faces: before and after, a range of strengths, numbered boxes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ageing import pictures
from ageing.photos.alignment import clip
from ageing.photos.blending import Change, apply

HEAD_AND_SHOULDERS = 0.6    # margin around the faces of `before_and_after`, as a share of the largest square's side
HEAD = 0.15                 # the same for `over_strengths`
SQUARE_COLOUR, BOX_COLOUR = (255, 210, 0), (0, 220, 90)


def before_and_after(titled, changes):
    """uint8 RGB picture of [(title, photo)], side by side, cut to the faces of `changes`."""
    rows, columns = region_of(changes, titled[0][1].shape, HEAD_AND_SHOULDERS)
    return pictures.side_by_side([(title, photo[rows, columns]) for title, photo in titled], least=360)


def over_strengths(photo, changes, strengths):
    """uint8 RGB picture of the largest changed face, at each of `strengths`, side by side."""
    part, moved = cut_out(photo, changes, HEAD)
    return pictures.side_by_side([(f"{s:.2f}", apply(part, moved, s)) for s in strengths], height=256)


def with_boxes(photo, faces):
    """A copy of uint8 RGB `photo` with the box, square, number and confidence of each of `faces`."""
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 400)
    font = ImageFont.load_default(max(14, max(image.size) // 50))
    for number, face in enumerate(faces, 1):
        left, top, side = face.square
        draw.rectangle((left, top, left + side, top + side), outline=SQUARE_COLOUR, width=line)
        draw.rectangle(face.box, outline=BOX_COLOUR, width=line)
        text = f"{number}: {face.confidence:.2f}"
        place = (max(0, face.box[0]), max(0, face.box[1] - font.size * 1.3))
        draw.rectangle(draw.textbbox(place, text, font=font), fill=BOX_COLOUR)
        draw.text(place, text, fill="black", font=font)
    return np.asarray(image)


def region_of(changes, shape, margin):
    """(rows, columns): slices of a photo of `shape` (H, W, ...) that hold the squares of all `changes`.

    margin: added around each square, as a share of the largest square's side.
    """
    more = round(margin * max(change.square[2] for change in changes))
    bounds = np.array([clip((x - more, y - more, side + 2 * more), *shape[:2])
                       for x, y, side in (change.square for change in changes)])
    (left, top), (right, bottom) = bounds[:, :2].min(0), bounds[:, 2:].max(0)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def cut_out(photo, changes, margin):
    """(the part of `photo` around the first change, [Change] of all changes relative to that part)."""
    rows, columns = region_of(changes[:1], photo.shape, margin)
    left, top = columns.start, rows.start
    moved = [Change((c.square[0] - left, c.square[1] - top, c.square[2]), c.delta) for c in changes]
    return photo[rows, columns], moved
