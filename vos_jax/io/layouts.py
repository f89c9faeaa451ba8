"""The official folder layouts of video data sets, as lists of sequences with their files."""

import dataclasses
import json
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from vos_jax.core.errors import AnnotationError, ConfigError, MissingInputError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DAVIS_YEARS = (2016, 2017)
MOST_NAMED = 20
"""Names that an error lists before it ends in dots."""


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


@dataclasses.dataclass(frozen=True)
class VideoFolder:
    """Where the files of one video lie. Small, however many there are.

    Attributes:
        name: the video's name in its data set.
        images: folder of its frames; None lists the masks alone.
        masks: folder of its masks; need not exist where there are images.
        categories: as in `Sequence`.
        listed: as in `Sequence`; frames before the first and after the last are left out.
    """

    name: str
    images: Path | None
    masks: Path
    categories: Mapping[int, str] = dataclasses.field(default_factory=dict)
    listed: tuple[str, ...] = ()

    def sequence(self) -> Sequence:
        """Lists the files.

        Raises:
            MissingInputError: no frame, a listed frame is missing, or a mask has no frame.
        """
        masks = files_by_stem(self.masks, (".png",)) if self.masks.is_dir() else {}
        if self.images is None:
            if not masks:
                raise MissingInputError(f"{self.masks}: no PNG mask in it")
            found = tuple(masks), (), tuple(masks.values())
        else:
            frames = self._frames()
            alone = sorted(masks.keys() - frames.keys())
            if alone:
                raise MissingInputError(
                    f"{masks[alone[0]]}: {self.images} has no frame of that name "
                    f"({len(alone)} such masks)"
                )
            found = tuple(frames), tuple(frames.values()), tuple(map(masks.get, frames))
        return Sequence(self.name, *found, self.categories, self.listed)

    def _frames(self) -> dict[str, Path]:
        frames = files_by_stem(self.images)
        if not frames:
            raise MissingInputError(f"{self.images}: no frame (JPEG or PNG) in it")
        absent = [stem for stem in self.listed if stem not in frames]
        if absent:
            raise MissingInputError(
                f"{self.images}: no frame {absent[0]}, which meta.json lists "
                f"({len(absent)} such frames); unpack the data set again"
            )
        if not self.listed:
            return frames
        first, last = self.listed[0], self.listed[-1]
        return {stem: path for stem, path in frames.items() if first <= stem <= last}


def davis(root: str | Path, year: int, split: str, **options) -> list[Sequence]:
    """The sequences of `davis_folders`, listed; arguments and errors as there."""
    return [folder.sequence() for folder in davis_folders(root, year, split, **options)]


def davis_folders(
    root: str | Path,
    year: int,
    split: str,
    *,
    resolution: str = "480p",
    unsupervised: bool = False,
    annotations: str | None = None,
    images: bool = True,
    skip_missing: bool = False,
) -> list[VideoFolder]:
    """Finds a DAVIS set: {JPEGImages,Annotations}/480p/<sequence>/00000.{jpg,png} and so on.

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
        MissingInputError: a folder or list is missing; names it.
    """
    root = _folder(Path(root), "the root of a DAVIS data set")
    if year not in DAVIS_YEARS:
        raise ConfigError(f"DAVIS of the year {year} is unknown; choose from {DAVIS_YEARS}")
    names = davis_names(root, year, split, unsupervised)
    masks = annotations or ("Annotations_unsupervised" if unsupervised else "Annotations")
    mask_root = root / masks / resolution
    image_root = root / "JPEGImages" / resolution if images else None
    return _folders(names, image_root, mask_root, skip_missing)


def davis_names(root: str | Path, year: int, split: str, unsupervised: bool = False) -> list[str]:
    """The names that a DAVIS set lists, on disk or not; arguments as of `davis_folders`.

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


def youtube_vos(root: str | Path, split: str = "valid", **options) -> list[Sequence]:
    """The sequences of `youtube_vos_folders`, listed; arguments and errors as there."""
    return [folder.sequence() for folder in youtube_vos_folders(root, split, **options)]


def youtube_vos_folders(
    root: str | Path,
    split: str,
    *,
    all_frames: bool = False,
    images: bool = True,
    skip_missing: bool = False,
    names: Collection[str] | None = None,
) -> list[VideoFolder]:
    """Finds a YouTube-VOS set: <split>/{JPEGImages,Annotations}/<video>/*, <split>/meta.json.

    Args:
        root: the folder that holds the splits, or the folder of the split itself.
        split: train, valid or test.
        all_frames: images from <split>_all_frames (beside the splits or in all_frames/), from the
            first frame to the last that meta.json lists; masks as before.
        images: False lists the masks alone, and needs no JPEGImages.
        skip_missing: leave out listed videos that are not on disk instead of failing.
        names: these videos only.

    Returns:
        Videos in the order of their names.

    Raises:
        MissingInputError: a folder, meta.json or one of `names` is missing; names it.
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
    chosen = _chosen(sorted(meta), names, folder / "meta.json")
    found = _folders(chosen, image_root if images else None, folder / "Annotations", skip_missing)
    return [
        dataclasses.replace(
            video, categories=_categories(meta[video.name]), listed=_listed(meta[video.name])
        )
        for video in found
    ]


def training_categories(path: str | Path) -> frozenset[str]:
    """The categories of all objects of a YouTube-VOS meta.json.

    Raises:
        MissingInputError: there is no such file.
        AnnotationError: it is not what the official one is.
    """
    videos = _meta(Path(path)).values()
    return frozenset(category for objects in videos for category in _categories(objects).values())


def davis_like(root: str | Path, **options) -> list[Sequence]:
    """The sequences of `davis_like_folders`, listed; arguments and errors as there."""
    return [folder.sequence() for folder in davis_like_folders(root, **options)]


def davis_like_folders(
    root: str | Path, *, images: bool = True, names: Collection[str] | None = None
) -> list[VideoFolder]:
    """Finds anybody's videos kept as JPEGImages/<video>/* and Annotations/<video>/*.

    Args:
        root: the folder that holds both; masks may be given for some frames only, or for none.
            As in DAVIS, a folder `480p` may stand between them and the videos.
        images: False lists the masks alone, and needs no JPEGImages.
        names: these videos only.

    Raises:
        MissingInputError: a folder or one of `names` is missing; names it.
    """
    root = _folder(Path(root), "the root of a data set in DAVIS layout")
    named_by = _folder(root / ("JPEGImages" if images else "Annotations"), "the videos' folders")
    inner = ""
    there = _subfolders(named_by)
    if there == ["480p"] and _subfolders(named_by / "480p"):
        inner, there = "480p", _subfolders(named_by / "480p")
    if not there:
        raise MissingInputError(f"{named_by}: no folder of a video in it; one folder per video")
    chosen = _chosen(there, names, named_by)
    image_root = root / "JPEGImages" / inner if images else None
    return _folders(chosen, image_root, root / "Annotations" / inner, skip_missing=False)


def files_by_stem(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[str, Path]:
    """The files of a folder by name without suffix, in order of name; hidden files left out."""
    names = sorted(
        name
        for name in os.listdir(folder)
        if name.lower().endswith(suffixes) and not name.startswith(".")
    )
    return {os.path.splitext(name)[0]: folder / name for name in names}


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


def _subfolders(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        folders = [entry.name for entry in entries if entry.is_dir()]
    return sorted(name for name in folders if not name.startswith("."))


def _chosen(there: list[str], names: Collection[str] | None, source: Path) -> list[str]:
    """The videos of `there` that are among `names`."""
    if names is None:
        return there
    unknown = sorted(set(names) - set(there))
    if unknown:
        raise MissingInputError(
            f"{source}: {len(unknown)} of {len(names)} chosen videos are not there: "
            f"{_some(unknown)}"
        )
    return [name for name in there if name in set(names)]


def _some(names: list[str]) -> str:
    """The first names of a long list."""
    return ", ".join(names[:MOST_NAMED]) + (", ..." if len(names) > MOST_NAMED else "")


def _folders(
    names: list[str], image_root: Path | None, mask_root: Path, skip_missing: bool
) -> list[VideoFolder]:
    """The folders of videos, those of their images (or masks, if None) being there."""
    root = _folder(mask_root if image_root is None else image_root, "the folders of the videos")
    there = set(_subfolders(root))
    missing = [name for name in names if name not in there]
    if missing and (not skip_missing or len(missing) == len(names)):
        raise MissingInputError(
            f"{root}: no folder for {len(missing)} of {len(names)} listed sequences: "
            f"{_some(missing)}; complete the data set or ask to skip missing ones"
        )
    return [
        VideoFolder(name, None if image_root is None else image_root / name, mask_root / name)
        for name in names
        if name in there
    ]
