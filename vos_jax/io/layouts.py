"""The official folder layouts of video data sets, as lists of sequences with their files."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from vos_jax.core.errors import AnnotationError, ConfigError, MissingInputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DAVIS_YEARS = (2016, 2017)


@dataclasses.dataclass(frozen=True)
class Sequence:
    """The files of one video.

    Attributes:
        name: the video's name in its data set.
        stems: names of its frames without suffix, in order.
        frames: image file of each frame; empty when listed without images.
        annotations: mask file of each frame, None where there is none.
        categories: category by object id (YouTube-VOS).
        listed: stems that meta.json lists: those an upload must hold (YouTube-VOS).
    """

    name: str
    stems: tuple[str, ...]
    frames: tuple[Path, ...]
    annotations: tuple[Path | None, ...]
    categories: Mapping[int, str] = dataclasses.field(default_factory=dict)
    listed: tuple[str, ...] = ()


def davis(
    root: str | Path,
    year: int,
    split: str,
    *,
    resolution: str = "480p",
    unsupervised: bool = False,
    annotations: str | None = None,
    images: bool = True,
    skip_missing: bool = False,
) -> list[Sequence]:
    """Lists a DAVIS set: {JPEGImages,Annotations}/480p/<sequence>/00000.{jpg,png} and so on.

    Args:
        root: the folder that holds JPEGImages, Annotations and ImageSets.
        year: 2016 (one object) or 2017.
        split: train, val, test-dev or test-challenge; names come from ImageSets/<year>/<split>.txt
            (2016 also ImageSets/480p, whose lines are pairs of files), in that order.
        resolution: 480p, 1080p or Full-Resolution.
        unsupervised: masks from Annotations_unsupervised; test sets listed in ImageSets/2019.
        annotations: folder of masks if it is called otherwise.
        images: False lists the masks alone, and needs no JPEGImages.
        skip_missing: leave out listed sequences that are not on disk instead of failing.

    Raises:
        ConfigError: an unknown year.
        MissingInputError: a folder, list or frame is missing; names it.
    """
    root = _folder(Path(root), "the root of a DAVIS data set")
    if year not in DAVIS_YEARS:
        raise ConfigError(f"DAVIS of the year {year} is unknown; choose from {DAVIS_YEARS}")
    names = davis_names(root, year, split, unsupervised)
    masks = annotations or ("Annotations_unsupervised" if unsupervised else "Annotations")
    mask_root = root / masks / resolution
    image_root = root / "JPEGImages" / resolution if images else None
    return _sequences(names, image_root, mask_root, skip_missing)


def davis_names(root: str | Path, year: int, split: str, unsupervised: bool = False) -> list[str]:
    """The names that a DAVIS set lists, on disk or not; arguments as of `davis`.

    Raises:
        MissingInputError: the list is missing or empty.
    """
    sets = Path(root) / "ImageSets"
    places = [sets / str(year), sets / "480p"] if year == 2016 else [sets / str(year)]
    if unsupervised and split.startswith("test"):
        places = [sets / "2019"]
    lists = [place / f"{split}.txt" for place in places if (place / f"{split}.txt").is_file()]
    if not lists:
        there = sorted(str(path.relative_to(sets)) for path in sets.glob("*/*.txt"))
        raise MissingInputError(
            f"{places[0] / f'{split}.txt'}: no such list of sequences; there are {there}"
        )
    lines = lists[0].read_text().split("\n")
    entries = [line.split()[0] for line in lines if line.strip()]
    names = [Path(entry).parent.name if "/" in entry else entry for entry in entries]
    if not names:
        raise MissingInputError(f"{lists[0]}: the list of sequences is empty")
    return list(dict.fromkeys(names))


def youtube_vos(
    root: str | Path,
    split: str = "valid",
    *,
    all_frames: bool = False,
    images: bool = True,
    skip_missing: bool = False,
) -> list[Sequence]:
    """Lists a YouTube-VOS set: <split>/{JPEGImages,Annotations}/<video>/*, <split>/meta.json.

    Args:
        root: the folder that holds the splits, or the folder of the split itself.
        split: train, valid or test.
        all_frames: images from <split>_all_frames (beside the splits or in all_frames/), from the
            first frame to the last that meta.json lists; masks as before.
        images: False lists the masks alone, and needs no JPEGImages.
        skip_missing: leave out listed videos that are not on disk instead of failing.

    Returns:
        Videos in the order of their names.

    Raises:
        MissingInputError: a folder, meta.json or a frame is missing; names it.
        AnnotationError: meta.json is not what the official one is.
    """
    root = _folder(Path(root), "the root of a YouTube-VOS data set")
    folder = root / split if (root / split).is_dir() else root
    meta = _meta(folder / "meta.json")
    image_root = folder / "JPEGImages"
    if all_frames:
        inner = Path(f"{split}_all_frames") / "JPEGImages"
        nested = root / "all_frames" / inner
        image_root = nested if nested.is_dir() else root / inner
    listed = {name: _listed(objects) for name, objects in meta.items()}
    sequences = _sequences(
        sorted(meta), image_root if images else None, folder / "Annotations", skip_missing, listed
    )
    return [
        dataclasses.replace(
            sequence,
            categories=_categories(meta[sequence.name]),
            listed=listed[sequence.name],
        )
        for sequence in sequences
    ]


def training_categories(path: str | Path) -> frozenset[str]:
    """The categories of all objects of a YouTube-VOS meta.json.

    Raises:
        MissingInputError: there is no such file.
        AnnotationError: it is not what the official one is.
    """
    videos = _meta(Path(path)).values()
    return frozenset(category for objects in videos for category in _categories(objects).values())


def davis_like(root: str | Path, *, images: bool = True) -> list[Sequence]:
    """Lists anybody's videos kept as JPEGImages/<video>/* and Annotations/<video>/*.

    Args:
        root: the folder that holds both; masks may be given for some frames only, or for none.
        images: False lists the masks alone, and needs no JPEGImages.

    Raises:
        MissingInputError: a folder or frame is missing; names it.
    """
    root = _folder(Path(root), "the root of a data set in DAVIS layout")
    image_root = root / "JPEGImages" if images else None
    named_by = _folder(image_root or root / "Annotations", "the folders of the videos")
    names = sorted(entry.name for entry in named_by.iterdir() if entry.is_dir())
    if not names:
        raise MissingInputError(f"{named_by}: no folder of a video in it; one folder per video")
    return _sequences(names, image_root, root / "Annotations", skip_missing=False)


def files_by_stem(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """The files of a folder by name without suffix, in order of name; hidden files left out."""
    files = sorted(
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() in suffixes and not entry.name.startswith(".")
    )
    return {entry.stem: entry for entry in files}


def _folder(path: Path, what: str) -> Path:
    if not path.is_dir():
        raise MissingInputError(f"{path}: no such folder; it should be {what}")
    return path


def _meta(path: Path) -> dict[str, dict[int, dict]]:
    try:
        videos = json.loads(path.read_text())["videos"]
        return {
            name: {int(i): dict(entry) for i, entry in video["objects"].items()}
            for name, video in videos.items()
        }
    except FileNotFoundError as error:
        raise MissingInputError(
            f"{path}: not there; it lists the videos and the categories of their objects"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise AnnotationError(
            f"{path}: is not a YouTube-VOS meta.json ({error!r}); download it again"
        ) from error


def _categories(objects: dict[int, dict]) -> dict[int, str]:
    return {i: entry["category"] for i, entry in objects.items() if "category" in entry}


def _listed(objects: dict[int, dict]) -> tuple[str, ...]:
    return tuple(sorted({stem for entry in objects.values() for stem in entry.get("frames", ())}))


def _sequences(
    names: list[str],
    image_root: Path | None,
    mask_root: Path,
    skip_missing: bool,
    spans: Mapping[str, tuple[str, ...]] | None = None,
) -> list[Sequence]:
    root = _folder(mask_root if image_root is None else image_root, "the folders of the videos")
    missing = [name for name in names if not (root / name).is_dir()]
    if missing and (not skip_missing or len(missing) == len(names)):
        raise MissingInputError(
            f"{root}: no folder for {len(missing)} of {len(names)} listed sequences: "
            f"{', '.join(missing)}; complete the data set or ask to skip missing ones"
        )
    spans = spans or {}
    return [
        _sequence(name, image_root, mask_root, spans.get(name, ()))
        for name in names
        if name not in missing
    ]


def _sequence(
    name: str, image_root: Path | None, mask_root: Path, span: tuple[str, ...]
) -> Sequence:
    folder = mask_root / name
    masks = files_by_stem(folder, (".png",)) if folder.is_dir() else {}
    if image_root is None:
        if not masks:
            raise MissingInputError(f"{folder}: no PNG mask in it")
        return Sequence(name, tuple(masks), (), tuple(masks.values()))
    frames = files_by_stem(image_root / name)
    if span:
        frames = {stem: path for stem, path in frames.items() if span[0] <= stem <= span[-1]}
    if not frames:
        raise MissingInputError(f"{image_root / name}: no frame (JPEG or PNG) in it")
    alone = sorted(set(masks) - set(frames))
    if alone:
        raise MissingInputError(
            f"{masks[alone[0]]}: {image_root / name} has no frame of that name "
            f"({len(alone)} such masks)"
        )
    annotations = tuple(masks.get(stem) for stem in frames)
    return Sequence(name, tuple(frames), tuple(frames.values()), annotations)
