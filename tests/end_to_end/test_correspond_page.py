"""The page of correspondences in a real browser, behind the real command.

The network is a stand-in that finds equal cells (an untrained one finds nothing), in pictures of
which the target is the source moved; the last test takes an untrained network.
"""

import re
import signal
import subprocess
import time

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from tests.correspond_page import ROOT, Page, serving, share_like
from tests.patch_matching import PatchMatcher, moved, noise
from tests.tiny_hodor import FAST
from tests.tiny_mask_propagation import untrained_workdir
from vos_jax.correspondence.affinity import correspondence
from vos_jax.correspondence.marks import mask_map, point_map
from vos_jax.correspondence.pictures import overlay

SIZE = (128, 192)
MOVE = (32, 48)
SOURCE = noise(SIZE)
TARGET = moved(SOURCE, *MOVE)
STAND_IN = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
from tests.correspond_page import ROOT, Page, serving, share_like
from tests.patch_matching import PatchMatcher
from vos_jax import correspond
from vos_jax.inference.loading import Loaded
sharpness = float(os.environ.get("SHARPNESS", 20))
loaded = Loaded(PatchMatcher(sharpness), {}, {"system": "a stand-in", "step": 0})
correspond.load_system = lambda workdir, step: loaded
sys.exit(correspond.main(sys.argv[1:]))
"""
MANY = range(24, 160, 16)
"""Columns to click on, one after the other, until an answer comes in time."""


@pytest.fixture(scope="module")
def browser():
    found = subprocess.run([ROOT / "scripts/browser"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found.stdout.strip())
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Paths of the source and the target."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, pixels in (("source", SOURCE), ("target", TARGET)):
        cv2.imwrite(str(folder / f"{name}.png"), pixels[..., ::-1])
    return ["--source", folder / "source.png", "--target", folder / "target.png"]


@pytest.fixture(scope="module")
def served(pictures):
    with serving("-c", STAND_IN, "--workdir", "w", "--top_k", "2", *pictures) as (_, address):
        yield address


@pytest.fixture(scope="module")
def own(pictures):
    """A page whose pictures a test may replace."""
    with serving("-c", STAND_IN, "--workdir", "w", *pictures) as (_, address):
        yield address


@pytest.fixture
def page(browser, served):
    opened = Page(browser, served).ready()
    yield opened
    opened.tab.close()


def cell_after_move(x, y):
    """Row and column of the cell that a pixel's cell moved to."""
    return ((y + MOVE[0]) % SIZE[0] // 16, (x + MOVE[1]) % SIZE[1] // 16)


def heat_of(weights):
    found = correspondence(PatchMatcher(), {}, SOURCE, TARGET)
    return found.heat_map(weights(found.source))


def test_both_pictures_are_shown_as_they_are_before_the_first_click(page, tmp_path):
    assert page.tab.locator("#system").text_content() == "a stand-in of w, step 0"
    assert share_like(page.pixels("source"), SOURCE) == 1
    assert share_like(page.pixels("target"), TARGET) == 1
    page.tab.screenshot(path=tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_a_click_is_seen_where_the_picture_moved(page):
    before = page.target.screenshot()
    page.click(40, 24)
    x, y = page.strongest()
    assert (y // 16, x // 16) == cell_after_move(40, 24)
    drawn = page.pixels()
    heat = heat_of(lambda geometry: point_map(40, 24, geometry))
    assert share_like(drawn, overlay(TARGET, heat)) > 0.95
    redder = cv2.blur((drawn - 0.7 * TARGET)[..., 0], (9, 9))
    row, column = np.unravel_index(redder.argmax(), SIZE)
    assert (row // 16, column // 16) == cell_after_move(40, 24)
    assert page.target.screenshot() != before
    assert page.complaints == []


def test_another_click_moves_the_heat(page):
    page.click(40, 24)
    page.strongest()
    first, text = page.pixels(), page.status.text_content()
    page.click(120, 80)
    expect(page.status).not_to_have_text(text)
    assert cell_after_move(120, 80) == tuple(i // 16 for i in page.strongest()[::-1])
    assert share_like(page.pixels(), first) < 0.99


def test_a_click_is_answered_within_a_second(page):
    """One of nine does, since other programs share the machine; the page says so too."""
    taken = [np.inf]
    for x in MANY:
        if min(taken) < 1:
            break
        page.tab.locator("#clear").click()
        expect(page.status).to_contain_text("Pick something")
        place = page.at(x, 40)
        started = time.perf_counter()
        page.tab.mouse.click(*place)
        page.strongest()
        taken.append(time.perf_counter() - started)
        assert page.seconds() <= taken[-1] + 0.01
    assert min(taken) < 1, taken


def test_dragging_carries_the_point_along(page):
    page.tab.mouse.move(*page.at(20, 20))
    page.tab.mouse.down()
    page.tab.mouse.move(*page.at(100, 60), steps=5)
    page.tab.mouse.up()
    expected = cell_after_move(100, 60)
    place = re.compile(rf"at {expected[1] * 16 + 7}|at {expected[1] * 16 + 8}")
    expect(page.status).to_contain_text(place)
    page.tab.mouse.move(*page.at(20, 100))
    assert tuple(i // 16 for i in page.strongest()[::-1]) == expected


def test_a_painted_mask_is_seen_where_the_picture_moved(page):
    page.tab.get_by_text("Paint a mask").click()
    page.tab.mouse.move(*page.at(40, 40))
    page.tab.mouse.down()
    page.tab.mouse.move(*page.at(100, 40), steps=10)
    page.tab.mouse.up()
    page.strongest()
    painted = (page.pixels("source")[..., 0] - 0.3 * SOURCE[..., 0]) > 150
    assert painted[40, 40:100].all()
    assert 40 * 4 < painted.sum() < 128 * 192 / 8
    heat = heat_of(lambda geometry: mask_map(painted, geometry))
    assert page.comes_to_show(overlay(TARGET, heat), share=0.9)


def test_the_switch_changes_which_cells_are_read(browser, pictures):
    words = ["--workdir", "w", "--top_k", "2", *pictures]
    with serving("-c", STAND_IN, *words, environment={"SHARPNESS": "0.1"}) as (_, address):
        opened = Page(browser, address).ready()
        opened.click(40, 24)
        opened.strongest()
        for name, top_k in (("top_k=1", 2), ("top_k=0", 0)):
            with opened.tab.expect_response(re.compile(name)):
                opened.tab.get_by_text("Best 2 only").click()
            found = correspondence(PatchMatcher(0.1), {}, SOURCE, TARGET, top_k)
            heat = found.heat_map(point_map(40, 24, found.source))
            assert opened.comes_to_show(overlay(TARGET, heat))
        opened.tab.close()


def test_a_place_that_is_nobodys_best_is_said_so(browser, pictures, tmp_path):
    """All cells of a flat picture are read from one and the same cell."""
    flat = tmp_path / "flat.png"
    cv2.imwrite(str(flat), np.full((*SIZE, 3), 128, np.uint8))
    words = ["--workdir", "w", "--top_k", "1", *pictures[:2], "--target", flat]
    with serving("-c", STAND_IN, *words) as (_, address):
        opened = Page(browser, address).ready()
        opened.tab.get_by_text("Best 1 only").click()
        found = correspondence(PatchMatcher(), {}, SOURCE, cv2.imread(str(flat)), 1)
        x = 8 if found.affinity[0].max() == 0 else 24
        opened.click(x, 8)
        expect(opened.status).to_contain_text("has this place among its best 1")
        assert opened.comes_to_show(overlay(cv2.imread(str(flat)), np.zeros(SIZE)))
        opened.tab.close()


def test_everything_is_reached_with_the_keyboard(page):
    reached = set()
    for _ in range(12):
        page.tab.keyboard.press("Tab")
        focused = page.tab.locator(":focus")
        if focused.count():
            reached.add(focused.get_attribute("id") or focused.get_attribute("name"))
    assert reached >= {"mode", "top_k", "clear", "source", "source_file", "target_file"}


def test_a_point_is_picked_with_the_keyboard(page):
    page.source.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowDown", "Enter"):
        page.tab.keyboard.press(key)
    x, y = 96 - 32, 64 - 16 + 1
    assert tuple(i // 16 for i in page.strongest()[::-1]) == cell_after_move(x, y)
    page.tab.keyboard.press("Escape")
    expect(page.status).to_contain_text("Pick something")
    assert share_like(page.pixels(), TARGET) == 1


def test_a_mask_is_painted_with_the_keyboard(page):
    page.tab.get_by_label("Paint a mask").focus()
    page.tab.keyboard.press("ArrowRight")
    page.tab.locator("input[value=mask]").check(force=True)
    page.source.focus()
    page.tab.keyboard.press(" ")
    x, y = page.strongest()
    assert abs(x - (96 + MOVE[1])) <= 16 and abs(y - (64 + MOVE[0])) <= 16


@pytest.mark.parametrize("width", [360, 800, 1920])
def test_the_page_fits_its_window(page, width):
    page.tab.set_viewport_size({"width": width, "height": 700})
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= width
    page.click(40, 24)
    x, y = page.strongest()
    assert (y // 16, x // 16) == cell_after_move(40, 24)


def test_nothing_is_asked_of_other_machines(page, served):
    page.click(40, 24)
    page.strongest()
    assert len(page.asked) >= 6
    assert [url for url in page.asked if not url.startswith(served)] == []


def test_other_pictures_are_uploaded(browser, own, tmp_path):
    opened = Page(browser, own).ready()
    opened.click(40, 24)
    opened.strongest()
    cv2.imwrite(str(tmp_path / "other.png"), SOURCE[..., ::-1].repeat(2, axis=0).repeat(2, axis=1))
    opened.uploads("target", tmp_path / "other.png")
    expect(opened.tab.locator("#target_name")).to_have_text("other.png · 192 × 128")
    opened.ready().click(40, 24)
    x, y = opened.strongest()
    assert (y // 16, x // 16) == (1, 2)
    opened.tab.close()


def test_bad_uploads_are_told_in_words_and_change_nothing(browser, own, tmp_path):
    opened = Page(browser, own).ready()
    (tmp_path / "text.jpg").write_text("no picture")
    opened.uploads("source", tmp_path / "text.jpg")
    expect(opened.error).to_have_text("text.jpg: is no picture; choose a JPEG or PNG")
    assert share_like(opened.pixels("source"), SOURCE) == 1
    (tmp_path / "large.jpg").write_bytes(bytes(33 << 20))
    opened.uploads("source", tmp_path / "large.jpg")
    expect(opened.error).to_have_text("large.jpg is larger than 32 MB.")
    opened.click(40, 24)
    opened.strongest()
    expect(opened.error).to_be_hidden()
    opened.tab.close()


def test_a_page_starts_empty_and_says_when_its_program_is_gone(browser, pictures):
    with serving("-c", STAND_IN, "--workdir", "w") as (process, address):
        opened = Page(browser, address)
        expect(opened.status).to_have_text("Choose two pictures")
        expect(opened.tab.get_by_text("No picture yet")).to_have_count(2)
        opened.uploads("source", pictures[1])
        expect(opened.status).to_have_text("Choose two pictures")
        opened.uploads("target", pictures[3])
        opened.ready().click(40, 24)
        opened.strongest()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        opened.click(120, 80)
        expect(opened.error).to_contain_text("does not answer. Start it again")
        opened.tab.close()


def test_an_untrained_network_answers_within_a_second(browser, pictures, tmp_path):
    """Mask-Propagation itself, small: its heat means nothing yet, and is there in time."""
    workdir = untrained_workdir(tmp_path / "untrained")
    words = ["-m", "vos_jax.correspond", "--workdir", workdir, *pictures]
    with serving(*words, environment=FAST) as (_, address):
        opened = Page(browser, address).ready()
        expect(opened.tab.locator("#system")).to_contain_text("untrained, step 0")
        taken = [np.inf]
        for x in MANY:
            if min(taken) < 1:
                break
            opened.tab.locator("#clear").click()
            opened.click(x, 40)
            opened.strongest()
            taken.append(opened.seconds())
            assert share_like(opened.pixels(), TARGET) < 0.5
        opened.tab.screenshot(path=tmp_path / "untrained.png")
        opened.tab.close()
    assert min(taken) < 1, taken
