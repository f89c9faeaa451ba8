"""Compiled programs on disk, and counted."""

import logging
import stat
import threading

import jax
import jax.numpy as jnp
import pytest

from vos_jax.core.compilation import compilations, enable_cache
from vos_jax.core.errors import ConfigError


@pytest.fixture(autouse=True)
def same_cache_afterwards():
    before = jax.config.jax_compilation_cache_dir
    yield
    jax.config.update("jax_compilation_cache_dir", before)


def test_cache_is_private(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = enable_cache()
    assert folder == tmp_path / "vos_jax" / "compiled"
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_cache_others_could_write_is_closed_to_them(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    assert stat.S_IMODE(enable_cache(tmp_path / "open").stat().st_mode) == 0o700


def test_cache_of_somebody_else_is_refused(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ConfigError, match="link or belongs to another user"):
        enable_cache(tmp_path / "link")
    monkeypatch.setattr("os.getuid", lambda: 12345)
    with pytest.raises(ConfigError, match="another user"):
        enable_cache(tmp_path / "real")
    assert jax.config.jax_compilation_cache_dir == before


def test_no_place_for_a_cache_is_said(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        assert enable_cache(tmp_path / "file" / "cache") is None
    assert "no place for compiled programs" in caplog.text


def test_compilations_of_this_thread_are_counted():
    program = jax.jit(lambda x: x * 3 + 1)
    arrays = [jnp.zeros(n) for n in (3, 5, 7)]
    with compilations() as outer:
        program(arrays[0])
        with compilations() as inner:
            program(arrays[0])
            program(arrays[1])
            other = threading.Thread(target=lambda: program(arrays[2]))
            other.start()
            other.join()
    assert (outer.count, inner.count) == (2, 1)
    assert outer.seconds > inner.seconds > 0
    program(arrays[0])
    assert outer.count == 2
