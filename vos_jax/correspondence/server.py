"""The page of correspondences, for this machine alone."""

import base64
import errno
import io
import socket
from typing import Any

import flask
import numpy as np
import waitress
from PIL import Image
from werkzeug.exceptions import BadRequest, Conflict, Forbidden, HTTPException

from vos_jax.core.errors import ConfigError, ImageError, MissingInputError, VosError
from vos_jax.correspondence.desk import SIDES, Desk, Pair, Picture
from vos_jax.correspondence.marks import mask_map, point_map
from vos_jax.correspondence.pictures import encode_png, grey
from vos_jax.io.images import decode_image

LOOPBACK = "127.0.0.1"
HOSTS = [LOOPBACK, "localhost"]
UPLOAD_BYTES = 32 << 20
UPLOAD_PIXELS = 64_000_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def make_app(desk: Desk, title: str) -> flask.Flask:
    """The pages of a desk.

    Requests that name another host (a rebound DNS name) or come from another site are refused;
    every refusal is JSON with a line `error` that the page shows.

    Args:
        desk: what is compared.
        title: what the page says of the system.
    """
    app = flask.Flask(__name__)
    app.config.update(TRUSTED_HOSTS=HOSTS, MAX_CONTENT_LENGTH=UPLOAD_BYTES)
    app.before_request(_refuse_other_sites)
    app.after_request(_add_headers)
    app.register_error_handler(VosError, lambda error: _refusal(str(error), 400))
    app.register_error_handler(HTTPException, _http_refusal)

    @app.get("/")
    def page():
        return app.send_static_file("page.html")

    @app.get("/state")
    def state():
        return _state(desk.pair) | {"title": title, "top_k": desk.top_k}

    @app.post("/pictures")
    def put_pictures():
        files = flask.request.files
        if not files.keys() <= set(SIDES) or not files:
            raise BadRequest("the upload holds neither a source nor a target picture")
        named = [(side, file.filename or side, file.read()) for side, file in files.items()]
        desk.put({side: Picture(name, _decode(data, name)) for side, name, data in named})
        return state()

    @app.get("/pictures/<side>")
    def picture(side: str):
        if side not in desk.pair.shown:
            raise MissingInputError(f"there is no picture {side!r} yet")
        return flask.Response(encode_png(desk.pair.shown[side]), mimetype="image/png")

    @app.post("/heat")
    def heat():
        return _heat(desk.pair)

    return app


def listen(port: int) -> socket.socket:
    """A socket bound to loopback.

    Args:
        port: 0 for any free one.

    Raises:
        ConfigError: the port is in use or not allowed.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()
    except (OSError, OverflowError) as error:
        listening.close()
        used = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is in use" if used else f"cannot be used ({error})"
        raise ConfigError(f"port {port} {why}; choose another --port, 0 for any") from error
    return listening


def address(listening: socket.socket) -> str:
    """Where a browser finds what is served on a socket."""
    return f"http://{LOOPBACK}:{listening.getsockname()[1]}/"


def serve(app: flask.Flask, listening: socket.socket) -> None:
    """Answers until Ctrl-C."""
    size = UPLOAD_BYTES + (1 << 16)
    waitress.create_server(app, sockets=[listening], max_request_body_size=size).run()


def _refuse_other_sites() -> None:
    """Refuses other hosts, and scripts and forms of other sites."""
    request = flask.request
    own = request.host_url.rstrip("/")
    if request.headers.get("Origin", own) != own:
        raise Forbidden("another site may not use this page")


def _add_headers(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    return response


def _refusal(text: str, status: int) -> tuple[dict[str, str], int]:
    return {"error": " ".join(text.split())}, status


def _http_refusal(error: HTTPException) -> tuple[dict[str, str], int]:
    if error.code == 413:
        return _refusal(f"the upload is larger than {UPLOAD_BYTES >> 20} MB", 413)
    return _refusal(error.description or error.name, error.code or 500)


def _state(pair: Pair) -> dict[str, Any]:
    """What the page shows beside the pictures."""
    pictures = {
        side: {"name": pair.pictures[side].name, "height": len(shown), "width": len(shown[0])}
        for side, shown in pair.shown.items()
    }
    return {
        "revision": pair.revision,
        "ready": bool(pair.read),
        "pictures": pictures,
        "upload_bytes": UPLOAD_BYTES,
    }


def _decode(data: bytes, name: str) -> np.ndarray:
    """Decodes an upload whose header promises a bearable size."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = image.width * image.height
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(f"{name}: is no picture; choose a JPEG or PNG") from error
    if pixels > UPLOAD_PIXELS:
        raise ImageError(f"{name}: has {pixels / 1e6:.0f} million pixels; make it smaller first")
    return decode_image(data, name)


def _heat(pair: Pair) -> dict[str, Any]:
    """The heat map of a point (in the query) or a painted mask (a PNG, white on black)."""
    request = flask.request
    if not pair.read:
        raise MissingInputError("choose a source and a target picture first")
    if request.args.get("revision", type=int) != pair.revision:
        raise Conflict("the pictures were changed in another window; load this page again")
    found = pair.read[request.args.get("top_k") == "1"]
    x, y = (request.args.get(name, type=float) for name in "xy")
    if x is not None and y is not None:
        weights = point_map(x, y, found.source)
    else:
        weights = mask_map(_decode(request.get_data(), "the mask")[..., 0] > 127, found.source)
    heat = found.heat_map(weights)
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    return {
        "heat": base64.b64encode(encode_png(grey(heat))).decode(),
        "peak": [int(column), int(row)] if heat.any() else None,
    }
