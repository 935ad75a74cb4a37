"""Pictures for people that show a photo and its faces: before and after, a range of strengths, numbered boxes."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ageing import pictures
from ageing.faces.blending import blend

HEAD_AND_SHOULDERS = 0.6    # margin around the faces of `before_and_after`, as a share of the largest placement's side
HEAD = 0.15                 # the same for `over_strengths`
PLACEMENT_COLOUR, BOX_COLOUR = (255, 210, 0), (0, 220, 90)
LARGEST = 65_500            # pixels per side of a JPEG (JPEG_MAX_DIMENSION of libjpeg)


def before_and_after(titled, changes):
    """uint8 RGB picture of [(title, photo)], side by side, cut to the faces of `changes`."""
    rows, columns = region_of(changes, titled[0][1].shape, HEAD_AND_SHOULDERS)
    parts = [(title, photo[rows, columns]) for title, photo in titled]
    height, width = parts[0][1].shape[:2]
    most = max(1, LARGEST * height // (width * len(parts)))  # a higher sheet would be too wide
    return fitting(pictures.side_by_side(parts, height=min(768, most), least=min(360, most)))


def over_strengths(photo, changes, strengths):
    """uint8 RGB picture of the largest changed face, at each of `strengths`, side by side."""
    part, moved = cut_out(photo, changes, HEAD)
    return fitting(pictures.side_by_side([(f"{s:.2f}", blend(part, moved, s)) for s in strengths], height=256))


def with_boxes(photo, faces, placements):
    """A copy of uint8 RGB `photo` with the box, number and confidence of each of `faces`, and with `placements`."""
    image = Image.fromarray(photo)
    draw = ImageDraw.Draw(image)
    line = max(2, max(image.size) // 400)
    font = ImageFont.load_default(max(14, max(image.size) // 50))
    for placement in placements:
        draw.polygon([tuple(corner) for corner in placement.corners.tolist()], outline=PLACEMENT_COLOUR, width=line)
    for number, face in enumerate(faces, 1):
        draw.rectangle(face.box, outline=BOX_COLOUR, width=line)
        text = f"{number}: {face.confidence:.2f}"
        place = (max(0, face.box[0]), max(0, face.box[1] - font.size * 1.3))
        draw.rectangle(draw.textbbox(place, text, font=font), fill=BOX_COLOUR)
        draw.text(place, text, fill="black", font=font)
    return fitting(np.asarray(image))


def fitting(picture):
    """uint8 RGB `picture`, made smaller if one of its sides is longer than LARGEST pixels."""
    height, width = picture.shape[:2]
    shrink = LARGEST / max(height, width)
    if shrink >= 1:
        return picture
    size = max(1, round(width * shrink)), max(1, round(height * shrink))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))


def region_of(changes, shape, margin):
    """(rows, columns): slices of a photo of `shape` (H, W, ...) that hold the placements of all `changes`.

    margin: added around each placement, as a share of the largest placement's side.
    """
    more = round(margin * max(change.placement.side for change in changes))
    bounds = np.array([change.placement.within(*shape[:2], more) for change in changes])
    (left, top), (right, bottom) = bounds[:, :2].min(0), bounds[:, 2:].max(0)
    return slice(int(top), int(bottom)), slice(int(left), int(right))


def cut_out(photo, changes, margin):
    """(the part of `photo` around the first change, [Change] of all changes relative to that part)."""
    rows, columns = region_of(changes[:1], photo.shape, margin)
    return photo[rows, columns], [change.moved(columns.start, rows.start) for change in changes]
