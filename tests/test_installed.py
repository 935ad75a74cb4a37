"""The project installed as a package: what `pipx install .` does."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.request

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A function that calls a command of a fresh environment, which has the project's package and what it needs.

    A copy of the project is built, because that leaves files behind. It is gone afterwards.
    """
    place = tmp_path_factory.mktemp("installed")
    needless = shutil.ignore_patterns(".*", "__pycache__", "data", "runs", "tests", "build", "*.egg-info")
    project = shutil.copytree(ROOT, place / "project", ignore=needless)
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}

    def call(command, *arguments, kind=subprocess.run, **settings):
        return kind([place / "venv/bin" / command, *map(str, arguments)], env=environment | {"COLUMNS": "120"},
                    text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **settings)

    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    for packages in (project, f"{project}[app,video]"):
        done = call("python", "-m", "pip", "install", "-q", packages)
        assert done.returncode == 0, done.stderr
        if packages == project:
            call.before = call("age-faces-app", cwd=place)     # without the packages of the page
    shutil.rmtree(project)
    return call


@pytest.mark.slow
def test_a_photo_from_an_empty_folder(installed, tmp_path):
    photo = shutil.copy(ROOT / "samples/astronaut.jpg", tmp_path)
    done = installed("age-faces", "astronaut.jpg", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    before, after = (np.asarray(Image.open(path)).astype(int) for path in (photo, tmp_path / "astronaut_50s.jpg"))
    assert np.abs(after - before)[60:170, 180:270].mean() > 2   # the face
    assert sorted(os.listdir(tmp_path)) == ["astronaut.jpg", "astronaut_50s.jpg"]


@pytest.mark.slow
def test_the_page(installed, tmp_path):
    page = installed("age-faces-app", "--no-browser", "--port", 0, cwd=tmp_path, kind=subprocess.Popen)
    try:
        address = re.search(r"http\S+", page.stdout.readline())[0]
        with urllib.request.urlopen(f"{address}examples/astronaut.jpg?pair") as answer:
            assert answer.read(2) == b"\xff\xd8"    # a JPEG
    finally:
        page.terminate()
        page.communicate()


@pytest.mark.slow
def test_its_words_name_the_commands_that_there_are(installed, tmp_path):
    told = installed("age-faces", "--help", cwd=tmp_path).stdout
    assert "age-faces photo.jpg --age 70  " in told
    assert 'pipx install --force ".[video]"' in told
    assert "python" not in told
    assert (installed.before.returncode, installed.before.stderr) == (
        1, 'error: the package uvicorn is missing; install it with: pipx install --force ".[app]" in the '
           "folder of the project\n")


@pytest.mark.parametrize("extra", ["app", "video"])
def test_extras_are_what_the_requirements_say(extra):
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / f"requirements-{extra}.txt").read_text().splitlines()
    assert settings["project"]["optional-dependencies"][extra] == [
        line.split(" ")[0] for line in lines if re.match(r"\w", line)]
