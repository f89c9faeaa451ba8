"""The steps of a run: which were done, by what command, in what time."""

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vos_jax.core.errors import OutputError, VosError

ROOT = Path(__file__).resolve().parents[2]
"""The checkout, where commands run: configs/ lies there."""

FILE = "quickstart.json"


@dataclass(frozen=True)
class Step:
    """A step that was done.

    Attributes:
        name: what it did.
        command: as one would type it in the checkout; empty where there is none.
        seconds: it took.
    """

    name: str
    command: str
    seconds: float


class Journal:
    """Does the steps of a run, each once: what stands in `quickstart.json` is not done again."""

    def __init__(self, output: Path, settings: Mapping[str, int]):
        """Opens the folder of a new or an unfinished run.

        Raises:
            OutputError: the folder holds a run with other settings, or cannot be written.
        """
        self.output = output
        self.settings = dict(settings)
        self.steps: list[Step] = []
        path = output / FILE
        try:
            output.mkdir(parents=True, exist_ok=True)
            if path.exists():
                content = json.loads(path.read_text())
                self.steps = [Step(**step) for step in content["steps"]]
                self._check(content["settings"])
            self._save()
        except OSError as error:
            raise OutputError(
                f"{output} cannot be written ({error.strerror}): choose another --output"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise OutputError(f"{path} is garbage: delete {output} and start again") from error

    def run(self, name: str, module: str, *arguments: object) -> None:
        """Runs `python -m MODULE ARGUMENTS...` in the checkout.

        Raises:
            VosError: the command failed.
        """
        words = ["-m", module, *map(str, arguments)]
        command = shlex.join(["python", *words]).replace(f"{ROOT}/", "")

        def work() -> None:
            code = subprocess.run([sys.executable, *words], cwd=ROOT).returncode
            if code:
                raise VosError(f"{name}: `{command}` ended with {code}; see above")

        self.do(name, work, command)

    def do(self, name: str, work: Callable[[], None], command: str = "") -> None:
        """Does a step of our own, unless it was done before."""
        if any(step.name == name for step in self.steps):
            print(f"== {name}: done before", flush=True)
            return
        print(f"\n== {name}", f"   {command}".rstrip(), sep="\n", flush=True)
        began = time.monotonic()
        work()
        self.note(name, time.monotonic() - began, command)

    def note(self, name: str, seconds: float, command: str = "") -> None:
        """Enters a step that was done."""
        self.steps.append(Step(name, command, seconds))
        self._save()

    def _check(self, settings: Mapping[str, int]) -> None:
        if settings != self.settings:
            raise OutputError(
                f"{self.output} holds a run with {_words(settings)}, not {_words(self.settings)}: "
                "choose another --output, or delete it"
            )

    def _save(self) -> None:
        content = {"settings": self.settings, "steps": [asdict(step) for step in self.steps]}
        path = self.output / FILE
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n")
        partial.replace(path)


def _words(settings: Mapping[str, int]) -> str:
    return " ".join(f"--{name} {value}" for name, value in settings.items())


def total_seconds(steps: Sequence[Step]) -> float:
    """What all steps took together."""
    return sum(step.seconds for step in steps)
