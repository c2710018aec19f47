"""Variables and files of the user's other work do not change what posenet computes or draws."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from posenet import environment
from posenet.errors import PoseNetError
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow

# Installed in some environments only: then it is a valid backend.
INLINE = "module://matplotlib_inline.backend_inline"
DRAW = (
    "import os, sys\n"
    "from posenet.viz.figure import new_figure, save_figure\n"
    "from pathlib import Path\n"
    "save_figure(new_figure(2, 1), Path(sys.argv[1]))\n"
    "import matplotlib.pyplot as plt\n"
    "print(plt.get_backend(), os.environ['MPLBACKEND'])"
)
SETTINGS = (
    "import os, posenet.environment\n"
    "posenet.environment.import_keras()\n"
    "import keras\n"
    "posenet.environment.import_keras()\n"
    "print(keras.config.backend(), keras.config.image_data_format(), keras.config.floatx(),\n"
    "      keras.config.epsilon(), keras.config.max_epochs(), os.environ['KERAS_BACKEND'],\n"
    "      os.environ['KERAS_MAX_EPOCHS'])"
)


def run(program, *arguments, **variables):
    """Run a Python program with other environment variables and return the finished process."""
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        env=os.environ | {name: str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
    )


def keras_home(folder, **settings):
    """Write a keras.json and return its folder."""
    usual = {"floatx": "float32", "epsilon": 1e-7, "backend": "tensorflow"}
    usual["image_data_format"] = "channels_last"
    (folder / "keras.json").write_text(json.dumps(usual | settings))
    return folder


@pytest.mark.parametrize(("backend", "own"), [(INLINE, None), ("rubbish", "agg"), ("svg", "svg")])
def test_figures_do_not_depend_on_the_backend_of_notebooks(tmp_path, backend, own):
    done = run(DRAW, tmp_path / "figure.png", MPLBACKEND=backend)
    assert done.returncode == 0, done.stderr
    # The user's own figures have the backend that was asked for, if it exists.
    used, variable = done.stdout.split()
    assert used == own or own is None
    assert variable == backend
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_keras_has_the_settings_of_the_networks(tmp_path):
    home = keras_home(
        tmp_path, backend="torch", floatx="float16", epsilon=0.1, image_data_format="channels_first"
    )
    done = run(
        SETTINGS,
        KERAS_HOME=home,
        KERAS_BACKEND="tensorflow",
        KERAS_MAX_EPOCHS=0,
        MPLBACKEND=INLINE,
        PYTHONWARNINGS="error",
    )
    expected = "tensorflow channels_last float32 1e-07 None tensorflow 0"
    assert done.stdout.strip() == expected, done.stderr


@pytest.fixture
def installed(monkeypatch):
    """Return a set of the packages that seem to be installed."""
    names = {"tensorflow", "jax", "torch"}
    monkeypatch.setattr(environment, "is_installed", names.__contains__)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    return names


def test_the_default_backend_is_the_first_that_is_installed(installed):
    for name in ("tensorflow", "torch", "jax"):
        assert environment.choose_backend() == name
        installed.remove(name)
    assert refusal(environment.choose_backend) == (
        "posenet requires TensorFlow, PyTorch or JAX: pip install 'camera-posenet[torch]'"
    )


def test_a_backend_is_chosen_by_the_option_before_the_variable(installed, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert environment.choose_backend() == "torch"
    assert environment.choose_backend("jax") == "jax"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert environment.choose_backend() == "tensorflow"


def test_a_backend_that_is_unknown_or_missing_is_refused(installed, monkeypatch):
    installed.remove("jax")
    extra = "requires the extra `jax`: pip install 'camera-posenet[jax]'"
    assert refusal(environment.choose_backend, "jax") == f"--backend jax {extra}"
    assert refusal(environment.choose_backend, "jax", "the page") == f"the page {extra}"
    for name, message in (
        ("jax", f"KERAS_BACKEND jax {extra}"),
        ("numpy", "KERAS_BACKEND must be tensorflow, torch or jax, received numpy"),
    ):
        monkeypatch.setenv("KERAS_BACKEND", name)
        assert refusal(environment.choose_backend) == message


def test_keras_keeps_its_backend(monkeypatch):
    running = SimpleNamespace(config=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setitem(sys.modules, "keras", running)
    environment.import_keras()
    environment.import_keras("jax")
    assert refusal(environment.import_keras, "torch") == (
        "--backend must be jax, on which Keras runs in this process already, received torch"
    )


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ('{"epsilon": "small"}', "Invalid `epsilon` configuration. Expected a float. Received: epsilon=small"),
        ("[]", "'list' object has no attribute 'get'"),
    ],
)  # fmt: skip
def test_an_invalid_configuration_of_keras_is_one_line(tmp_path, settings, reason):
    (tmp_path / "keras.json").write_text(settings)
    done = run(SETTINGS, KERAS_HOME=tmp_path, KERAS_MAX_EPOCHS=5)
    path = tmp_path / "keras.json"
    assert done.stderr.strip().splitlines()[-1] == (
        f"posenet.errors.PoseNetError: {path} must be a valid configuration of Keras: {reason}"
    )


def test_variables_are_restored_after_an_error(monkeypatch):
    monkeypatch.setenv("SET", "before")

    @environment._changed_variables({"SET": None, "UNSET": "1"})
    def fails():
        raise KeyError(os.environ.get("SET"), os.environ["UNSET"])

    with pytest.raises(KeyError, match=r"None, '1'"):
        fails()
    assert os.environ["SET"] == "before"
    assert "UNSET" not in os.environ


def test_another_error_of_the_import_is_not_about_the_configuration(tmp_path):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text("raise AttributeError('np.bool')")
    done = run(SETTINGS, PYTHONPATH=tmp_path, KERAS_MAX_EPOCHS=5)
    assert done.stderr.strip().splitlines()[-1] == "AttributeError: np.bool"


class Allocator:
    """Stands in for the C library."""

    def __init__(self):
        self.calls = []

    def mallopt(self, parameter, value):
        """Note a call."""
        self.calls.append((parameter, value))


def test_freed_memory_is_kept_on_glibc(monkeypatch):
    library = Allocator()
    monkeypatch.setattr(environment.ctypes, "CDLL", lambda name: library)
    environment.keep_freed_memory.__wrapped__()
    # M_MMAP_THRESHOLD is -3 and M_TRIM_THRESHOLD is -1 in malloc.h.
    assert library.calls == [(-3, 33554432), (-1, 134217728)]


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_other_systems_keep_their_memory_settings(monkeypatch, error):
    def library(name):
        raise error("not glibc")

    monkeypatch.setattr(environment.ctypes, "CDLL", library)
    environment.keep_freed_memory.__wrapped__()


def test_missing_extra_is_named():
    message = "posenet fly requires the extra `wings`: pip install 'camera-posenet[wings]'"
    with pytest.raises(PoseNetError, match=re.escape(message)):
        environment.import_extra("no_such_module", "wings", "posenet fly")
