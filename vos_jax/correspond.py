"""Shows which parts of one picture answer for which of another, as heat maps or as a page."""

import argparse
import sys
import textwrap
from pathlib import Path

import numpy as np

from vos_jax.core.commands import run_command
from vos_jax.core.compilation import enable_cache
from vos_jax.core.errors import ConfigError, OutputError
from vos_jax.core.geometry import Size
from vos_jax.core.labels import VOID
from vos_jax.correspondence.affinity import Correspondence, check_system, correspondences, enlarge
from vos_jax.correspondence.desk import Desk, Picture
from vos_jax.correspondence.marks import check_point, mask_map, point_map
from vos_jax.correspondence.pictures import encode_png, grey, overlay, scaled, side_by_side
from vos_jax.inference.loading import Loaded, load_system
from vos_jax.io.images import read_image, read_mask
from vos_jax.io.writers import make_folder

EXAMPLES = """
examples:
  where in b.jpg is what stands at column 120, row 80 of a.jpg?
    python -m vos_jax.correspond --workdir W --source a.jpg --target b.jpg --point 120,80 \\
        --output out
  where is what a mask of a.jpg covers (all its objects together)?
    python -m vos_jax.correspond --workdir W --source a.jpg --target b.jpg --mask a.png --output out
  a page to click and paint on, on this machine only (pip install 'vos_jax[demo]')
    python -m vos_jax.correspond --workdir W --source a.jpg --target b.jpg --serve

Written twice, read from all source cells (all) and from the best ones (top_50): heat_map_*.png,
heat_map_*.npy (float32), overlay_*.png (both pictures). The workdir is one of a space-time
memory, for instance mask_propagation, made by vos_jax.train or vos_jax.convert.
"""
TOP_K = 50
PAGE_SHORT_SIDE = 480


def build_parser() -> argparse.ArgumentParser:
    """The flags."""
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.correspond",
        description=__doc__,
        epilog=textwrap.dedent(EXAMPLES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--workdir", required=True, help="folder with config.json and checkpoints")
    add("--step", type=int, help="checkpoint to take (default: the last)")
    add("--source", help="the picture that is pointed at")
    add("--target", help="the picture that is searched")
    add("--point", help="x,y in the source: column and row, from 0")
    add("--mask", help="PNG of the source's size; what is not 0 is looked for")
    add("--output", help="folder for what is written")
    add("--top_k", type=int, default=TOP_K, help="source cells of the top-k read (%(default)s)")
    add("--sigma", type=float, default=0.0, help="spread of the kernelised memory (default: none)")
    add(
        "--short_side",
        type=int,
        help="pixels the source is reduced to, the target fitted inside (default: as they are, "
        f"and then of one size; {PAGE_SHORT_SIDE} with --serve)",
    )
    add("--serve", action="store_true", help="open a page on 127.0.0.1 instead of writing files")
    add("--port", type=int, default=8017, help="of --serve (default: %(default)s, 0: any)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """The command."""
    flags = build_parser().parse_args(argv)
    _check(flags)
    paths = {"source": flags.source, "target": flags.target}
    pictures = {side: read_image(path) for side, path in paths.items() if path is not None}
    mark = None if flags.serve else _mark(flags, pictures["source"].shape[:2])
    enable_cache()
    loaded = load_system(flags.workdir, flags.step)
    check_system(loaded.system)
    if flags.serve:
        _serve(flags, loaded, pictures)
    else:
        _compare(flags, loaded, pictures, mark)
    return 0


def _check(flags: argparse.Namespace) -> None:
    """Refuses flags that do not go together."""
    marks = (flags.point is not None) + (flags.mask is not None)
    if flags.top_k < 1:
        raise ConfigError(f"--top_k {flags.top_k}: must be 1 or more")
    if flags.serve and (marks or flags.output is not None):
        raise ConfigError("--serve takes no --point, --mask and --output; leave them out")
    if not flags.serve and None in (flags.source, flags.target, flags.output):
        raise ConfigError("--source, --target and --output are needed, unless there is --serve")
    if not flags.serve and marks != 1:
        raise ConfigError("give either --point x,y or --mask m.png, and not both")


def _mark(flags: argparse.Namespace, size: Size) -> np.ndarray | tuple[float, float]:
    """What is looked for: the pixels of a mask of the source, or a point in it."""
    if flags.mask is not None:
        labels = read_mask(flags.mask, binary=True, prompt=True, size=size)
        return (labels > 0) & (labels < VOID)
    try:
        x, y = map(float, flags.point.split(","))
    except ValueError as error:
        raise ConfigError(f"--point {flags.point}: must be x,y, for instance 120,80") from error
    check_point(x, y, size)
    return x, y


def _compare(
    flags: argparse.Namespace,
    loaded: Loaded,
    pictures: dict[str, np.ndarray],
    mark: np.ndarray | tuple[float, float],
) -> None:
    """Writes the heat maps and overlays of both ways to read."""
    found = correspondences(
        loaded.system,
        loaded.params,
        **pictures,
        top_ks=(0, flags.top_k),
        sigma=flags.sigma,
        short_side=flags.short_side or 0,
    )
    geometry = found[0].source
    weights = point_map(*mark, geometry) if flags.mask is None else mask_map(mark, geometry)
    folder = make_folder(flags.output)
    for name, each in zip(("all", f"top_{flags.top_k}"), found, strict=True):
        _write(folder, name, each, weights, pictures)
    print(f"written: {folder}")


def _write(
    folder: Path,
    name: str,
    found: Correspondence,
    weights: np.ndarray,
    pictures: dict[str, np.ndarray],
) -> None:
    """Writes the heat map and the overlay of one way to read."""
    heat = found.heat_map(weights)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    place = f"strongest at {column},{row} of {heat.shape[1]}x{heat.shape[0]} pixels"
    print(f"{name}: {place if heat.any() else 'among the best of no target cell'}")
    drawn = side_by_side(
        overlay(scaled(pictures["source"], found.source.resized), enlarge(weights, found.source)),
        overlay(scaled(pictures["target"], found.target.resized), heat),
    )
    try:
        np.save(folder / f"heat_map_{name}.npy", heat)
        for kind, pixels in (("heat_map", grey(heat)), ("overlay", drawn)):
            (folder / f"{kind}_{name}.png").write_bytes(encode_png(pixels))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written to ({error.strerror})") from error


def _serve(flags: argparse.Namespace, loaded: Loaded, pictures: dict[str, np.ndarray]) -> None:
    """Serves the page until Ctrl-C."""
    try:
        from vos_jax.correspondence import server
    except ModuleNotFoundError as error:
        raise ConfigError(f"--serve needs {error.name}: pip install 'vos_jax[demo]'") from error
    short_side = PAGE_SHORT_SIDE if flags.short_side is None else flags.short_side
    desk = Desk(loaded.system, loaded.params, flags.top_k, flags.sigma, short_side)
    names = {"source": flags.source, "target": flags.target}
    with server.listen(flags.port) as listening:
        desk.put({side: Picture(Path(names[side]).name, pictures[side]) for side in pictures})
        facts = loaded.facts
        app = server.make_app(desk, f"{facts['system']} of {flags.workdir}, step {facts['step']}")
        print(f"open {server.address(listening)} (Ctrl-C ends it)", flush=True)
        server.serve(app, listening)


if __name__ == "__main__":
    sys.exit(run_command(main))
