"""Write the section "Measured" into the card of a pair of generators."""

import re

from ageing.errors import UserError, reason
from ageing.storage import replacing


class Card:
    """A card.md as `train.py --export` writes it. Raises UserError if it cannot be read."""

    def __init__(self, path):
        self.path = path
        try:
            self.text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            told = reason(error) if isinstance(error, OSError) else "not UTF-8 text"
            raise UserError(f"{path}: cannot be read ({told}); train.py --export writes a card") from error

    def put_measured(self, text):
        """Write `text` as the section "Measured": in place of the old one, else before the section "Recipe"."""
        sections = re.split(r"(?m)^(?=## )", self.text)
        kept = [section for section in sections if not section.startswith("## Measured\n")]
        at = next((i for i, s in enumerate(sections) if s.startswith(("## Measured\n", "## Recipe\n"))), len(kept))
        with replacing(self.path) as temporary:
            temporary.write_text("".join([*kept[:at], f"## Measured\n\n{text}\n\n", *kept[at:]]), encoding="utf-8")
