"""Shard jobs on Apache Beam: the local writer's bytes, resuming, refusing, memory."""

import pickle
import re
import subprocess
import sys
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

import apache_beam
import cv2
import numpy as np
import psutil
import pytest
from apache_beam.runners.runner import PipelineResult, PipelineRunner

import data_prep
from data_prep import beam
from data_prep.beam import write_saved_job
from data_prep.coco import main as coco_main
from data_prep.shards import plan_shards, read_part
from data_prep.write import SplitPlan, write_split
from tests.prepared_sets import ToyFrame, ToyVideo, coco_folder, contents, toy_plan, toy_set
from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError
from vos_jax.data.frames import Frame
from vos_jax.data.records import RecordSet

ROOT = Path(__file__).resolve().parents[3]
RUNNER = "FnApiRunner"
"""Beam's runner inside this process; DirectRunner would first look for a download."""


@pytest.fixture(autouse=True)
def quick_progress(monkeypatch):
    """Looks for finished shards often: runs are short here."""
    monkeypatch.setattr(beam, "POLL_SECONDS", 0.01)


def on_beam(plan: SplitPlan, output: Path, shards: int | None = 3, options: str = ""):
    """Writes a plan on Beam."""
    return write_split(plan, output, shards, runner=RUNNER, beam_options=options)


def jobs_of(plan: SplitPlan, output: Path, shards: int = 3):
    """The jobs of a plan."""
    return plan_shards(plan.videos, output, plan.dataset, plan.split, shards)


class TestBytes:
    """What Beam writes is what local processes write."""

    @pytest.mark.parametrize("shards", [1, 3, 5])
    @pytest.mark.parametrize("options", ["", "--direct_running_mode=multi_threading"])
    def test_every_file_equals_the_local_writers(self, tmp_path, shards, options):
        plan = toy_plan(*(ToyVideo(f"v{n}", 1 + n, failing=(2,)) for n in range(5)))
        local = write_split(plan, tmp_path / "local", shards)
        report = on_beam(plan, tmp_path / "beam", shards, options)
        assert contents(tmp_path / "beam") == contents(tmp_path / "local")
        report.seconds = local.seconds
        assert report == local
        assert len(report.rejected) == 3

    def test_worker_processes_of_a_command_equal_the_local_writers(self, tmp_path):
        """The classes of a command live in `__main__`, which other processes do not have."""
        images, annotations = coco_folder(tmp_path)
        source = ["--images", str(images), "--annotations", str(annotations), "--shards", "2"]
        assert run_command(coco_main, [*source, "--output", str(tmp_path / "local")]) == 0
        output = ["--output", str(tmp_path / "beam"), "--runner", RUNNER]
        options = "--direct_running_mode=multi_processing --direct_num_workers=2"
        command = [sys.executable, "-m", "data_prep.coco", *source, *output]
        done = subprocess.run(
            [*command, "--beam_options", options],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert "2 shards (0 finished before)" in done.stdout
        assert contents(tmp_path / "beam") == contents(tmp_path / "local")

    def test_a_worker_may_get_a_job_twice(self, tmp_path):
        plan = toy_plan()
        whole = contents(toy_set(tmp_path / "local", shards=3))
        paths = [beam._save_job(job) for job in jobs_of(plan, tmp_path / "beam")]
        for path in [paths[2], paths[0], paths[2], paths[1], paths[0]]:
            write_saved_job(str(path))
        assert on_beam(plan, tmp_path / "beam").shards_kept == 3
        assert contents(tmp_path / "beam") == whole

    def test_beam_sees_one_path_per_shard_and_nothing_else(self, tmp_path, monkeypatch):
        seen, real = [], apache_beam.Create

        def create(elements):
            seen.extend(elements)
            return real(elements)

        monkeypatch.setattr(apache_beam, "Create", create)
        plan = toy_plan()
        on_beam(plan, tmp_path)
        jobs = jobs_of(plan, tmp_path)
        assert seen == [str(job.part_path.with_suffix(".job")) for job in jobs]

    def test_classes_of_the_running_command_are_named_by_their_module(self, tmp_path, monkeypatch):
        (job,) = jobs_of(toy_plan(ToyVideo("a")), tmp_path)
        spec = sys.modules["tests.prepared_sets"].__spec__
        monkeypatch.setattr(sys.modules["__main__"], "__spec__", spec)
        monkeypatch.setattr(sys.modules["__main__"], "ToyVideo", ToyVideo, raising=False)
        monkeypatch.setattr(ToyVideo, "__module__", "__main__")
        content = beam._save_job(job).read_bytes()
        assert b"__main__" not in content
        monkeypatch.delattr(sys.modules["__main__"], "ToyVideo")
        assert pickle.loads(content) == (job, [])


class TestResuming:
    """Reruns, whoever wrote the first part."""

    def test_finished_shards_are_kept(self, tmp_path, monkeypatch):
        plan = toy_plan()
        whole = contents(toy_set(tmp_path, shards=3))
        monkeypatch.setattr(ToyFrame, "load", None)
        report = on_beam(plan, tmp_path)
        assert (report.shards_kept, report.written) == (3, 15)
        assert contents(tmp_path) == whole

    @pytest.mark.parametrize("spoil", ["shard", "part"])
    def test_spoilt_shards_are_written_again(self, tmp_path, spoil):
        plan = toy_plan()
        whole = contents(toy_set(tmp_path, shards=3))
        job = jobs_of(plan, tmp_path)[1]
        (job.path if spoil == "shard" else job.part_path).unlink()
        assert on_beam(plan, tmp_path).shards_kept == 2
        assert contents(tmp_path) == whole

    @pytest.mark.parametrize("mode", ["in_memory", "multi_threading"])
    def test_a_failed_run_names_its_reason_and_keeps_what_is_finished(
        self, tmp_path, monkeypatch, mode
    ):
        real, calls = ToyFrame.load, []

        def load(self):
            calls.append(self)
            if len(calls) > 7:
                raise OSError(28, "No space left on device")
            return real(self)

        monkeypatch.setattr(ToyFrame, "load", load)
        reason = r"FnApiRunner failed \(.*cannot be written \(No space left on device\).*same"
        with pytest.raises(OutputError, match=reason) as caught:
            on_beam(toy_plan(), tmp_path, 5, f"--direct_running_mode={mode}")
        assert "\n" not in str(caught.value)
        finished = [job for job in jobs_of(toy_plan(), tmp_path, 5) if read_part(job)]
        assert not (tmp_path / "dataset_info.json").exists()
        monkeypatch.setattr(ToyFrame, "load", real)
        assert on_beam(toy_plan(), tmp_path, 5).shards_kept == len(finished) == 2
        assert contents(tmp_path) == contents(toy_set(tmp_path.with_name("whole"), shards=5))

    def test_the_bar_ends_at_all_frames(self, tmp_path, monkeypatch, capsys):
        on_beam(toy_plan(), tmp_path)
        assert "15/15" in capsys.readouterr().err


class StoppedRunner(PipelineRunner):
    """Ends in a state of its own and runs nothing, as if workers had another file system."""

    state = "CANCELLED"

    def run_pipeline(self, pipeline, options):
        """Runs nothing."""
        return PipelineResult(self.state)


class ElsewhereRunner(StoppedRunner):
    """Says that all went well."""

    state = "DONE"


class TestRefusing:
    """What cannot work is said in one line."""

    def test_beam_is_not_installed(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setitem(sys.modules, "apache_beam", None)
        images, annotations = coco_folder(tmp_path)
        source = ["--images", str(images), "--annotations", str(annotations)]
        output = ["--output", str(tmp_path / "set"), "--runner", "FlinkRunner"]
        assert run_command(coco_main, [*source, *output]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith("error: --runner FlinkRunner needs Apache Beam")
        assert error.endswith("pip install 'vos_jax[beam]'")

    @pytest.mark.parametrize(
        ("runner", "options", "message"),
        [
            ("Nonsense", "", "--runner Nonsense: .*FlinkRunner"),
            ("data_prep.beam.Nonsense", "", "--runner data_prep.beam.Nonsense: .*no attribute"),
            ("nowhere.Runner", "", "--runner nowhere.Runner: No module named 'nowhere'"),
            (RUNNER, "--direct_num_workers=many", "--beam_options: .*invalid int value: 'many'"),
            (RUNNER, "--name 'half", "--runner FnApiRunner: No closing quotation"),
            ("local", "--parallelism=4", "needs a Beam runner: give --runner"),
        ],
    )
    def test_runners_and_options(self, tmp_path, runner, options, message):
        with pytest.raises(ConfigError, match=message) as caught:
            write_split(toy_plan(), tmp_path / "set", 3, runner=runner, beam_options=options)
        assert not list(tmp_path.rglob("*.job"))
        assert len(str(caught.value)) < 600

    @pytest.mark.parametrize("runner", ["local", RUNNER])
    def test_addresses_of_buckets(self, tmp_path, monkeypatch, runner):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ConfigError, match="gs://bucket/set is no folder: mount it"):
            write_split(toy_plan(), "gs://bucket/set", 3, runner=runner)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ("runner", "message"),
        [
            (StoppedRunner, "StoppedRunner ended as CANCELLED: run the same command again"),
            (ElsewhereRunner, "not there after writing.*an --output that all workers share"),
        ],
    )
    def test_runs_that_write_nothing(self, tmp_path, runner, message):
        name = f"{__name__}.{runner.__name__}"
        with pytest.raises(OutputError, match=message):
            write_split(toy_plan(), tmp_path, 3, runner=name)

    def test_workers_that_do_not_see_the_inputs(self, tmp_path):
        """They would reject every frame: a finished set of nothing."""
        sources = tmp_path / "sources"
        sources.mkdir()
        video = ToyVideo("a", path=sources / "image")
        (job,) = jobs_of(toy_plan(video), tmp_path / "set")
        path = beam._save_job(job)
        write_saved_job(str(path))
        sources.rename(tmp_path / "elsewhere")
        with pytest.raises(MissingInputError, match=f"{sources} is not there on .* all workers"):
            write_saved_job(str(path))
        write_saved_job(str(beam._save_job(job)))

    @pytest.mark.parametrize(
        "command",
        sorted(
            path.stem
            for path in Path(data_prep.__path__[0]).glob("*.py")
            if re.search(r"^ +add_writing_flags\(", path.read_text(), re.MULTILINE)
        ),
    )
    def test_every_command_offers_runners(self, command, capsys):
        module = __import__(f"data_prep.{command}", fromlist=["main"])
        with pytest.raises(SystemExit) as ended:
            module.main(["--help"])
        assert ended.value.code == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "--runner" in said
        assert "folders that all workers see under the same paths" in said


@dataclass(frozen=True)
class HeavyFrame:
    """A frame of a known number of bytes that notes the memory of Python and of the process."""

    video: str
    time: int
    size: tuple[int, int]

    inputs = ()
    memory = []

    @property
    def source(self) -> str:
        """Its name in reports."""
        return f"{self.video}/{self.time}.png"

    def load(self) -> Frame:
        """Noise as PNG, decoded once as a check like that of real images."""
        pixels = np.random.default_rng(self.time).integers(0, 256, (*self.size, 3), np.uint8)
        data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1]
        cv2.imdecode(data, cv2.IMREAD_COLOR)
        resident = psutil.Process().memory_info().rss
        self.memory.append((tracemalloc.get_traced_memory()[0], resident))
        return Frame(
            self.video, f"{self.time:05d}", self.time, self.source, bytes(data), *self.size
        )


@dataclass(frozen=True)
class HeavyVideo:
    """A video of such frames."""

    name: str
    length: int
    size: tuple[int, int]

    def frames(self):
        """The frames."""
        return (HeavyFrame(self.name, time, self.size) for time in range(self.length))


class TestMemory:
    """A worker holds one frame and the rows of its shard, however much it writes."""

    @pytest.mark.parametrize("runner", ["local", RUNNER])
    @pytest.mark.parametrize(
        ("videos", "frames", "size", "shards"),
        [
            pytest.param(4, 100, (240, 320), 2, id="many frames"),
            pytest.param(1, 10, (1500, 2000), 1, id="large frames"),
        ],
    )
    def test_memory_stays(self, tmp_path, runner, videos, frames, size, shards):
        """Four fifths of what is written would show if frames were kept.

        Python's own count is exact. What the process holds also moves with the allocators of the
        libraries, hence the wider bound, which a writer that kept its records outside Python
        would still break.
        """
        HeavyFrame.memory.clear()
        plan = SplitPlan(
            "heavy", "train", [HeavyVideo(str(n), frames, size) for n in range(videos)]
        )
        tracemalloc.start()
        try:
            report = write_split(plan, tmp_path, shards, runner=runner)
        finally:
            tracemalloc.stop()
        frame = 3 * size[0] * size[1]
        assert report.size > videos * frames * frame
        measured = np.asarray(HeavyFrame.memory)
        measured = measured[len(measured) // 5 :]
        traced, resident = measured.max(0) - measured[0]
        assert traced < frame + 2e6
        assert resident < frame + report.size / 2
        assert len(RecordSet(tmp_path, "train")) == videos * frames
