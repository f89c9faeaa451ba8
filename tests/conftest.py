"""How every test runs: on the CPU, with the array shapes of signatures checked."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

os.environ["JAX_PLATFORMS"] = "cpu"

# Programs are compiled without optimisation, which takes half the time. Those of whole systems at
# parity are as users get them, in processes of their own. (pytest's workers inherit the variable.)
QUICKLY_COMPILED = "--xla_backend_optimization_level=0"
AS_SHIPPED = os.environ.get("XLA_FLAGS", "").replace(QUICKLY_COMPILED, "").strip()
os.environ["XLA_FLAGS"] = f"{AS_SHIPPED} {QUICKLY_COMPILED}".strip()

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


@pytest.fixture(scope="module", autouse=True)
def _forget_compiled_programs() -> Iterator[None]:
    """Lets go of a module's compiled programs when its tests are done.

    They stay in the cache on disk. Kept in memory, a worker would grow to 6 GB over the suite.
    """
    yield
    _clear_caches()


@pytest.fixture(autouse=True)
def _stay_below_the_limit_of_mappings() -> Iterator[None]:
    """Lets go of them within a module too, where it compiles a great many.

    Every program maps some pieces of memory, of which Linux allows a process 65,530; LLVM aborts
    at the next.
    """
    yield
    mappings = Path("/proc/self/maps")
    if mappings.exists() and len(mappings.read_bytes().splitlines()) > 20_000:
        _clear_caches()


def _clear_caches() -> None:
    import jax

    jax.clear_caches()


@pytest.fixture(scope="session")
def run_python() -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python ARGUMENTS` from the root of the checkout in a process of its own.

    `devices` sets how many CPU devices JAX simulates there, `as_shipped` has programs optimised;
    further keywords are those of `subprocess.run`. Output is captured as text; the exit code is
    left to the test.
    """

    def run(
        *arguments: object, devices: int = 1, as_shipped: bool = False, **options
    ) -> subprocess.CompletedProcess:
        flags = AS_SHIPPED if as_shipped else os.environ["XLA_FLAGS"]
        flags += f" --xla_force_host_platform_device_count={devices}"
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "XLA_FLAGS": flags, **options.pop("env", {})},
            capture_output=True,
            text=True,
            **options,
        )

    return run
