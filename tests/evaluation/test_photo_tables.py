"""The tables of ordinary photos, on made-up numbers."""

from ageing.evaluation import photo_tables

ESTIMATES = {"estimated age": (30, 28, 32), "age gain, years": (15.04, 12, 18),
             "age gain, years, second judge": (16, 13, 19), "verified as the same person": (1, 0.9, 1),
             "gender kept": (0.5, 0.4, 0.6), "gender kept, second judge": (0.5, 0.4, 0.6)}
TOTALS = {"photos": 3, "found": 8, "aligned": 7, "judged": 6, "missed": 1, "not seen by dlib": 2, "change outside": 0,
          "rim step": 1, "seconds": 0.126}
SEEN = {"photo": "p.jpg", "found": 3, "aligned": 2, "judged": 1, "missed": 0, "not seen by dlib": 0, "seconds": 0.126,
        "change outside": 0, "rim step": 1, "age gain, years": 17.04, "age gain, years, second judge": 9.74,
        "identity distance": 0.152}


def numbers(crops=True):
    compared = {"photos": {"faces": 6} | ESTIMATES, "crops": {"faces": 200} | ESTIMATES if crops else None,
                "photos / crops": {"age gain, years": (0.752, 0.6, 0.9)} if crops else None}
    nobody = {"photos": {"faces": 0}, "crops": compared["crops"], "photos / crops": {}}
    unjudged = dict.fromkeys(("age gain, years", "age gain, years, second judge", "identity distance"))
    return {"groups": {"all faces": compared, "faces that look under 35": nobody}, "totals": TOTALS,
            "photos": [SEEN, SEEN | unjudged]}


def test_the_summary_compares_photos_with_crops():
    lines = photo_tables.summary({"some": {"age": numbers()}}).splitlines()
    for line in ("### some: age", "| faces | 6 | 200 |  |",
                 "| age gain, years | 15.0 (12.0 to 18.0) | 15.0 (12.0 to 18.0) | 0.75 (0.60 to 0.90) |",
                 "| gender kept | 50.0% (40.0% to 60.0%) | 50.0% (40.0% to 60.0%) |  |",
                 "| **faces that look under 35** |  |  |  |", "| age gain, years | - | 15.0 (12.0 to 18.0) |  |"):
        assert line in lines
    assert any(line.startswith("3 photos: 8 faces found, 7 of them aligned. 1 of the 6 judged faces missed, 2 found")
               and line.endswith("rim: 1. 0.13 s per photo, from detection to blending.") for line in lines)


def test_without_crops_there_is_no_ratio():
    lines = photo_tables.summary({"some": {"age": numbers(crops=False)}}).splitlines()
    assert "| age gain, years | 15.0 (12.0 to 18.0) | - |  |" in lines


def test_photos_have_a_line_each_with_dashes_where_no_face_is_judged():
    lines = photo_tables.photos({"some": {"age": numbers()}}).splitlines()
    assert lines[2] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | 17.0 | 9.7 | 0.15 | 0 | 1 | 0.13 |"
    assert lines[3] == "| some | age | p.jpg | 3 | 2 | 1 | 0 | 0 | - | - | - | 0 | 1 | 0.13 |"
    assert lines[0].count("|") == lines[1].count("|") == lines[2].count("|")
