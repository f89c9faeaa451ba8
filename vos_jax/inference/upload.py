"""Results as the archive that an evaluation server takes."""

import os
import zipfile
from pathlib import Path

from vos_jax.core.errors import MissingInputError, OutputError
from vos_jax.inference.benchmark_videos import BenchmarkVideo
from vos_jax.io.named_sets import named_set

YOUTUBE_FOLDER = "Annotations/"


def write_upload(
    output: Path, videos: list[BenchmarkVideo], dataset: str, dense: bool = False
) -> Path:
    """Writes the results of a benchmark to `<output>.zip`, or all of them to `<output>_dense.zip`.

    Names in it are `<video>/<frame>.png`, for YouTube-VOS `Annotations/<video>/<frame>.png`. Of
    videos that say which frames an upload must hold there are only these, unless it is dense.

    Args:
        output: the folder of the results.
        videos: of the benchmark.
        dataset: its name.
        dense: whether the archive holds every frame.

    Returns:
        The archive's path.

    Raises:
        MissingInputError: a result is not there.
        OutputError: the archive cannot be written.
    """
    inner = YOUTUBE_FOLDER if named_set(dataset).layout == "youtube_vos" else ""
    target = output.with_name(f"{output.name}{'_dense' if dense else ''}.zip")
    partial = target.with_name(f".{target.name}.partial")
    try:
        with zipfile.ZipFile(partial, "w") as archive:
            for video in videos:
                for path in _results(output / video.name, video, dense):
                    archive.write(path, f"{inner}{video.name}/{path.name}")
        os.replace(partial, target)
    except FileNotFoundError as error:
        raise MissingInputError(
            f"{error.filename}: no such result; run again to complete them"
        ) from error
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror})") from error
    return target


def _results(folder: Path, video: BenchmarkVideo, dense: bool) -> list[Path]:
    if video.listed is not None and not dense:
        return [folder / f"{name}.png" for name in video.listed.values()]
    found = sorted(folder.glob("[!.]*.png"))
    if len(found) != video.length:
        raise MissingInputError(
            f"{folder}: {len(found)} of {video.length} results are there; run again for the others"
        )
    return found
