"""The tables, on made-up numbers."""

from ageing.evaluation import report


def numbers(**changes):
    """Of one direction, in the form of measure_pair: every estimate is 1 (0.5 to 1.5)."""
    group = dict.fromkeys([title for title, _ in report.GROUP_COLUMNS], (1, 0.5, 1.5)) | {"faces": 3}
    return dict.fromkeys([title for title, _ in report.ROWS], (1, 0.5, 1.5)) | {
        "faces": 7, "ms per face": 12.3, "age monotone in strength up to 1.25": True,
        **{key: {who: (0.25, 0.125, 0.5) for who, _ in report.COMPARED} for key, _, _, _ in report.REALISM},
        "age gain by strength": {0: (0, 0, 0), 1: (20, 19, 21)}, "by group": {"Black female": group}} | changes


def test_every_number_is_in_the_table_with_its_interval():
    lines = report.tables({"some": {"age": numbers(), "rejuvenate": numbers(faces=8)}}).splitlines()
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


def test_several_rows_stand_side_by_side():
    lines = report.tables({name: {"age": numbers()} for name in ("some", "other")}).splitlines()
    assert lines[0] == "|  | some: age | other: age |"
    assert "By gender and race, other: age:" in lines


def test_what_could_not_be_measured_is_a_dash():
    text = report.tables({"some": {"age": numbers(**{"age gain / age gap": None, "by group": {}})}})
    assert "| age gain / age gap | - |" in text.splitlines()
