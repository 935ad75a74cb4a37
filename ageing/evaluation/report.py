"""An evaluation as Markdown tables."""

from ageing.evaluation.bands import BANDS

# Rows of the table: (title, which is the key in the numbers, format)
ROWS = [
    ("faces", "{:d}"),
    ("estimated age, inputs", "{:.1f}"),
    ("estimated age, target domain", "{:.1f}"),
    ("age gain, years", "{:.1f}"),
    ("median age gain, years", "{:.0f}"),
    ("age gain / age gap", "{:.2f}"),
    ("age gain of 20 years or more", "{:.1%}"),
    ("estimated age, inputs, second judge", "{:.1f}"),
    ("estimated age, target domain, second judge", "{:.1f}"),
    ("age gain, years, second judge", "{:.1f}"),
    ("age gain / age gap, second judge", "{:.2f}"),
    ("age gain of 20 years or more, second judge", "{:.1%}"),
    ("identity distance", "{:.3f}"),
    ("identity distance, different people", "{:.3f}"),
    ("verified as the same person", "{:.1%}"),
    ("gender kept", "{:.1%}"),
    ("gender kept, mirrored inputs", "{:.1%}"),
    ("gender kept, second judge", "{:.1%}"),
    ("gender kept, mirrored inputs, second judge", "{:.1%}"),
    ("gender as labelled, inputs", "{:.1%}"),
    ("gender as labelled, outputs", "{:.1%}"),
    ("spot added on the forehead", "{:.1%}"),
    ("cycle error, grey levels", "{:.2f}"),
    ("cycle PSNR, dB", "{:.1f}"),
    ("identity mapping error, grey levels", "{:.2f}"),
    ("identity mapping PSNR, dB", "{:.1f}"),
    ("skin lightness change, L*", "{:+.1f}"),
    ("skin colour change, dE*", "{:.1f}"),
    ("checkerboard power ratio", "{:.2f}"),
    ("checkerboard amplitude, grey levels", "{:.2f}"),
    ("age monotone in strength up to 1.25", "{}"),
    ("ms per face", "{:.0f}"),
]

# (key, title, factor, format) of what is compared with real faces of the target domain
REALISM = [
    ("Frechet distance", "Frechet distance", 1, "{:.3f}"),
    ("kernel distance", "kernel distance x 1000", 1000, "{:.2f}"),
    ("dark pixels beside the face", "dark pixels beside the face", 1, "{:.1%}"),
    ("spot on the forehead", "spot on the forehead", 1, "{:.1%}"),
]
REALISM += [(f"power, {low} to {high} cycles a face",) * 2 + (1, "{:.2f}") for low, high in BANDS]
COMPARED = [("outputs", "outputs"), ("unchanged", "unchanged inputs"), ("real", "real faces of the target domain")]

# Columns of the table by group: (title, which is the key in the numbers, format)
GROUP_COLUMNS = [
    ("faces", "{:d}"),
    ("gender kept", "{:.0%}"),
    ("gender kept, mirrored inputs", "{:.0%}"),
    ("gender kept, second judge", "{:.0%}"),
    ("gender as labelled, inputs", "{:.0%}"),
    ("gender as labelled, outputs", "{:.0%}"),
    ("age gain, years", "{:.1f}"),
    ("spot added on the forehead", "{:.0%}"),
    ("skin lightness of the inputs, L*", "{:.1f}"),
    ("skin lightness change, L*", "{:+.1f}"),
]

LEGEND = """\
Age gap: mean estimated age of the target domain minus that of the inputs, in the wanted direction. Mirrored inputs: the
judge reads the gender of faces that are only mirrored; 100 % minus this number is its label-flip rate, which is its own
noise. Checkerboard power ratio: 1 means none. Power: of the skin's grey values, sharp half of the faces, relative to
real faces of the younger domain."""


def tables(rows):
    """Markdown of {row: {direction: numbers}}: a column for each row and direction, then a table of groups for each."""
    columns = {f"{name}: {direction}" if len(rows) > 1 else direction: numbers
               for name, by_direction in rows.items() for direction, numbers in by_direction.items()}
    lines = [line("", *columns), "|---" * (len(columns) + 1) + "|"]
    for title, form in ROWS:
        lines.append(line(title, *(written(numbers[title], form) for numbers in columns.values())))
    for key, measure, factor, form in REALISM:
        for who, title in COMPARED:
            estimates = [None if numbers[key][who] is None else tuple(factor * v for v in numbers[key][who])
                         for numbers in columns.values()]
            lines.append(line(f"{measure}, {title}", *(written(estimate, form) for estimate in estimates)))
    curves = [numbers["age gain by strength"] for numbers in columns.values()]
    for strength in curves[0]:
        lines.append(line(f"age gain at strength {strength}, years, mean of both judges",
                           *(written(c[strength], "{:.1f}") for c in curves)))
    lines += ["", LEGEND]
    for title, numbers in columns.items():
        lines += ["", f"By gender and race, {title}:", "", *_group_table(numbers["by group"])]
    return "\n".join(lines)


def _group_table(groups):
    lines = [line("", *(title for title, _ in GROUP_COLUMNS)), "|---" * (len(GROUP_COLUMNS) + 1) + "|"]
    for group, numbers in groups.items():
        lines.append(line(group, *(written(numbers[title], form) for title, form in GROUP_COLUMNS)))
    return lines


def line(*cells):
    """A line of a table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def written(value, form):
    """A number, an estimate with its interval, or "-" for None."""
    if value is None:
        return "-"
    if isinstance(value, tuple):
        estimate, low, high = (form.format(v) for v in value)
        return f"{estimate} ({low} to {high})"
    return form.format(value)
