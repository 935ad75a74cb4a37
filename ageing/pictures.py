"""Pictures for people: grids of faces with a title for each row, and pictures side by side."""

import os

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ageing.storage import replacing


def grid(rows, columns=()):
    """uint8 RGB picture of `rows`, a list of (title, uint8 (n, S, S, 3)), each with its title on the left.

    Faces under 96 pixels are enlarged by a whole factor. columns: titles above.
    """
    side = rows[0][1].shape[1]
    cell = side * max(1, -(-96 // side))
    font = ImageFont.load_default(max(11, cell // 8))
    margin = int(max(font.getlength(title) for title, _ in rows)) + 16
    width, gap, head = max(len(faces) for _, faces in rows), 2, int(font.size * 1.6) if columns else 0
    sheet = Image.new("RGB", (margin + width * (cell + gap), head + len(rows) * (cell + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for c, title in enumerate(columns):
        draw.text((margin + c * (cell + gap) + cell // 2, head // 2), title, fill="black", font=font, anchor="mm")
    for r, (title, faces) in enumerate(rows):
        top = head + r * (cell + gap)
        draw.text((8, top + cell // 2), title, fill="black", font=font, anchor="lm")
        for c, face in enumerate(faces):
            face = Image.fromarray(face).resize((cell, cell), Image.Resampling.NEAREST)
            sheet.paste(face, (margin + c * (cell + gap), top))
    return np.asarray(sheet)


def save_grid(path, rows):
    """Write the `grid` of `rows` to `path`. Raises UserError, see `save`."""
    save(path, grid(rows))


def save(path, pixels):
    """Write uint8 RGB `pixels` to `path`. Raises UserError if it cannot be written."""
    with replacing(path) as temporary:
        Image.fromarray(pixels).save(temporary)


def panels(n, width, height):
    """(Matplotlib figure of width x height inches, its n panels side by side). It needs no display."""
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook may be a module that is not installed here
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(1, n)


def save_figure(path, figure):
    figure.tight_layout()
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=90)


def side_by_side(titled, height=768, least=0):
    """uint8 RGB picture of [(title, uint8 RGB (H, W, 3))], side by side with the titles above.

    Pictures higher than `height` pixels are made smaller, those lower than `least` larger.
    """
    def shown_height(pixels):
        return min(max(len(pixels), least), height)

    font = ImageFont.load_default(max(12, shown_height(titled[0][1]) // 24))
    bar, gap, shown = int(font.size * 1.8), 4, []
    for title, pixels in titled:
        image = Image.fromarray(pixels)
        new = shown_height(pixels)
        if new != image.height:
            size = (max(1, round(image.width * new / image.height)), new)
            image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        shown.append((title, image))
    widths = [max(image.width, int(font.getlength(title)) + 8) for title, image in shown]
    sheet = Image.new("RGB", (sum(widths) + gap * (len(shown) - 1), bar + max(i.height for _, i in shown)), "white")
    draw, x = ImageDraw.Draw(sheet), 0
    for (title, image), width in zip(shown, widths, strict=True):
        draw.text((x + width // 2, bar // 2), title, fill="black", font=font, anchor="mm")
        sheet.paste(image, (x + (width - image.width) // 2, bar))
        x += width + gap
    return np.asarray(sheet)
