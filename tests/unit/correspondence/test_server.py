"""The page's answers, and whom it refuses."""

import base64
import errno
import io
import socket
import zlib

import cv2
import numpy as np
import pytest

from tests.patch_matching import PatchMatcher, moved, noise
from vos_jax.core.errors import ConfigError
from vos_jax.correspondence import server
from vos_jax.correspondence.desk import Desk, Picture
from vos_jax.correspondence.pictures import encode_png

SIZE = (64, 96)


@pytest.fixture(scope="module")
def compared():
    """A desk with a picture and the same moved by a cell; tests leave it as it is."""
    desk = Desk(PatchMatcher(), {}, top_k=2, sigma=0.0, short_side=64)
    desk.put(
        {"source": Picture("a", noise(SIZE)), "target": Picture("b", moved(noise(SIZE), 16, 16))}
    )
    return server.make_app(desk, "a <title>").test_client()


@pytest.fixture
def empty():
    desk = Desk(PatchMatcher(), {}, top_k=2, sigma=0.0, short_side=64)
    return server.make_app(desk, "title").test_client()


def ask(client, data=None, revision=1, **query):
    return client.post("/heat", query_string={"revision": revision, **query}, data=data)


def heat_of(answer):
    assert answer.status_code == 200, answer.json
    png = np.frombuffer(base64.b64decode(answer.json["heat"]), np.uint8)
    return cv2.imdecode(png, cv2.IMREAD_UNCHANGED)


def upload(client, **files):
    fields = {side: (io.BytesIO(data), f"{side} file") for side, data in files.items()}
    return client.post("/pictures", data=fields)


def test_the_page_and_its_files_are_served_with_nothing_from_elsewhere(compared):
    page = compared.get("/")
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"].startswith("default-src 'none'")
    text = page.text
    for name in ("page.css", "page.js", "icon.svg"):
        assert f'"static/{name}"' in text
        answer = compared.get(f"/static/{name}")
        assert answer.status_code == 200
        text += answer.text
    links = text.replace("http://www.w3.org/2000/svg", "")
    assert "http:" not in links and "https:" not in links and "//cdn" not in links


def test_the_state_names_what_is_compared(compared):
    assert compared.get("/state").json == {
        "title": "a <title>",
        "top_k": 2,
        "revision": 1,
        "ready": True,
        "upload_bytes": server.UPLOAD_BYTES,
        "pictures": {
            "source": {"name": "a", "height": 64, "width": 96},
            "target": {"name": "b", "height": 64, "width": 96},
        },
    }


@pytest.mark.parametrize(
    "side, pixels", [("source", noise(SIZE)), ("target", moved(noise(SIZE), 16, 16))]
)
def test_pictures_are_sent_as_they_are_compared(compared, side, pixels):
    answer = compared.get(f"/pictures/{side}")
    assert answer.mimetype == "image/png"
    read = cv2.imdecode(np.frombuffer(answer.data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(read, pixels)


@pytest.mark.parametrize("top_k", [0, 1])
@pytest.mark.parametrize("x, y, cell", [(0, 0, (1, 1)), (50, 20, (2, 4)), (95.9, 63.9, (0, 0))])
def test_a_point_is_found_where_the_picture_moved(compared, top_k, x, y, cell):
    answer = ask(compared, x=x, y=y, top_k=top_k)
    heat = heat_of(answer)
    assert heat.shape == SIZE and heat.dtype == np.uint8
    peak = answer.json["peak"]
    assert (peak[1] // 16, peak[0] // 16) == cell
    assert heat[peak[1], peak[0]] == heat.max() == 255


def test_a_mask_is_found_where_the_picture_moved(compared):
    mask = np.zeros((*SIZE, 3), np.uint8)
    mask[0:32, 32:64] = 255
    heat = heat_of(ask(compared, encode_png(mask)))
    assert heat[24:40, 56:72].min() == 255
    assert heat[:8].max() < 10 and heat[56:].max() < 10


def test_what_is_faint_in_a_mask_does_not_count(compared):
    mask = np.full((*SIZE, 3), 127, np.uint8)
    assert ask(compared, encode_png(mask)).json["error"].startswith("the mask is empty")
    mask[0:16, 0:16] = 128
    assert ask(compared, encode_png(mask)).json["peak"] is not None


def test_a_place_among_nobodys_best_has_no_peak():
    desk = Desk(PatchMatcher(), {}, top_k=1, sigma=0.0, short_side=64)
    picture = noise(SIZE)
    flat = np.broadcast_to(
        picture[:16, :16].repeat(6, axis=1).repeat(4, axis=0)[:1, :1], (*SIZE, 3)
    )
    desk.put({"source": Picture("a", picture), "target": Picture("b", flat.copy())})
    client = server.make_app(desk, "").test_client()
    peaks = [ask(client, x=x, y=8, top_k=1).json["peak"] for x in range(8, 96, 16)]
    assert peaks.count(None) >= 5


@pytest.mark.parametrize(
    "query, data, status, text",
    [
        ({"x": 96, "y": 3}, None, 400, "outside the source picture, 96x64"),
        ({"x": "nan", "y": 3}, None, 400, "outside the source picture"),
        ({"x": 3}, None, 400, "no picture"),
        ({"x": "left", "y": "top"}, None, 400, "no picture"),
        ({}, b"\x89PNG but no more", 400, "the mask: is no picture"),
        ({}, encode_png(np.full((96, 64), 255, np.uint8)), 400, "the mask is 64x96"),
        ({}, encode_png(np.zeros(SIZE, np.uint8)), 400, "the mask is empty"),
        ({"x": 3, "y": 3, "revision": 0}, None, 409, "load this page again"),
        ({"x": 3, "y": 3, "revision": "two"}, None, 409, "load this page again"),
    ],
)
def test_bad_questions_are_answered_in_words(compared, query, data, status, text):
    answer = ask(compared, data, **query)
    assert answer.status_code == status
    assert text in answer.json["error"] and "\n" not in answer.json["error"]


@pytest.mark.parametrize(
    "method, path, status",
    [("get", "/nothing", 404), ("get", "/heat", 405), ("get", "/static/../server.py", 404)],
)
def test_other_addresses_are_refused_in_words(compared, method, path, status):
    answer = getattr(compared, method)(path)
    assert answer.status_code == status
    assert answer.json["error"]


@pytest.mark.parametrize("host", ["127.0.0.1:8017", "localhost:8017", "localhost"])
def test_this_machine_is_answered(compared, host):
    assert compared.get("/state", headers={"Host": host}).status_code == 200
    own = {"Host": host, "Origin": f"http://{host}"}
    assert compared.post("/heat?x=1&y=1&revision=1", headers=own).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8017",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0.0.0.0",
    ],
)
@pytest.mark.parametrize("path", ["/", "/state", "/pictures/source", "/static/page.js"])
def test_names_that_were_bent_to_this_machine_are_refused(compared, host, path):
    answer = compared.get(path, headers={"Host": host})
    assert answer.status_code == 400
    assert "error" in answer.json


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://localhost", "http://localhost:1", "null"]
)
@pytest.mark.parametrize("path", ["/heat?x=1&y=1&revision=1", "/pictures"])
def test_other_sites_are_refused(compared, path, origin):
    answer = compared.post(path, headers={"Origin": origin})
    assert answer.status_code == 403
    assert "another site" in answer.json["error"]


def test_nothing_is_shown_before_there_are_pictures(empty):
    assert empty.get("/state").json["pictures"] == {}
    assert empty.get("/pictures/source").status_code == 400
    answer = ask(empty, x=1, y=1, revision=0)
    assert answer.status_code == 400
    assert "choose a source and a target" in answer.json["error"]


def test_uploads_are_compared_as_soon_as_there_are_two(empty):
    state = upload(empty, source=encode_png(noise((128, 192)))).json
    assert not state["ready"]
    assert state["pictures"] == {"source": {"name": "source file", "height": 128, "width": 192}}
    state = upload(empty, target=encode_png(noise((32, 48)))).json
    assert state["ready"] and state["revision"] == 2
    assert state["pictures"]["source"]["height"] == 64
    assert ask(empty, x=1, y=1, revision=2).status_code == 200
    both = {"source": encode_png(noise(SIZE)), "target": encode_png(noise(SIZE))}
    assert upload(empty, **both).json["revision"] == 3


def bomb(side):
    """The start of a PNG that promises so many pixels."""
    header = b"IHDR" + side.to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    png = b"\x89PNG\r\n\x1a\n"
    for chunk in (header, b"IDAT"):
        png += (len(chunk) - 4).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return png


@pytest.mark.parametrize(
    "data, text",
    [
        (b"no picture", "source file: is no picture"),
        (b"", "source file: is no picture"),
        (encode_png(noise(SIZE))[:300], "source file: cannot be decoded"),
        (bomb(9_000), "source file: has 81 million pixels"),
        (bomb(60_000), "source file: is no picture"),
    ],
)
def test_bad_uploads_are_refused_and_change_nothing(compared, data, text):
    answer = upload(compared, source=data)
    assert answer.status_code == 400
    assert text in answer.json["error"]
    assert compared.get("/state").json["revision"] == 1


def test_large_uploads_are_refused(compared):
    answer = upload(compared, source=bytes(server.UPLOAD_BYTES))
    assert answer.status_code == 413
    assert "larger than 32 MB" in answer.json["error"]


def test_an_upload_of_nothing_is_refused(compared):
    answer = compared.post("/pictures", data={"other": (io.BytesIO(b"x"), "x")})
    assert answer.status_code == 400
    assert "neither" in answer.json["error"]


def test_only_this_machine_can_connect():
    with server.listen(0) as listening:
        host, port = listening.getsockname()
        assert host == "127.0.0.1"
        assert server.address(listening) == f"http://127.0.0.1:{port}/"
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
        with pytest.raises(OSError) as refused:
            socket.create_connection(("127.0.0.2", port), timeout=5)
        assert refused.value.errno == errno.ECONNREFUSED


def test_a_port_in_use_is_refused():
    with server.listen(0) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is in use; choose another --port"):
            server.listen(port)


@pytest.mark.parametrize("port", [-1, 65536, 10**12])
def test_ports_that_cannot_be_are_refused(port):
    with pytest.raises(ConfigError, match=f"port {port} cannot be used"):
        server.listen(port)
