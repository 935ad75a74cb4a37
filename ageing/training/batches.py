"""What a training step gets: faces, random numbers and the learning rate. Decided by (seed, step) and nothing else."""

import collections
import concurrent.futures

import numpy as np

# Streams of random choices: generator steps, discriminator steps, warm starts and finishing see different images.
GENERATOR, DISCRIMINATOR, WARM, FINISH, NUMBERS = range(5)
AHEAD = 3  # batches prepared in advance


def batch(phase, gan, faces, step):
    """The arguments of `step`, as host arrays. faces: data_loader.UnpairedFaces.

    {"faces": (A, B), LoadedFaces of the generators; "random": their numbers in [0, 1), in the shapes of
    gan.random_shapes; "rounds": one {"random", "faces"} for each step of the discriminators, without "faces" where they
    have no batches of their own; "learning_rate": a number}. All numbers are float32.
    """
    n, rounds, d_n = phase.batch_size, phase.d_rounds or 1, phase.stage.d_batch_size if phase.d_rounds else None
    stream = {"train": GENERATOR, "warm": WARM, "finish": FINISH}[phase.kind]
    rng = np.random.default_rng([faces.seed, NUMBERS, step])
    random = {network: {name: rng.random(shape, np.float32) for name, shape in shapes.items()}
              for network, shapes in gan.random_shapes(phase.kind, n, rounds, d_n or n).items()}
    found = [{"random": {name: values[k] for name, values in random["discriminator"].items()}} for k in range(rounds)]
    if phase.d_rounds:
        loaded = faces.batch(rounds * d_n, DISCRIMINATOR, step)
        for k, one in enumerate(found):
            one["faces"] = tuple(part.rows(slice(k * d_n, (k + 1) * d_n)) for part in loaded)
    return {"faces": faces.batch(n, stream, step), "random": random["generator"], "rounds": found,
            "learning_rate": np.float32(phase.learning_rate(step))}


def ahead(function, steps):
    """function(step) for each of `steps`, in order. A thread computes the next ones while the caller uses one."""
    waiting = collections.deque()
    pool = concurrent.futures.ThreadPoolExecutor(1)
    try:
        for step in steps:
            waiting.append(pool.submit(function, step))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
