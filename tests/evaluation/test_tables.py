"""The tables, on made-up numbers."""

from ageing.evaluation import metrics, photos, tables

ONE = (1, 0.5, 1.5)


def numbers(**changes):
    """Of one direction, in the form of metrics.measure: every estimate is 1 (0.5 to 1.5)."""
    group = dict.fromkeys([title for title, _ in metrics.GROUP_METRICS], ONE) | {"faces": 3}
    return dict.fromkeys([title for title, *_ in metrics.METRICS], ONE) | {
        "faces": 7, "ms per face": 12.3,
        **{key: dict.fromkeys(("outputs", "unchanged", "real"), (0.25, 0.125, 0.5)) for key, *_ in metrics.BESIDE_REAL},
        **{key: dict.fromkeys(("outputs", "noise", "between"), ONE) for key, _ in metrics.NATURAL},
        "by group": {"Black female": group}} | changes


def test_every_number_is_in_the_table_with_its_interval():
    lines = tables.of_crops({"some": {"age": numbers(), "rejuvenate": numbers(faces=8)}}).splitlines()
    assert lines[0] == "|  | age | rejuvenate |"
    for line in ("| faces | 7 | 8 |", "| age gain, years | 1.0 (0.5 to 1.5) | 1.0 (0.5 to 1.5) |",
                 "| skin lightness change, L* | +1.0 (+0.5 to +1.5) | +1.0 (+0.5 to +1.5) |",
                 "| ms per face | 12 | 12 |",
                 "| Frechet distance, unchanged inputs | 0.250 (0.125 to 0.500) | 0.250 (0.125 to 0.500) |",
                 "| dark pixels beside the face, outputs | 25.0% (12.5% to 50.0%) | 25.0% (12.5% to 50.0%) |",
                 "| brows, L*, outputs | +1.00 (+0.50 to +1.50) | +1.00 (+0.50 to +1.50) |",
                 "| brows, L*, real faces | +1.00 (+0.50 to +1.50) | +1.00 (+0.50 to +1.50) |"):
        assert line in lines
    assert lines.count("By gender and race, age:") == lines.count("By gender and race, rejuvenate:") == 1
    assert sum(line.startswith("| Black female | 3 | 100% (50% to 150%) |") for line in lines) == 2


def test_several_rows_stand_side_by_side_with_dashes_for_what_could_not_be_measured():
    unknown = {"age gain / age gap": None, "by group": {}}
    lines = tables.of_crops({"some": {"age": numbers()}, "other": {"age": numbers(**unknown)}}).splitlines()
    assert lines[0] == "|  | some: age | other: age |"
    assert "| age gain / age gap | 1.00 (0.50 to 1.50) | - |" in lines
    assert "By gender and race, other: age:" in lines


def test_what_no_column_has_is_no_row_and_an_age_without_real_faces_has_dashes():
    told = numbers(**{metrics.RISES: (0.9, 0.8, 1), "lips, L*": {"outputs": ONE}})
    del told["Frechet distance"]
    lines = tables.of_crops({"some": {"told 45": told, "rejuvenate": numbers()}}).splitlines()
    assert "| Frechet distance, outputs | - | 0.250 (0.125 to 0.500) |" in lines
    assert "| lips, L*, real faces | - | +1.00 (+0.50 to +1.50) |" in lines
    assert f"| {metrics.RISES} | 90.0% (80.0% to 100.0%) | - |" in lines
    assert not any(metrics.RISES in line for line in tables.of_crops({"some": {"age": numbers()}}).splitlines())


SEEN = {"photo": "p.jpg", "found": 3, "aligned": 2, "judged": 1, "missed": 0, "not seen by dlib": 0, "seconds": 0.126,
        "age gain, years": 17.04, "age gain, years, second judge": 9.74, "identity distance": 0.152}


def of_photos():
    group = dict.fromkeys([title for title, *_ in photos.METRICS], ONE) | {
        "faces": 6, "brows, L*": {"outputs": ONE, "noise": (0.1, 0, 0.2)}}
    totals = {"photos": 3, "found": 8, "aligned": 7, "judged": 6, "missed": 1, "not seen by dlib": 2, "seconds": 0.126}
    unjudged = dict.fromkeys(("age gain, years", "age gain, years, second judge", "identity distance"))
    return {"groups": {"all faces": group, "faces that look under 35": {"faces": 0}}, "totals": totals,
            "photos": [SEEN, SEEN | unjudged]}


def test_the_photos_have_a_column_for_every_age_told():
    lines = tables.of_photos({"some": {"told 45": of_photos(), "told 55": of_photos()}}).splitlines()
    for line in ("All faces:", "|  | told 45 | told 55 |", "| faces | 6 | 6 |",
                 "| age gain, years | 1.0 (0.5 to 1.5) | 1.0 (0.5 to 1.5) |",
                 "| brows, L*, noise | +0.10 (+0.00 to +0.20) | +0.10 (+0.00 to +0.20) |", "Faces that look under 35:",
                 "| faces | 0 | 0 |"):
        assert line in lines
    assert any(line.startswith("told 55: 3 photos, 8 faces found, 7 of them aligned. 1 of the 6 judged faces missed, 2")
               and line.endswith("0.13 s per photo, from detection to blending.") for line in lines)


def test_photos_have_a_line_each_with_dashes_where_no_face_is_judged():
    lines = tables.of_each_photo({"some": {"age": of_photos()}}).splitlines()
    assert lines[2] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | 17.0 | 9.7 | 0.15 | 0.13 |"
    assert lines[3] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | - | - | - | 0.13 |"
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
