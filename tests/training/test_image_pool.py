import numpy as np
import tensorflow as tf
from training_pieces import labelled_faces as faces

from ageing.training.image_pool import ImagePool


def same(xs, ys):
    return all(np.array_equal(x, y) for x, y in zip(xs, ys, strict=True))


def test_pool_passes_images_while_it_fills_then_hands_out_older_ones():
    pool = ImagePool(4, 16)
    first = faces(4, seed=3)
    rng = np.random.default_rng(1)
    assert same(pool.swap(first, tf.zeros([4, 2])), first)
    older = 0
    for k in range(100):
        new = faces(2, seed=10 + k)
        uniform = tf.constant(rng.uniform(size=(2, 2)), tf.float32)
        images, labels = pool.images.numpy(), pool.labels.numpy()
        out = pool.swap(new, uniform)
        for i in range(2):
            slot = int(uniform[i, 0] * 4)
            if np.array_equal(out.images[i], new.images[i]):
                assert np.array_equal(out.labels[i], new.labels[i])
                continue
            older += 1
            assert np.array_equal(out.images[i], images[slot])
            assert np.array_equal(out.labels[i], labels[slot])
            if slot != int(uniform[1 - i, 0] * 4):  # else the other one may have come after it
                assert np.array_equal(pool.images[slot], new.images[i])
                assert np.array_equal(pool.labels[slot], new.labels[i])
    assert 70 < older < 130  # half of 200


def test_pool_of_nothing_passes_images():
    new = faces(2)
    assert ImagePool(0, 16).swap(new, tf.zeros([2, 2])) is new


def test_pool_keeps_the_newest():
    pool = ImagePool(4, 16)
    for k in range(3):
        pool.push(faces(2, seed=k))
    kept = held(pool)
    assert kept == held(faces(2, seed=1)) | held(faces(2, seed=2))
    assert held(pool.sample(tf.constant([0.0, 0.3, 0.6, 0.99]))) == kept


def held(faces):
    """The faces, each with its label, to be compared whatever their order."""
    return {image.tobytes() + label.tobytes()
            for image, label in zip(faces.images.numpy(), faces.labels.numpy(), strict=True)}


def test_half_filled_pool_gives_only_what_was_put_in():
    pool = ImagePool(4, 16)
    pool.push(faces(1, seed=1))
    assert held(pool.sample(tf.constant([0.0, 0.99]))) == held(faces(1, seed=1))
