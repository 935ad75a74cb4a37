"""Where the project's files are and what its commands are called: in its folder, or installed as a package.

pyproject.toml installs saved_models/, assets/ and samples/ inside this package.
"""

import re
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
INSTALLED = (_PACKAGE / "saved_models").is_dir()
PROJECT = _PACKAGE if INSTALLED else _PACKAGE.parent
COMMANDS = {r"python infer_faces\.py": "age-faces", r"python app\.py": "age-faces-app",
            r"pip install -r requirements-(\w+)\.txt": r'pipx install --force ".[\1]" in the folder of the project'}


def as_installed(text):
    """`text` with the commands that an installed package has in place of the scripts."""
    for pattern, command in COMMANDS.items() if INSTALLED else ():
        text = re.sub(pattern, command, text)
    return text
