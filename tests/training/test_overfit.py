"""A small HODOR learns one clip by heart, through the command itself."""

import json

from tests.tiny_hodor import FAST, one_image_set, train_command

STEPS = 120


def test_a_small_hodor_learns_one_clip(run_python, tmp_path):
    command = train_command(
        one_image_set(tmp_path),
        tmp_path / "run",
        f"steps={STEPS}",
        "schedule.rate=3e-3",
        "schedule.warmup_steps=10",
        "log.scalars_every=10",
        "log.images_every=0",
    )
    done = run_python(*command, env=FAST)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").open()]
    assert len(lines) == STEPS / 10
    assert lines[0]["iou"] < 0.6
    assert lines[-1]["loss"] < 0.15 * lines[0]["loss"]
    assert lines[-1]["iou"] > 0.9
