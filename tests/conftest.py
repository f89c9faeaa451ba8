"""How every test runs: on the CPU, with the array shapes of signatures checked."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ["JAX_PLATFORMS"] = "cpu"

# Compiled programs are kept between runs. The folder holds code, so it is the user's alone.
CACHE = Path(sys.prefix) / "jax_cache"
CACHE.mkdir(mode=0o700, exist_ok=True)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
os.environ.setdefault("JAX_PERSISTENT_COMPILATION_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

# The hook stays for the whole run: modules are imported when their tests are collected.
install_import_hook(["vos_jax.ops", "vos_jax.losses", "vos_jax.nn"], "beartype.beartype")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"

collect_ignore = [] if SHARED.is_dir() else ["with_shared"]


def pytest_report_header() -> list[str]:
    """Says in one line that the tests on shared files are left out, where they are."""
    return [] if SHARED.is_dir() else [f"tests/with_shared: not collected, no folder {SHARED}"]


@pytest.fixture
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python ARGUMENTS` from the root of the checkout in a process of its own.

    `devices` sets how many CPU devices JAX simulates there; further keywords are those of
    `subprocess.run`. Output is captured as text; the exit code is left to the test.
    """

    def run(*arguments: object, devices: int = 1, **options) -> subprocess.CompletedProcess:
        flags = f"--xla_force_host_platform_device_count={devices}"
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": flags, **options.pop("env", {})},
            capture_output=True,
            text=True,
            **options,
        )

    return run
