"""The tables, on made-up numbers."""

from ageing.evaluation import metrics, tables


def numbers(**changes):
    """Of one direction, in the form of metrics.measure: every estimate is 1 (0.5 to 1.5)."""
    group = dict.fromkeys([title for title, _ in metrics.GROUP_METRICS], (1, 0.5, 1.5)) | {"faces": 3}
    return dict.fromkeys([title for title, *_ in metrics.METRICS], (1, 0.5, 1.5)) | {
        "faces": 7, "ms per face": 12.3, "age monotone in strength up to 1.25": True,
        **{key: dict.fromkeys(tables.COMPARED, (0.25, 0.125, 0.5)) for key, *_ in metrics.BESIDE_REAL},
        "age gain by strength": {0: (0, 0, 0), 1: (20, 19, 21)}, "by group": {"Black female": group}} | changes


def test_every_number_is_in_the_table_with_its_interval():
    lines = tables.of_crops({"some": {"age": numbers(), "rejuvenate": numbers(faces=8)}}).splitlines()
    assert lines[0] == "|  | age | rejuvenate |"
    for line in ("| faces | 7 | 8 |", "| age gain, years | 1.0 (0.5 to 1.5) | 1.0 (0.5 to 1.5) |",
                 "| skin lightness change, L* | +1.0 (+0.5 to +1.5) | +1.0 (+0.5 to +1.5) |",
                 "| age monotone in strength up to 1.25 | True | True |", "| ms per face | 12 | 12 |",
                 "| kernel distance x 1000, unchanged inputs | 250.00 (125.00 to 500.00) | 250.00 (125.00 to 500.00) |",
                 "| dark pixels beside the face, outputs | 25.0% (12.5% to 50.0%) | 25.0% (12.5% to 50.0%) |",
                 "| age gain at strength 1, years, mean of both judges | 20.0 (19.0 to 21.0) | 20.0 (19.0 to 21.0) |"):
        assert line in lines
    assert lines.count("By gender and race, age:") == lines.count("By gender and race, rejuvenate:") == 1
    assert sum(line.startswith("| Black female | 3 | 100% (50% to 150%) |") for line in lines) == 2


def test_several_rows_stand_side_by_side_with_dashes_for_what_could_not_be_measured():
    unknown = {"age gain / age gap": None, "by group": {}}
    lines = tables.of_crops({"some": {"age": numbers()}, "other": {"age": numbers(**unknown)}}).splitlines()
    assert lines[0] == "|  | some: age | other: age |"
    assert "| age gain / age gap | 1.00 (0.50 to 1.50) | - |" in lines
    assert "By gender and race, other: age:" in lines


ESTIMATES = {"estimated age": (30, 28, 32), "age gain, years": (15.04, 12, 18),
             "age gain, years, second judge": (16, 13, 19), "verified as the same person": (1, 0.9, 1),
             "gender kept": (0.5, 0.4, 0.6), "gender kept, second judge": (0.5, 0.4, 0.6)}
TOTALS = {"photos": 3, "found": 8, "aligned": 7, "judged": 6, "missed": 1, "not seen by dlib": 2, "change outside": 0,
          "rim step": 1, "seconds": 0.126}
SEEN = {"photo": "p.jpg", "found": 3, "aligned": 2, "judged": 1, "missed": 0, "not seen by dlib": 0, "seconds": 0.126,
        "change outside": 0, "rim step": 1, "age gain, years": 17.04, "age gain, years, second judge": 9.74,
        "identity distance": 0.152}


def of_photos(crops=True):
    compared = {"photos": {"faces": 6} | ESTIMATES, "crops": {"faces": 200} | ESTIMATES if crops else None,
                "photos / crops": {"age gain, years": (0.752, 0.6, 0.9)} if crops else None}
    nobody = {"photos": {"faces": 0}, "crops": compared["crops"], "photos / crops": {}}
    unjudged = dict.fromkeys(("age gain, years", "age gain, years, second judge", "identity distance"))
    return {"groups": {"all faces": compared, "faces that look under 35": nobody}, "totals": TOTALS,
            "photos": [SEEN, SEEN | unjudged]}


def test_the_summary_compares_photos_with_crops_if_there_are_any():
    lines = tables.of_photos({"some": {"age": of_photos()}}).splitlines()
    for line in ("### some: age", "| faces | 6 | 200 |  |",
                 "| age gain, years | 15.0 (12.0 to 18.0) | 15.0 (12.0 to 18.0) | 0.75 (0.60 to 0.90) |",
                 "| gender kept | 50.0% (40.0% to 60.0%) | 50.0% (40.0% to 60.0%) |  |",
                 "| **faces that look under 35** |  |  |  |", "| age gain, years | - | 15.0 (12.0 to 18.0) |  |"):
        assert line in lines
    assert any(line.startswith("3 photos: 8 faces found, 7 of them aligned. 1 of the 6 judged faces missed, 2 found")
               and line.endswith("rim: 1. 0.13 s per photo, from detection to blending.") for line in lines)
    lines = tables.of_photos({"some": {"age": of_photos(crops=False)}}).splitlines()
    assert "| age gain, years | 15.0 (12.0 to 18.0) | - |  |" in lines


def test_photos_have_a_line_each_with_dashes_where_no_face_is_judged():
    lines = tables.of_each_photo({"some": {"age": of_photos()}}).splitlines()
    assert lines[2] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | 17.0 | 9.7 | 0.15 | 0 | 1 | 0.13 |"
    assert lines[3] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | - | - | - | 0 | 1 | 0.13 |"
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
