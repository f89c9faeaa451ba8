"""The launchers, run beside stand-ins for gcloud, sbatch, srun and the training itself."""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from vos_jax.training.stopping import EXIT_STOPPED

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
LAUNCHERS = ("launch_tpu_pod.sh", "launch_slurm.sh")
TRAINING = ["--config", "configs/a.py", "--workdir", "/share/it's a run", "--config.steps=3"]
WORKERS = 2

GCLOUD = r"""#!/usr/bin/env bash
# A slice of two workers, each a folder that serves as home; commands run in it.
set -u
[ "$1 $2" = "compute tpus" ] || exit 9
what="$3 $4" name="$5" state="$FAKE/state"
printf '%s\n' "$what $name" >>"$FAKE/calls"
shift 5
worker=0 command="" format=""
for argument in "$@"; do
    case "$argument" in
        --worker=*) worker="${argument#*=}" ;;
        --command=*) command="${argument#*=}" ;;
        --format=*) format="${argument#*=}" ;;
        --zone=*) [ "$argument" = --zone=here ] || exit 9 ;;
    esac
done
workers=("$FAKE/worker_$worker")
[ "$worker" != all ] || workers=("$FAKE"/worker_0 "$FAKE"/worker_1)
case "$what" in
    "tpu-vm describe") [ "$format" = "value(state)" ] && cat "$state" 2>/dev/null ;;
    "queued-resources describe")
        [ "$format" = "value(state.state)" ] && cat "$FAKE/queue" 2>/dev/null ;;
    "queued-resources create") echo "$@" >"$FAKE/created" && echo ACTIVE >"$FAKE/queue" &&
        echo READY >"$state" && mkdir -p "$FAKE/worker_0" "$FAKE/worker_1" ;;
    "queued-resources delete" | "tpu-vm delete") rm -rf "$state" "$FAKE/queue" "$FAKE"/worker_* ;;
    "tpu-vm scp") for home in "${workers[@]}"; do cp "$name" "$1" "$home"; done ;;
    "tpu-vm ssh")
        [ "$(cat "$state")" = READY ] || exit 255
        status=0
        for home in "${workers[@]}"; do
            HOME="$home" bash -c "$command" </dev/null || status=$?
        done
        exit $status ;;
    *) exit 9 ;;
esac
"""

SETUP = """#!/usr/bin/env bash
mkdir -p ~/vos_jax/.venv/bin && cp ~/vos_jax/trainer ~/vos_jax/.venv/bin/python
echo "extras $EXTRAS" >>~/installed
"""

# Each start ends as the next line of $FAKE/ends says; the last line holds for ever.
TRAINER = """#!/usr/bin/env bash
printf '%s\\n' "$@" >~/arguments
end="$(head -n 1 "$FAKE/ends_${HOME##*/}")"
[ "$(wc -l <"$FAKE/ends_${HOME##*/}")" = 1 ] || sed -i 1d "$FAKE/ends_${HOME##*/}"
echo "this start ends with $end"
trap 'echo saved; exit 75' TERM
case "$end" in
    preempted) echo PREEMPTED >"$FAKE/state"; exit 0 ;;
    endless) for _ in {1..600}; do sleep 0.1; done ;;
    *) exit "$end" ;;
esac
"""


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


class Cloud:
    """A checkout with the launcher in it, and a cloud of folders."""

    def __init__(self, root: Path):
        self.fake, self.checkout = root / "fake", root / "checkout"
        for folder in (self.fake / "bin", self.checkout / "scripts"):
            folder.mkdir(parents=True)
        executable(self.fake / "bin" / "gcloud", GCLOUD)
        executable(self.checkout / "scripts" / "setup", SETUP)
        executable(self.checkout / "trainer", TRAINER)
        shutil.copy(SCRIPTS / "launch_tpu_pod.sh", self.checkout / "scripts")
        subprocess.run(["git", "init", "-q", self.checkout], check=True)
        (self.checkout / ".gitignore").write_text("ignored\n")
        (self.checkout / "ignored").write_text("")
        (self.checkout / "new file").write_text("")
        self.ends()

    def ends(self, *of_workers: str) -> None:
        """How the starts end on each worker, one word per start; 0 where nothing is said."""
        for worker in range(WORKERS):
            words = of_workers[worker] if worker < len(of_workers) else "0"
            lines = "".join(f"{word}\n" for word in words.split())
            (self.fake / f"ends_worker_{worker}").write_text(lines)

    def command(self, *arguments: str) -> dict:
        """Arguments of `subprocess.run` that start the launcher."""
        path = f"{self.fake / 'bin'}:{os.environ['PATH']}"
        known = {"FAKE": str(self.fake), "PATH": path, "LAUNCH_PAUSE_S": "0.1"}
        script = self.checkout / "scripts" / "launch_tpu_pod.sh"
        args = [script, "--name", "pod", "--zone", "here", *arguments]
        return {"args": args, "env": os.environ | known, "text": True, "cwd": "/"}

    def launch(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(**self.command(*arguments), capture_output=True, timeout=60)

    def train(self, *options: str) -> subprocess.CompletedProcess:
        new = "--type", "v5litepod-16", "--runtime", "v2-alpha-tpuv5-lite"
        return self.launch(*new, *options, "--", *TRAINING)

    def calls(self) -> list[str]:
        return (self.fake / "calls").read_text().splitlines()

    def of_worker(self, worker: int, name: str) -> str:
        return (self.fake / f"worker_{worker}" / name).read_text()


@pytest.fixture
def cloud(tmp_path):
    return Cloud(tmp_path)


@pytest.mark.parametrize("script", LAUNCHERS)
def test_launchers_are_sound_and_explain_themselves(script):
    subprocess.run(["bash", "-n", SCRIPTS / script], check=True)
    assert "set -euo pipefail" in (SCRIPTS / script).read_text()
    helped = subprocess.run([SCRIPTS / script, "--help"], capture_output=True, text=True)
    assert helped.returncode == 0 and "ARGUMENTS OF vos_jax.train" in helped.stdout
    assert str(EXIT_STOPPED) in helped.stdout


@pytest.mark.parametrize("script", LAUNCHERS)
def test_without_training_arguments_nothing_is_started(script):
    options = ["--name", "a", "--zone", "b"] if "tpu" in script else ["--nodes=2"]
    done = subprocess.run([SCRIPTS / script, *options], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no arguments for vos_jax.train" in done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--zone"], "--zone needs a value"),
        (["--zoo"], "unknown option --zoo"),
        (["--name", "a", "--", "x"], "--name and --zone are needed"),
    ],
)
def test_bad_options_of_the_pod_launcher_are_named(arguments, message):
    script = SCRIPTS / "launch_tpu_pod.sh"
    done = subprocess.run([script, *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and message in done.stderr


def test_a_new_slice_is_made_installed_and_trained_on(cloud):
    done = cloud.train("--spot", "--project", "ours", "--prepare", "touch ~/prepared")
    assert done.returncode == 0, done.stderr
    assert "training is done" in done.stderr
    created = (cloud.fake / "created").read_text().split()
    for option in (
        "--node-id=pod",
        "--accelerator-type=v5litepod-16",
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--project=ours",
        "--spot",
    ):
        assert option in created
    for worker in range(WORKERS):
        assert cloud.of_worker(worker, "installed") == "extras tpu\n"
        expected = ["-u", "-m", "vos_jax.train", "--distributed", *TRAINING]
        assert cloud.of_worker(worker, "arguments").splitlines() == expected
        copied = cloud.fake / f"worker_{worker}" / "vos_jax"
        assert (copied / "new file").exists() and not (copied / "ignored").exists()
        assert (copied.parent / "prepared").exists()
    assert "this start ends with 0" in done.stdout


@pytest.mark.parametrize(
    "ends, starts",
    [
        (("75 0", "75 0"), 2),
        (("76 75 0", "137 75 0"), 3),
        (("134 0", "0"), 2),
    ],
)
def test_runs_that_can_go_on_are_started_again(cloud, ends, starts):
    cloud.ends(*ends)
    done = cloud.train()
    assert done.returncode == 0, done.stderr
    assert cloud.of_worker(0, "vos_jax_run/log").count("this start ends") == starts
    assert cloud.calls().count("queued-resources create pod") == 1


@pytest.mark.parametrize("ends, code", [(("2", "76"), 2), (("76", "2"), 2), (("1", "134"), 1)])
def test_errors_that_would_come_again_end_the_launcher(cloud, ends, code):
    cloud.ends(*ends)
    done = cloud.train()
    assert done.returncode == code
    assert f"training met an error, code {code}" in done.stderr


def test_the_launcher_gives_up_after_so_many_starts(cloud):
    cloud.ends("75", "75")
    done = cloud.train("--restarts", "2")
    assert done.returncode == EXIT_STOPPED and "given up after 2 new starts" in done.stderr
    assert cloud.of_worker(0, "vos_jax_run/log").count("this start ends") == 3


def test_a_preempted_slice_is_deleted_and_made_again(cloud):
    cloud.ends("preempted 0", "0")
    done = cloud.train("--spot")
    assert done.returncode == 0, done.stderr
    calls = cloud.calls()
    deleted = calls.index("queued-resources delete pod")
    assert calls[:deleted].count("queued-resources create pod") == 1
    assert calls[deleted:].count("queued-resources create pod") == 1
    assert cloud.of_worker(1, "installed") == "extras tpu\n"


@pytest.mark.parametrize("slice_state, queue", [("PREEMPTED", ""), ("", "FAILED")])
def test_what_is_left_of_an_earlier_slice_goes_first(cloud, slice_state, queue):
    for name, state in (("state", slice_state), ("queue", queue)):
        if state:
            (cloud.fake / name).write_text(state)
    done = cloud.train()
    assert done.returncode == 0, done.stderr
    kind = "queued-resources" if queue else "tpu-vm"
    assert f"{kind} delete pod" in cloud.calls()


def test_a_stopped_slice_is_left_alone(cloud):
    (cloud.fake / "state").write_text("STOPPED")
    done = cloud.train()
    assert done.returncode == 2 and "slice pod is stopped" in done.stderr
    assert not any("delete" in call for call in cloud.calls())


def test_a_missing_slice_needs_its_type(cloud):
    done = cloud.launch("--", *TRAINING)
    assert done.returncode == 2 and "--type and --runtime are needed" in done.stderr


@contextlib.contextmanager
def launching(cloud: Cloud):
    """A launcher under way, whose processes end with the context, but not those it started."""
    new = "--type", "a", "--runtime", "b", "--", *TRAINING
    pipe = subprocess.PIPE
    process = subprocess.Popen(**cloud.command(*new), stderr=pipe, start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)


def test_a_run_outlives_the_launcher_and_is_followed_and_stopped(cloud):
    cloud.ends("endless 0", "endless 0")
    try:
        with launching(cloud):
            for worker in range(WORKERS):
                wait_for(cloud.fake / f"worker_{worker}" / "arguments")
        with launching(cloud) as second:
            assert any("a run is under way" in line for line in second.stderr)
            assert cloud.launch("--stop").returncode == 0
            assert second.wait(timeout=60) == 0
    finally:
        cloud.launch("--stop")
    said = cloud.of_worker(0, "vos_jax_run/log").splitlines()
    assert said == ["this start ends with endless", "saved", "this start ends with 0"]
    assert cloud.of_worker(0, "installed").count("extras") == 2


def wait_for(path: Path) -> None:
    for _ in range(600):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} does not appear")


def test_a_slice_is_deleted_when_asked(cloud):
    assert cloud.train().returncode == 0
    assert cloud.launch("--delete").returncode == 0
    assert cloud.calls()[-1] == "queued-resources delete pod"


def test_a_dry_run_prints_what_it_would_do(cloud):
    done = cloud.train("--dry-run")
    assert done.returncode == 0 and not (cloud.fake / "calls").exists()
    lines = [shlex.split(line, posix=False)[:5] for line in done.stdout.splitlines()]
    verbs = [" ".join(line[3:5]) for line in lines]
    expected = ["tpu-vm describe", "queued-resources describe", "queued-resources create"]
    assert verbs[:3] == expected and "tpu-vm scp" in verbs and verbs.count("tpu-vm ssh") == 5


class Slurm:
    """Stand-ins for Slurm's commands that write down how they are called."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("sbatch", "srun", "scontrol"):
            text = f'#!/usr/bin/env bash\nprintf "%s\\n" {name} "$@" >>"$CALLS"\n'
            executable(root / name, text + ('exit "$CODE"\n' if name == "srun" else ""))

    def run(self, *arguments: str, code: int = 0, **environment: str):
        """Runs the launcher; returns the process and what was called, one argument a line."""
        calls = self.root / "calls"
        calls.write_text("")
        known = {"CALLS": str(calls), "CODE": str(code), "PATH": f"{self.root}:/usr/bin:/bin"}
        done = subprocess.run(
            [SCRIPTS / "launch_slurm.sh", *arguments],
            env={**known, **environment},
            capture_output=True,
            text=True,
        )
        return done, calls.read_text().splitlines()


@pytest.fixture
def slurm(tmp_path):
    return Slurm(tmp_path)


def test_the_slurm_launcher_submits_itself(slurm):
    options = ["--nodes=2", "--ntasks-per-node=8", "--time=24:00:00"]
    done, calls = slurm.run(*options, "--", *TRAINING)
    assert done.returncode == 0, done.stderr
    script = str(SCRIPTS / "launch_slurm.sh")
    assert calls == [
        *("sbatch", f"--chdir={SCRIPTS.parent}", *options, script, "--in-job"),
        *TRAINING,
    ]
    dry, called = slurm.run("--dry-run", *options, "--", *TRAINING)
    assert called == [] and shlex.split(dry.stdout) == calls


@pytest.mark.parametrize("code", [0, 2, 76, EXIT_STOPPED])
def test_the_job_trains_and_goes_back_into_the_queue_when_stopped(slurm, code):
    done, calls = slurm.run("--in-job", *TRAINING, code=code, SLURM_JOB_ID="7")
    assert done.returncode == code
    training = ["srun", "--kill-on-bad-exit=0", ".venv/bin/python", "-u", "-m", "vos_jax.train"]
    requeued = ["scontrol", "requeue", "7"] if code == EXIT_STOPPED else []
    assert calls == [*training, "--distributed", *TRAINING, *requeued]


def test_the_job_asks_slurm_for_a_signal_and_to_be_requeued():
    lines = (SCRIPTS / "launch_slurm.sh").read_text().splitlines()
    asked = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")]
    assert {"--requeue", "--signal=TERM@120", "--open-mode=append"} <= set(asked)
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:]), "sbatch stops reading"
