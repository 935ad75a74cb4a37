"""The second judge against what face-api itself says, and its errors."""

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

import second_judge
from files import UserError


def test_it_computes_what_face_api_computes():
    """On the astronaut's face: her, mirrored, darkened. The numbers are those of face-api 1.7.15 in Node.js."""
    face = np.asarray(Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((170, 60, 290, 180))
                      .resize((second_judge.SIDE,) * 2))
    images = np.stack([face, face[:, ::-1], face // 2])
    ages, scores = second_judge.forward(second_judge.load(), images.astype(np.float32))
    np.testing.assert_allclose(ages, [29.947580, 29.120663, 28.272354], atol=1e-3)
    male = 1 / (1 + np.exp(scores[:, 1] - scores[:, 0]))
    np.testing.assert_allclose(male, [0.250631, 0.210118, 0.304997], atol=1e-5)


def test_a_face_is_read_alike_in_any_company_and_at_any_size():
    photo = Image.open(ROOT / "samples/astronaut.jpg").convert("RGB").crop((160, 40, 300, 180))
    judge = second_judge.SecondJudge()
    small, large = (np.asarray(photo.resize((side, side), Image.Resampling.LANCZOS)) for side in (128, 224))
    many = judge.read(np.stack([small, small[:, ::-1], 255 - small, small // 2, small]))
    assert many.ages.shape == many.male.shape == (5,)
    assert not many.male[0]
    assert many.ages[0] == pytest.approx(many.ages[4], abs=1e-3)
    assert judge.read(large[None]).ages[0] == pytest.approx(many.ages[0], abs=3)


@pytest.mark.parametrize(("name", "content", "told"), [
    (None, b"", "No such file"), ("age_gender_model.bin", b"half", "damaged"),
    ("age_gender_model-weights_manifest.json", b"version https://git-lfs", "damaged"),
    ("age_gender_model-weights_manifest.json", b"{}", "damaged"),
    ("age_gender_model-weights_manifest.json", b'[{"weights": []}]', "damaged"),
])
def test_missing_and_damaged_weights_are_named(tmp_path, name, content, told):
    if name:
        for path in second_judge.FOLDER.iterdir():
            (tmp_path / path.name).write_bytes(content if path.name == name else path.read_bytes())
    with pytest.raises(UserError, match=rf"second judge's weights cannot be read \({told}.*\); .*git checkout"):
        second_judge.load(tmp_path)
