"""The report: one HTML page that carries its pictures inside."""

import base64
import html
import string
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from vos_jax.core.errors import OutputError
from vos_jax.quickstart.journal import Step, total_seconds
from vos_jax.quickstart.scores import COLUMNS, Scores

TEMPLATE = Path(__file__).with_name("page.html")
SHEET_QUALITY = 92

FILES = {
    "records/": "the generated set as TFRecords",
    "davis/": "the held-out videos as folders of frames and masks",
    "workdir/": "settings, checkpoint, TensorBoard logs of the model",
    "results/": "masks of the trained model, and its scores",
    "copied/": "the first masks copied, and their scores",
    "overlay.mp4": "the video above",
    "training_curve.png": "the curve above",
}


def write_page(
    path: Path,
    *,
    settings: Mapping[str, int],
    copied: Scores,
    trained: Scores,
    sheets: Mapping[str, np.ndarray],
    video: Path,
    curve: Path,
    steps: Sequence[Step],
    machine: Mapping[str, str],
) -> None:
    """Writes the report.

    Args:
        path: of the page.
        settings: of the run: steps, videos, held_out, seed.
        copied: scores of copying the first mask.
        trained: scores of the model.
        sheets: pictures of clips, uint8 [h, w, 3] RGB, by caption.
        video: an mp4.
        curve: a PNG.
        steps: what was done.
        machine: facts by name.

    Raises:
        OutputError: the page cannot be written.
    """
    gain = trained.overall["J&F"] - copied.overall["J&F"]
    fields = {
        **settings,
        "trained_jf": f"{trained.overall['J&F']:.1f}",
        "copied_jf": f"{copied.overall['J&F']:.1f}",
        "gain": f"{gain:+.1f}",
        "objects": len(trained.objects),
        "sheets": "\n".join(_figure(caption, sheet) for caption, sheet in sheets.items()),
        "video": _embedded(video.read_bytes(), "video/mp4"),
        "curve": _embedded(curve.read_bytes(), "image/png"),
        "score_rows": _score_rows({"first mask copied": copied, "trained model": trained}),
        "object_rows": _object_rows(copied, trained),
        "step_rows": _step_rows(steps),
        "machine_rows": _rows(machine.items()),
        "file_rows": _rows(FILES.items()),
    }
    text = string.Template(TEMPLATE.read_text()).substitute(fields)
    try:
        path.write_text(text)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error.strerror})") from error


def _figure(caption: str, sheet: np.ndarray) -> str:
    options = [cv2.IMWRITE_JPEG_QUALITY, SHEET_QUALITY]
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(sheet[..., ::-1]), options)
    picture = _embedded(jpeg.tobytes(), "image/jpeg")
    rows = "".join(f"<span>{name}</span>" for name in ("truth", "copied", "trained"))
    return (
        f'<figure class="card"><div class="rows soft">{rows}</div>'
        f'<img alt="{html.escape(caption)}" src="{picture}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _embedded(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _score_rows(scores: Mapping[str, Scores]) -> str:
    return "\n".join(
        _row(name, *(f"{each.overall[column]:.1f}" for column in COLUMNS))
        for name, each in scores.items()
    )


def _object_rows(copied: Scores, trained: Scores) -> str:
    return "\n".join(
        _row(name, *(f"{value:.1f}" for value in (*copied.objects[name], *trained.objects[name])))
        for name in trained.objects
    )


def _row(name: str, *numbers: str) -> str:
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f"<tr><td>{html.escape(name)}</td>{cells}</tr>"


def _step_rows(steps: Sequence[Step]) -> str:
    rows = [
        f"<tr><td>{html.escape(step.name)}<br><code>{html.escape(step.command)}</code></td>"
        f'<td class="number">{step.seconds:.1f} s</td></tr>'
        for step in steps
    ]
    total = f'<tr><td>together</td><td class="number">{total_seconds(steps):.1f} s</td></tr>'
    return "\n".join([*rows, total])


def _rows(facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(fact)}</td></tr>"
        for name, fact in facts
    )
