"""Command: scores result masks as the official tools do.

python -m vos_jax.evaluate --dataset davis_val --results out/results --data_root data/DAVIS
"""

import argparse
import sys
import time
from pathlib import Path

from tqdm import tqdm

from vos_jax.core.commands import run_command
from vos_jax.core.errors import ConfigError, MissingInputError, OutputError
from vos_jax.io.layouts import Sequence, training_categories
from vos_jax.io.named_sets import NAMED_SETS, list_sequences, named_set
from vos_jax.io.youtube_vis import annotation_file, read_vis, read_vis_results
from vos_jax.metrics import report
from vos_jax.metrics.categories import TRAINING_CATEGORIES, group_scores
from vos_jax.metrics.video_precision import Instance, video_precision
from vos_jax.scoring import PROTOCOLS, core_count, score_sequences

DESCRIPTION = """\
Scores a folder of result masks: region similarity J, boundary accuracy F, and the tables that the
official tools write, to the last digit.

results:  <results>/<sequence>/<frame>.png, palette or grey PNG whose values are the object ids,
          of the size of the annotation, for every annotated frame (where the protocol leaves out
          the first and the last frame, those may be missing). A folder that holds `results/` or
          `Annotations/` with the sequences in it will do too.
written:  into the results folder: global_results-<set>.csv and per-sequence_results-<set>.csv
          (DAVIS), matches-<set>.csv (unsupervised: which proposal and object a row is about),
          global_results-<set>.csv with seen and unseen categories (YouTube-VOS).

YouTube-VIS: results is results.json or its folder, data_root the official folder or a JSON file of
          the truth; global_results-<set>.csv holds the official tool's twelve numbers, over all
          classes and of each (in the classes' rows a number is missing where nothing is true).
"""

EXAMPLES = """\
data sets:
  davis_val davis_train davis_testdev      DAVIS 2017, semi-supervised
  davis2016_val davis2016_train            DAVIS 2016: all objects merged into one
  davis_unsupervised[_testdev]             DAVIS 2017/2019: up to 20 proposals, matched to objects
  youtube_vos                              seen and unseen categories; needs your own truth
  ytvis19_val ytvis21_val                  video instances: AP, AR; needs your own truth
  davis_like                               any folder with Annotations/<video>/<frame>.png

examples:
  python -m vos_jax.evaluate --dataset davis_val --results out/results --data_root data/DAVIS
  python -m vos_jax.evaluate --dataset youtube_vos --results upload --data_root my_truth \\
      --train_meta data/YouTubeVOS/train/meta.json
  python -m vos_jax.evaluate --dataset davis_like --results out --data_root my_videos \\
      --protocol unsupervised
  python -m vos_jax.evaluate --dataset ytvis21_val --results out/results.json --data_root truth.json
"""


def make_parser() -> argparse.ArgumentParser:
    """Builds the parser of the command's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m vos_jax.evaluate",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--dataset", required=True, choices=NAMED_SETS, metavar="NAME", help="see below")
    add("--results", required=True, type=Path, metavar="DIR", help="folder of result masks")
    add("--data_root", metavar="DIR", help="the official folder (default: data/DAVIS and so on)")
    add(
        "--protocol",
        choices=PROTOCOLS,
        help="score by another protocol than the data set's own: " + ", ".join(PROTOCOLS),
    )
    add("--resolution", default="480p", help="of the DAVIS annotations (default: %(default)s)")
    add("--annotations", metavar="NAME", help="name of DAVIS' folder of masks if not Annotations")
    add(
        "--all_frames",
        action="store_true",
        help="score the first and the last annotated frame too (usual only when unsupervised)",
    )
    add(
        "--skip_missing",
        action="store_true",
        help="leave out sequences that the data set lists but --data_root does not have",
    )
    add(
        "--train_meta",
        type=Path,
        metavar="FILE",
        help="meta.json of the YouTube-VOS training set, whose categories are the seen ones "
        "(default: the 65 of the official one)",
    )
    add("--unseen", metavar="A,B", help="unseen categories, instead of --train_meta")
    add("--scores_txt", action="store_true", help="write scores.txt as the DAVIS server does")
    add("--processes", type=int, metavar="N", help="how many at once (default: all cores)")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    arguments = make_parser().parse_args(argv)
    if arguments.processes is not None and arguments.processes < 1:
        raise ConfigError(f"--processes {arguments.processes}: must be 1 or more")
    if named_set(arguments.dataset).layout == "youtube_vis":
        return _video_instances(arguments)
    protocol = arguments.protocol or named_set(arguments.dataset).protocol
    sequences = list_sequences(
        arguments.dataset,
        arguments.data_root,
        resolution=arguments.resolution,
        annotations=arguments.annotations,
        images=False,
        skip_missing=arguments.skip_missing,
    )
    started = time.monotonic()
    videos = _score(arguments, sequences, protocol)
    seconds = time.monotonic() - started
    tables = _tables(arguments, sequences, videos, protocol)
    _write(tables, arguments.results)
    print(report.shown_table(videos))
    print(f"\n{tables[next(iter(tables))]}\nwritten: {', '.join(tables)} in {arguments.results}")
    print(f"{len(videos)} sequences scored in {seconds:.1f} s, protocol {protocol}")
    return 0


def _write(tables: dict[str, str], folder: Path) -> None:
    for name, text in tables.items():
        try:
            (folder / name).write_text(text)
        except OSError as error:
            raise OutputError(f"{folder / name}: cannot be written ({error.strerror})") from error


def _video_instances(arguments: argparse.Namespace) -> int:
    chosen = named_set(arguments.dataset)
    if arguments.protocol is not None:
        raise ConfigError(f"--protocol is not for {arguments.dataset}: its results are tracks")
    root = Path(arguments.data_root or chosen.root)
    path = arguments.results / "results.json" if arguments.results.is_dir() else arguments.results
    started = time.monotonic()
    truth = read_vis(annotation_file(root, chosen.split) if root.is_dir() else root)
    if not truth.annotations:
        raise MissingInputError(f"{root}: holds no annotations to score results with")
    results = read_vis_results(path, truth)
    instances = (map(Instance.of, entries) for entries in (truth.annotations, results))
    scores = video_precision(*instances, truth.categories)
    seconds = time.monotonic() - started
    name = f"global_results-{chosen.split}.csv"
    _write({name: report.precision_table(scores, truth.categories)}, path.parent)
    print("\n".join(f"{key:<9} {value:6.3f}" for key, value in scores.statistics().items()))
    print(f"\nwritten: {name} in {path.parent}")
    print(f"{len(results)} instances of {len(truth.videos)} videos scored in {seconds:.1f} s")
    return 0


def _score(arguments: argparse.Namespace, sequences: list[Sequence], protocol: str) -> dict:
    total = sum(len(sequence.annotations) for sequence in sequences)
    with tqdm(total=total, desc="scoring", unit="frame", disable=None) as bar:
        return score_sequences(
            sequences,
            arguments.results,
            protocol,
            skip_ends=False if arguments.all_frames else None,
            processes=arguments.processes or core_count(),
            progress=bar.update,
        )


def _tables(
    arguments: argparse.Namespace, sequences: list[Sequence], videos: dict, protocol: str
) -> dict[str, str]:
    part = named_set(arguments.dataset).split or arguments.dataset
    summary = report.summarise(videos)
    overall, each = f"global_results-{part}.csv", f"per-sequence_results-{part}.csv"
    tables = {overall: report.global_table(summary), each: report.sequence_table(videos)}
    if protocol == "unsupervised":
        tables[f"matches-{part}.csv"] = report.matches_table(videos)
    if protocol == "youtube_vos" and arguments.dataset == "youtube_vos":
        categories = {sequence.name: sequence.categories for sequence in sequences}
        scores = group_scores(videos, categories, _seen(arguments, categories))
        tables[overall] = report.group_table(scores)
    if arguments.scores_txt:
        tables["scores.txt"] = report.scores_text(summary)
    return tables


def _seen(arguments: argparse.Namespace, categories: dict) -> frozenset[str]:
    if arguments.unseen is not None:
        there = {category for video in categories.values() for category in video.values()}
        unseen = set(filter(None, arguments.unseen.split(",")))
        if unseen - there:
            raise ConfigError(f"--unseen: no object is of {sorted(unseen - there)}")
        return frozenset(there - unseen)
    if arguments.train_meta is not None:
        return training_categories(arguments.train_meta)
    return TRAINING_CATEGORIES


if __name__ == "__main__":
    sys.exit(run_command(main))
