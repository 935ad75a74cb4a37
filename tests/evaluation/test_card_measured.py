"""The measured numbers in a card."""

import pytest

from ageing.errors import UserError
from ageing.evaluation.card import Card


def test_numbers_come_before_the_recipe_and_replace_older_ones(tmp_path):
    path = tmp_path / "card.md"
    path.write_text("# Some\n\nText.\n\n## Recipe\n\nseed: 1\n")
    Card(path).put_measured("Age: 20.")
    assert path.read_text() == "# Some\n\nText.\n\n## Measured\n\nAge: 20.\n\n## Recipe\n\nseed: 1\n"
    path.write_text(path.read_text().replace("## Recipe", "## Failures\n\nMany.\n\n## Recipe"))
    Card(path).put_measured("Age: 21.")
    assert path.read_text() == ("# Some\n\nText.\n\n## Measured\n\nAge: 21.\n\n## Failures\n\nMany.\n\n"
                                "## Recipe\n\nseed: 1\n")
    path.write_text("# Some\n\n")  # without a recipe: at its end
    Card(path).put_measured("Age: 20.")
    assert path.read_text() == "# Some\n\n## Measured\n\nAge: 20.\n\n"


def test_a_card_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "card.md"
    with pytest.raises(UserError, match=r"card.md: cannot be read \(No such file.*train.py --export"):
        Card(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"card.md: cannot be read \(not UTF-8 text\)"):
        Card(path)
