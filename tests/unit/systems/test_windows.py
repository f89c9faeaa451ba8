"""The windowed driver: streamed windows are those of the whole video, whatever its length."""

import numpy as np
import pytest

from tests.toy_systems import Toy
from tests.toy_windows import ToyWindows, blocks
from vos_jax.core.errors import ConfigError, VideoError
from vos_jax.systems.tracks import TrackBook
from vos_jax.systems.windows import (
    WindowStream,
    cluster_window,
    encode_frames,
    read_window,
    segment_windows,
    windows,
)

PARAMS = {"scale": np.float32(1)}
SIZE = (32, 48)


@pytest.mark.parametrize("length", range(1, 30))
@pytest.mark.parametrize("size, overlap", [(8, 4), (8, 2), (4, 3), (2, 1)])
def test_windows_cover_the_video_and_overlap(length, size, overlap):
    found = windows(length, size, overlap)
    assert {len(window) for window in found} == {size}
    assert sorted({frame for window in found for frame in window}) == list(range(length))
    assert found[-1][-1] == length - 1
    for before, after in zip(found, found[1:], strict=False):
        assert len(set(before) & set(after)) >= overlap
    if length >= size:
        assert all(np.diff(window).tolist() == [1] * (size - 1) for window in found)
    else:
        assert found == [(0,) * (size - length) + tuple(range(length))]


def offline(system, frames):
    """Every window read first, then every frame averaged, then all clustered and linked."""
    spec, geometry = system.spec, system.spec.geometry(SIZE)
    fixed, variables = {"system": system, "geometry": geometry}, {"params": PARAMS}
    features = [encode_frames(variables, frame[None], **fixed)[0] for frame in frames]
    plan = windows(len(frames), spec.window, spec.overlap)
    read = [read_window(variables, [features[t] for t in w], system=system) for w in plan]
    means = []
    for frame in range(len(frames)):
        found = [
            [e for t, e in zip(w, s, strict=True) if t == frame]
            for w, (_, s) in zip(plan, read, strict=True)
        ]
        found = found if system.classes else [each[-1:] for each in found]
        means.append(np.mean([np.asarray(each) for some in found for each in some], axis=0))
    book, tracks = TrackBook(), {}
    for window, (points, _) in zip(plan, read, strict=True):
        valid = np.array([t not in window[p + 1 :] for p, t in enumerate(window)])
        one = np.ones(len(window), np.int32)
        mean = [means[t] for t in window]
        labels, sums = cluster_window(points, mean, one, valid, **fixed)
        sums = None if sums is None else np.asarray(sums)[valid]
        tracks |= book.add(sorted(set(window)), np.asarray(labels)[valid], sums)
    return tracks, book.tracks


def streamed(system, frames):
    stream = WindowStream(system, PARAMS, SIZE)
    found = list(segment_windows(stream, frames))
    assert [number for number, _ in found] == list(range(len(frames)))
    return dict(found), stream.book.tracks


@pytest.mark.parametrize("classes", [4, 1, 0], ids=["classes", "two_logits", "seediness"])
@pytest.mark.parametrize("length", [1, 3, 4, 5, 8, 13])
def test_streamed_is_offline(length, classes):
    system = ToyWindows(classes=classes)
    tracks, facts = streamed(system, blocks(length))
    expected, known = offline(system, blocks(length))
    for frame in range(length):
        np.testing.assert_array_equal(tracks[frame], expected[frame])
    assert list(facts) == list(known)
    for i, track in facts.items():
        assert (track.first, track.last, track.points) == (
            known[i].first,
            known[i].last,
            known[i].points,
        )
        np.testing.assert_allclose(track.logits, known[i].logits, rtol=1e-4)


def test_blocks_are_found_followed_and_named():
    tracks, facts = streamed(ToyWindows(), blocks(13))
    assert len(facts) == 3
    assert sorted((t.first, t.last) for t in facts.values()) == [(0, 10), (0, 12), (2, 12)]
    assert sorted(int(np.argmax(t.logits)) for t in facts.values()) == [0, 1, 2]
    red = next(i for i, track in facts.items() if np.argmax(track.logits) == 0)
    for frame, ids in tracks.items():
        expected = np.zeros((8, 16), bool)
        expected[1:3, 1 + frame % 3 : 4 + frame % 3] = True
        np.testing.assert_array_equal(ids == red, expected)


def test_frames_come_once_they_are_settled_and_memory_stays_flat():
    stream, held = WindowStream(ToyWindows(), PARAMS, SIZE), []
    came = []
    for frame in blocks(40):
        came += stream.push(frame)
        kept = (stream._features, stream._pending, stream._sums, stream._counts)
        held.append(tuple(map(len, kept)))
    assert came == list(range(len(came))) and len(came) >= 40 - 2 * 4
    assert held[10:12] * 14 == held[12:]
    assert max(map(max, held)) <= 2 * 4 + 2


def test_clustering_at_full_size_is_finer():
    coarse, _ = streamed(ToyWindows(), blocks(4))
    fine, facts = streamed(ToyWindows(full_size=True), blocks(4))
    assert coarse[0].shape == (8, 16) and fine[0].shape == (32, 64)
    assert {int(np.argmax(track.logits)) for track in facts.values()} == {0, 1, 2}
    agree = np.kron(coarse[3] > 0, np.ones((4, 4), bool)) == (fine[3] > 0)
    assert agree.mean() > 0.9


def test_no_more_clusters_than_allowed():
    tracks, facts = streamed(ToyWindows(max_clusters=2), blocks(4))
    assert len(facts) == 2
    assert (tracks[3] == -1).any()


def test_nothing_there_is_no_track():
    tracks, facts = streamed(ToyWindows(), blocks(6) // 240 * 0)
    assert facts == {} and not any(ids.any() for ids in tracks.values())


def test_videos_and_systems_that_cannot_be_run():
    with pytest.raises(VideoError, match="no frame"):
        list(segment_windows(WindowStream(ToyWindows(), PARAMS, SIZE), []))
    stream = WindowStream(ToyWindows(), PARAMS, SIZE)
    stream.push(blocks(1)[0])
    with pytest.raises(VideoError, match="frame 1 is 48x30, the video 48x32"):
        stream.push(blocks(1)[0, 2:])
    for overlap in (0, 4):
        with pytest.raises(ConfigError, match=f"overlap={overlap}: windows of 4 frames"):
            WindowStream(ToyWindows(overlap=overlap), PARAMS, SIZE)
    with pytest.raises(ConfigError, match="Toy finds nothing itself"):
        WindowStream(Toy(), PARAMS, SIZE)
