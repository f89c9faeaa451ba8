"""What a run writes down, and how it notices that it diverged."""

import json
import struct
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from vos_jax.core.errors import DivergedError
from vos_jax.training.logging import EVENTS, METRICS, Log


def numbers(loss=1.0, norm=2.0):
    return {"loss": jnp.asarray(loss), "gradient_norm": jnp.asarray(norm)}


def open_log(folder, start=0, every=2):
    return Log(folder, start=start, steps=100, every=every, clips=8)


def lines(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_writes_means_since_the_last_time(tmp_path):
    with open_log(tmp_path) as log:
        for step, loss in enumerate([1.0, 3.0, 5.0, 9.0], start=1):
            log.update(step, numbers(loss), rate=0.1 * step)
        log.settle()
    first, second = lines(tmp_path)
    assert (first["step"], first["loss"], first["learning_rate"]) == (2, 2.0, 0.2)
    assert (second["step"], second["loss"], second["learning_rate"]) == (4, 7.0, 0.4)
    assert first["clips_per_second"] > 0
    assert list((tmp_path / EVENTS).iterdir())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["loss", "norm"])
def test_a_number_that_is_none_stops_at_the_next_look(tmp_path, bad, name):
    with open_log(tmp_path) as log:
        log.update(1, numbers(), 0.1)
        log.update(2, numbers(**{name: bad}), 0.1)
        with pytest.raises(DivergedError, match="update 2: .* is -?(nan|inf)"):
            log.update(3, numbers(), 0.1)


def test_settling_looks_at_the_last_update_once(tmp_path):
    with open_log(tmp_path) as log:
        log.settle()
        log.update(1, numbers(np.nan), 0.1)
        with pytest.raises(DivergedError, match="update 1"):
            log.settle()
        log.settle()


def test_a_resumed_run_drops_what_came_after_its_checkpoint(tmp_path):
    with open_log(tmp_path, every=1) as log:
        for step in range(1, 6):
            log.update(step, numbers(step), 0.1)
        log.settle()
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 6, "lo')
    with open_log(tmp_path, start=3, every=1) as log:
        log.update(4, numbers(40.0), 0.1)
        log.settle()
    assert [(each["step"], each["loss"]) for each in lines(tmp_path)] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 40.0),
    ]


def test_a_full_disk_at_the_start_costs_no_line(tmp_path, monkeypatch):
    with open_log(tmp_path, every=1) as log:
        log.update(1, numbers(), 0.1)
        log.settle()
    before = lines(tmp_path)

    def write(path, text):
        path.open("w").close()
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(OSError, match="No space"):
        open_log(tmp_path, start=1)
    assert lines(tmp_path) == before


def test_unreadable_records_are_counted(tmp_path):
    with open_log(tmp_path) as log:
        for step, unreadable in enumerate([0, 1, 1, 5], start=1):
            log.update(step, numbers(), 0.1, unreadable)
        log.settle()
    assert [line["unreadable"] for line in lines(tmp_path)] == [1, 5]


def test_the_event_file_holds_the_scalars_and_where_to_go_on(tmp_path):
    """As tensorboardX's own reader sees them."""
    with open_log(tmp_path, start=2, every=1) as log:
        log.update(3, numbers(5.0), 0.1)
        log.settle()
        (path,) = (tmp_path / EVENTS).iterdir()
        found = list(events(path))
    assert [event.step for event in found[1:3]] == [3, 3]
    assert found[2].session_log.status == SessionLog.START
    values = {event.summary.value[0].tag: event for event in found[3:]}
    assert values.keys() >= {"loss", "gradient_norm", "learning_rate", "unreadable"}
    assert values["loss"].summary.value[0].simple_value == 5.0 and values["loss"].step == 3
    assert values["loss"].wall_time > 1.7e9


def events(path):
    """The events of a file, whose records are framed as those of a TFRecord."""
    content, at = path.read_bytes(), 0
    while at < len(content):
        (length,) = struct.unpack_from("<Q", content, at)
        yield Event.FromString(content[at + 12 : at + 12 + length])
        at += length + 16


def test_images_go_to_tensorboard(tmp_path):
    def size():
        return sum(path.stat().st_size for path in (tmp_path / EVENTS).iterdir())

    rng = np.random.default_rng(0)
    with open_log(tmp_path) as log:
        pass
    before = size()
    with open_log(tmp_path) as log:
        log.image(1, rng.integers(0, 255, (64, 64, 3), np.uint8))
    assert size() > before + 64 * 64
