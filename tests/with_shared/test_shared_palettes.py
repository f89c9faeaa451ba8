"""Our palettes against those of the official HODOR and STEm-Seg releases."""

import json
from pathlib import Path

import pytest

from vos_jax.core.labels import DAVIS_PALETTE, YOUTUBE_VOS_PALETTE

PALETTES = Path(__file__).parents[3] / "shared/parity/hodor/palettes.json"


@pytest.mark.parametrize(
    "name, ours", [("davis", DAVIS_PALETTE), ("youtube_vos", YOUTUBE_VOS_PALETTE)]
)
def test_palette_is_the_official_one(name, ours):
    assert ours.tolist() == json.loads(PALETTES.read_text())[name]


def test_stem_seg_draws_in_the_colours_of_davis():
    colours = json.loads((PALETTES.parents[1] / "vishv/color_map.json").read_text())["colors"]
    assert DAVIS_PALETTE.tolist() == colours
