"""Pictures for people that show a photo and its faces: before and after, moving through the ages, numbered boxes."""

import dataclasses

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ageing import pictures
from ageing.faces.ages import in_between
from ageing.faces.blending import blend

HEAD_AND_SHOULDERS = 0.6    # margin around the faces of `before_and_after`, as a share of the largest placement's side
HEAD = 0.2                  # the same for `through_ages`
MOVING_HEIGHTS, MOVING_WIDTH = (360, 480), 960  # pixels: as large as a page or a chat shows it
BOX_COLOUR = (0, 220, 90)
LARGEST = 65_500            # pixels per side of a JPEG (JPEG_MAX_DIMENSION of libjpeg)


def before_and_after(titled, changes):
    """uint8 RGB picture of [(title, photo)], side by side, cut to the faces of `changes`."""
    rows, columns = region_of(changes, titled[0][1].shape, HEAD_AND_SHOULDERS)
    parts = [(title, photo[rows, columns]) for title, photo in titled]
    height, width = parts[0][1].shape[:2]
    most = max(1, LARGEST * height // (width * len(parts)))  # a higher sheet would be too wide
    return fitting(pictures.side_by_side(parts, height=min(768, most), least=min(360, most)))


def through_ages(photo, known, titled, strength):
    """[uint8 RGB picture] of [(title, age)], cut to the faces of `known`, see ages.in_between."""
    faces = next(iter(known.values()))
    rows, columns = region_of(faces, photo.shape, HEAD)
    part = Image.fromarray(photo[rows, columns])
    low, high = MOVING_HEIGHTS
    zoom = min(min(max(part.height, low), high) / part.height, MOVING_WIDTH / part.width)
    size = max(1, round(part.width * zoom)), max(1, round(part.height * zoom))
    part = np.asarray(part.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0))

    def shown(change):
        placement = change.placement.moved(columns.start, rows.start)
        return dataclasses.replace(change, placement=dataclasses.replace(placement, matrix=placement.matrix * zoom))

    known = {age: [shown(change) for change in changes] for age, changes in known.items()}
    return [pictures.side_by_side([(title, blend(part, in_between(known, age), strength))]) for title, age in titled]


def with_boxes(photo, faces):
    """A copy of uint8 RGB `photo` with the box and the number of each of `faces`."""
    image = Image.fromarray(photo)
    draw, labels = ImageDraw.Draw(image), []
    line, font = max(1, max(image.size) // 800), ImageFont.load_default(max(12, max(image.size) // 80))
    for face in faces:
        draw.rectangle(face.box, outline=BOX_COLOUR, width=line)
    for number, face in enumerate(faces, 1):
        left, top, right, bottom = draw.textbbox((0, 0), str(number), font=font)
        width, height = right - left + 4 * line, bottom - top + 4 * line
        others = [one.box for one in faces if one is not face]
        x, y = _free_place(face.box, width, height, image.size, labels, others)
        labels.append((x, y, x + width, y + height))
        draw.rectangle(labels[-1], fill=BOX_COLOUR)
        draw.text((x + 2 * line - left, y + 2 * line - top), str(number), fill="black", font=font)
    return fitting(np.asarray(image))


def _free_place(box, width, height, size, labels, faces):
    """(x, y) of a label of width x height pixels beside `box`, over no other of `labels`, and over no other of `faces`
    if there is such a place. size: (width, height) of the picture."""
    left, top, right, bottom = box
    gap = 2     # pixels, so that two labels do not touch
    places = []
    for away in range(5):   # first beside the box, then further away from it
        above, below = top - height - away * (height + gap), bottom + away * (height + gap)
        before, behind = left - width - away * (width + gap), right + away * (width + gap)
        places += [(left, above), (right - width, above), (left, below), (right - width, below),
                   (behind, top), (before, top), (behind, bottom - height), (before, bottom - height)]
    places = [(min(max(0, x), size[0] - width), min(max(0, y), size[1] - height)) for x, y in places]

    def covered(place, boxes, gap=0):
        x, y = place
        return sum(max(0, min(x + width + gap, right) - max(x - gap, left))
                   * max(0, min(y + height + gap, bottom) - max(y - gap, top)) for left, top, right, bottom in boxes)
    return min(places, key=lambda place: (covered(place, labels, gap), covered(place, faces)))


def fitting(picture, largest=LARGEST):
    """uint8 RGB `picture`, made smaller if one of its sides is longer than `largest` pixels."""
    height, width = picture.shape[:2]
    shrink = largest / max(height, width)
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
