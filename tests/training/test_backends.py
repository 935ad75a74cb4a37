import importlib.util
import subprocess

import backend_values
import numpy as np
import pytest
from conftest import python


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_jax_computes_what_tensorflow_computes(tmp_path):
    quick = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # it mostly compiles
    command, settings = python(backend_values.__file__, tmp_path / "jax.npz", env=quick)
    subprocess.run(command, check=True, **settings)
    expected = backend_values.values()
    with np.load(tmp_path / "jax.npz") as found:
        assert found.files == list(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-5, atol=1e-5, err_msg=name)
