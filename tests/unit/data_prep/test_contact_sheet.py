"""The picture of a prepared set: which frames, what is drawn, what the captions say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_prep import contact_sheet, inspect
from data_prep.contact_sheet import GAP, LINE, PAPER, draw_sheet, evenly, video_row
from tests.drawn_sets import CATEGORIES, GREY, DrawnVideo, drawn
from vos_jax.core.labels import DAVIS_PALETTE


def sheet(rows, side: int = 60) -> np.ndarray:
    """The pixels of a sheet; at this side, frames of 40x60 keep their size."""
    return np.array(draw_sheet(rows, CATEGORIES, side))


def tile_of(pixels: np.ndarray, row: int, column: int) -> np.ndarray:
    """The frame of a tile of a sheet of 40x60 frames, without its caption."""
    top = GAP + row * (40 + 2 * LINE + GAP)
    left = GAP + column * (60 + GAP)
    return pixels[top : top + 40, left : left + 60]


def tinted(colour: int) -> np.ndarray:
    """What a grey pixel inside an object looks like."""
    return GREY / 2 + DAVIS_PALETTE[colour] / 2


class TestChoosing:
    """Which frames come on the sheet."""

    @given(st.integers(0, 200), st.integers(1, 30))
    def test_evenly_spaced(self, count, wanted):
        chosen = evenly(count, wanted)
        assert len(chosen) == min(count, wanted)
        assert chosen == sorted(set(chosen))
        assert set(chosen) <= set(range(count))
        if len(chosen) > 1:
            steps = np.diff(chosen)
            assert (chosen[0], chosen[-1]) == (0, count - 1)
            assert steps.max() - steps.min() <= 1

    @pytest.mark.parametrize(
        ("annotated", "wanted", "chosen"),
        [
            ("x....x....x", 3, [0, 5, 10]),
            ("x....x....x", 2, [0, 10]),
            ("x....x....x", 4, [0, 3, 7, 10]),
            (".x.x.x.x...", 4, [1, 3, 5, 7]),
            ("...", 2, [0, 2]),
            ("x", 5, [0]),
            (".x", 5, [0, 1]),
        ],
    )
    def test_annotated_frames_where_there_are_enough(self, tmp_path, annotated, wanted, chosen):
        boxes = tuple({1: (0, 0, 5, 5)} if mark == "x" else None for mark in annotated)
        records = drawn(tmp_path, DrawnVideo("before", (None,)), DrawnVideo("a", boxes))
        assert [place[1:] for place in video_row(records, 1, wanted)] == [(1, t) for t in chosen]

    def test_stills_fill_rows_and_videos_have_their_own(self, tmp_path):
        stills = drawn(tmp_path / "stills", *(DrawnVideo(str(n), ({},)) for n in range(9)))
        rows = inspect.sheet_rows(stills, 2, 4, None)
        assert [[place[1] for place in row] for row in rows] == [[0, 1, 2, 3], [5, 6, 7, 8]]
        assert [[place[1] for place in row] for row in inspect.sheet_rows(stills, 2, 4, "7")] == [
            [7]
        ]
        videos = drawn(tmp_path / "videos", DrawnVideo("a", ({},)), DrawnVideo("b", ({},) * 3))
        rows = inspect.sheet_rows(videos, 2, 2, None)
        assert [[place[1:] for place in row] for row in rows] == [[(0, 0)], [(1, 0), (1, 2)]]


class TestSheet:
    """The pixels of the picture."""

    def test_masks_are_drawn_in_the_colours_of_their_ids(self, tmp_path):
        boxes = ({3: (5, 5, 20, 20), 12: (20, 30, 35, 50)}, {12: (5, 30, 20, 50)})
        pixels = sheet([video_row(drawn(tmp_path, DrawnVideo("a", boxes)), 0, 2)])
        assert pixels.shape == (40 + 2 * LINE + 2 * GAP, 2 * 60 + 3 * GAP, 3)
        first, second = tile_of(pixels, 0, 0), tile_of(pixels, 0, 1)
        for tile, where, colour in [
            (first, (12, 12), 3),
            (first, (27, 40), 12),
            (second, (12, 40), 12),
        ]:
            np.testing.assert_allclose(tile[where], tinted(colour), atol=1)
        for tile, where in [(first, (2, 2)), (first, (30, 12)), (second, (27, 40))]:
            np.testing.assert_array_equal(tile[where], [GREY] * 3)
        assert (first[5, 5:20] == DAVIS_PALETTE[3]).all()

    def test_overlapping_objects_all_show_and_the_small_one_lies_on_top(self, tmp_path):
        boxes = {10**12: (10, 10, 20, 20), 55: (5, 5, 35, 55), 900: (8, 15, 30, 50)}
        video = DrawnVideo("a", (boxes,), overlapping=True)
        tile = tile_of(sheet([video_row(drawn(tmp_path, video), 0, 1)]), 0, 0)
        large, middle, small = (DAVIS_PALETTE[rank] / 1.0 for rank in (1, 2, 3))
        np.testing.assert_allclose(tile[32, 45], GREY / 2 + large / 2, atol=1)
        np.testing.assert_allclose(tile[25, 40], GREY / 4 + large / 4 + middle / 2, atol=2)
        np.testing.assert_allclose(
            tile[15, 17], GREY / 8 + large / 8 + middle / 4 + small / 2, atol=2
        )
        assert (tile[10, 10:20] == DAVIS_PALETTE[3]).all()

    def test_an_id_keeps_its_colour_through_the_video(self, tmp_path):
        """Also where others leave, so that its place in the frame changes."""
        box, other = (5, 5, 20, 20), (22, 30, 35, 50)
        video = DrawnVideo("a", ({40: other, 70: box}, {70: box}), overlapping=True)
        pixels = sheet([video_row(drawn(tmp_path, video), 0, 2)])
        for column in (0, 1):
            np.testing.assert_allclose(tile_of(pixels, 0, column)[12, 12], tinted(2), atol=1)

    @pytest.mark.parametrize("size", [(40, 60), (60, 40), (400, 600), (10, 15), (1, 300)])
    def test_frames_of_any_size_fit_their_tile(self, tmp_path, size):
        box = (0, 0, size[0], size[1])
        records = drawn(tmp_path, DrawnVideo("a", ({1: box},), size))
        pixels = sheet([video_row(records, 0, 1)])
        height, width = (max(1, round(60 * side / max(size))) for side in size)
        assert pixels.shape == (height + 2 * LINE + 2 * GAP, 60 + 2 * GAP, 3)
        tile = pixels[GAP : GAP + height, GAP : GAP + width].astype(int)
        assert (abs(tile - PAPER) > 8).any(axis=2).all()
        assert (pixels[GAP : GAP + height, GAP + width :] == PAPER).all()

    def test_captions_show_names_and_the_colours_of_ids(self, tmp_path):
        box = (5, 5, 20, 20)
        videos = DrawnVideo("a", ({3: box}, None, {})), DrawnVideo("b", ({3: box, 5: box},))
        records = drawn(tmp_path, *videos)
        pixels = sheet([video_row(records, number, 3) for number in (0, 1)], side=150)
        top, width = GAP + 100, 150

        def caption(row, column):
            begin = top + row * (100 + 2 * LINE + GAP)
            left = GAP + column * (width + GAP)
            return pixels[begin : begin + 2 * LINE, left : left + width].reshape(2, LINE, width, 3)

        for row, column, colours in [(0, 0, {3}), (0, 1, set()), (0, 2, set()), (1, 0, {3, 5})]:
            name, ids = caption(row, column)
            assert (name != PAPER).any() and (ids != PAPER).any()
            found = {c for c in range(1, 8) if (ids == DAVIS_PALETTE[c]).all(-1).sum() > 40}
            assert found == colours
        assert (caption(0, 1)[1] != caption(0, 2)[1]).any()
        assert (caption(0, 0)[0] != caption(1, 0)[0]).any()
        assert (pixels[top + 138 :, GAP + width :] == PAPER).all()

    @pytest.mark.parametrize("width", range(100, 400, 20))
    def test_ids_that_do_not_fit_are_counted(self, monkeypatch, width):
        written = []
        real = contact_sheet.ImageDraw.ImageDraw.text

        def text(self, xy, words, fill, font):
            written.append((words, xy[0] + self.textlength(words, font)))
            real(self, xy, words, fill, font)

        monkeypatch.setattr(contact_sheet.ImageDraw.ImageDraw, "text", text)
        tile = Image.new("RGB", (width, LINE))
        words = [(f"{number} lamp", (9, 9, 9)) for number in range(1000, 1020)]
        contact_sheet._write_ids(tile, 0, words)
        *shown, (more, end) = written
        assert [word for word, _ in shown] == [word for word, _ in words[: len(shown)]]
        assert more == f"+{len(words) - len(shown)}"
        assert len(shown) >= width // 100 and end <= width
