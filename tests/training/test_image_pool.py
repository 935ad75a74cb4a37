import numpy as np
import pytest
from keras import ops
from training_pieces import labelled_faces as faces

from ageing.pixels import to_floats
from ageing.training.image_pool import ImagePool
from data_loader import LabelledFaces


def arrays(faces):
    """LabelledFaces as host arrays."""
    return LabelledFaces(*(part if part is None else ops.convert_to_numpy(part) for part in faces))


def content(pool):
    """What a pool holds, as LabelledFaces of host arrays."""
    images, labels, ages = pool.faces
    return arrays(LabelledFaces(to_floats(images.value), labels.value, ages if ages is None else ages.value))


def test_pool_passes_images_while_it_fills_then_hands_out_older_ones():
    pool = ImagePool(4, 16)
    first = arrays(faces(4, seed=3))
    rng = np.random.default_rng(1)
    for mine, theirs in zip(arrays(pool.swap(faces(4, seed=3), np.zeros((4, 2))))[:2], first[:2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    older = 0
    for k in range(100):
        new, before = faces(2, seed=10 + k), content(pool)
        uniform = rng.uniform(size=(2, 2)).astype(np.float32)
        out, after, new = arrays(pool.swap(new, uniform)), content(pool), arrays(new)
        for i in range(2):
            slot = int(uniform[i, 0] * 4)
            if np.array_equal(out.images[i], new.images[i]):
                assert np.array_equal(out.labels[i], new.labels[i])
                continue
            older += 1
            assert np.array_equal(out.images[i], before.images[slot])
            assert np.array_equal(out.labels[i], before.labels[slot])
            if slot != int(uniform[1 - i, 0] * 4):  # else the other one may have come after it
                assert np.array_equal(after.images[slot], new.images[i])
                assert np.array_equal(after.labels[slot], new.labels[i])
    assert 70 < older < 130  # half of 200


def test_pool_of_nothing_passes_images():
    new = faces(2)
    assert ImagePool(0, 16).swap(new, np.zeros((2, 2))) is new


def test_pool_keeps_the_newest():
    pool = ImagePool(4, 16)
    for k in range(3):
        pool.push(faces(2, seed=k))
    kept = held(content(pool))
    assert kept == held(faces(2, seed=1)) | held(faces(2, seed=2))
    assert held(pool.sample(np.float32([0.0, 0.3, 0.6, 0.99]))) == kept


def held(faces):
    """The faces, each with its label, to be compared whatever their order."""
    return {image.tobytes() + label.tobytes() for image, label in zip(*arrays(faces)[:2], strict=True)}


def test_half_filled_pool_gives_only_what_was_put_in():
    pool = ImagePool(4, 16)
    pool.push(faces(1, seed=1))
    assert held(pool.sample(np.float32([0.0, 0.99]))) == held(faces(1, seed=1))


@pytest.mark.parametrize("put", [ImagePool.push, lambda pool, new: pool.swap(new, np.zeros((5, 2)))],
                         ids=["push", "swap"])
def test_what_is_kept_is_rounded_to_the_nearest_8_bit_pixel(put):
    pool = ImagePool(5, 16)
    grey = np.float32([-1.2, -1, 0.0012, 0.9999, 1.3])
    images = np.broadcast_to(grey[:, None, None, None], (5, 16, 16, 3))
    put(pool, LabelledFaces(ops.convert_to_tensor(images), ops.zeros((5, 7))))
    assert pool.faces.images.dtype == "uint8"
    assert [ops.convert_to_numpy(image).max() for image in pool.faces.images.value] == [0, 0, 128, 255, 255]


def test_a_face_keeps_the_age_that_it_was_told():
    pool, several = ImagePool(3, 16, told=True), faces(3, ages=(40, 90))
    pool.push(several)
    found = arrays(pool.sample(np.float32([0.1, 0.5, 0.9])))
    np.testing.assert_array_equal(found.ages, several.ages)
    out = arrays(pool.swap(faces(1, seed=2, ages=(20, 30)), np.float32([[0.5, 0.1]])))
    np.testing.assert_array_equal(out.ages, several.ages[1:2])
    assert len(pool.variables) == 4
