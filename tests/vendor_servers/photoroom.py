"""PhotoRoom's Segment endpoint (`POST /v1/segment`) as its reference describes it, as strict as that.

It refuses what the real one refuses: a missing or wrong key, unknown fields and values, a missing picture, one that is
not what it says. `Photoroom.answer` is the handler; the matte is what in the picture is not white.
"""

from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from tests.vendor_servers.server import Request, Response

KEY = "sandboxless-test-key-0000000000000000"
ALLOWED = {
    "format": {"png", "jpg", "webp"},
    "channels": {"rgba", "alpha"},
    "size": {"preview", "medium", "hd", "full"},
    "crop": {"true", "false"},
    "despill": {"true", "false"},
}
KINDS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}


@dataclass
class Photoroom:
    """One account: its key, how unsure it says it is, and the forms that it has been sent."""

    key: str = KEY
    uncertainty: str | None = "0.12"
    asked: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> Response:
        """Answer a request, or refuse it as the real service would."""
        if (request.method, request.path) != ("POST", "/v1/segment"):
            return error(404, "Not Found", "not_found")
        if request.headers.get("x-api-key") != self.key:
            return error(403, "Invalid API key", "forbidden")
        form = parts_of(request)
        if isinstance(form, str):
            return error(400, form, "invalid_request")
        refused = _refusal(form)
        if refused is not None:
            return refused
        self.asked.append(form)
        with Image.open(BytesIO(form["image_file"][1])) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        alpha = np.where(pixels.min(axis=2) < 244, 255, 0).astype(np.uint8)
        told = {} if self.uncertainty is None else {"x-uncertainty-score": self.uncertainty}
        content = _encoded(pixels, alpha, form)
        return Response(content, 200, {"Content-Type": "image/png", "x-request-id": f"pr-{len(self.asked)}", **told})


def _encoded(pixels: Any, alpha: Any, form: dict[str, Any]) -> bytes:
    out = BytesIO()
    shown = alpha if form.get("channels") == "alpha" else np.dstack([pixels, alpha])
    Image.fromarray(shown).save(out, "PNG")
    return out.getvalue()


def _refusal(form: dict[str, Any]) -> Response | None:
    if "image_file" not in form:
        return error(400, "Please provide an image.", "missing_image")
    for name, value in form.items():
        if name != "image_file" and value not in ALLOWED.get(name, ()):
            return error(400, f"Invalid value for {name}.", "invalid_parameter")
    kind, content = form["image_file"]
    try:
        with Image.open(BytesIO(content)) as picture:
            found = picture.format
            picture.load()
    except (UnidentifiedImageError, OSError):
        return error(400, "The image could not be decoded.", "invalid_image")
    return None if found == KINDS.get(kind) else error(400, "Unsupported image format.", "invalid_image")


def parts_of(request: Request) -> dict[str, Any] | str:
    """A multipart form: texts by name, files as (content type, bytes); a sentence where it is none."""
    kind, _, rest = request.headers.get("content-type", "").partition(";")
    boundary = rest.partition("boundary=")[2].strip()
    if kind != "multipart/form-data" or not boundary:
        return "The body has to be multipart/form-data."
    first, *parts = request.body.split(b"--" + boundary.encode())
    if first or not parts or parts[-1] != b"--\r\n":
        return "The form does not end."
    form: dict[str, Any] = {}
    for part in parts[:-1]:
        head, _, body = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        name = lines["Content-Disposition"].split('name="')[1].split('"')[0]
        content = body.removesuffix(b"\r\n")
        form[name] = (lines["Content-Type"], content) if "Content-Type" in lines else content.decode()
    return form


def error(status: int, detail: str, kind: str) -> Response:
    """An error body of this endpoint."""
    return Response({"detail": detail, "status_code": status, "type": kind}, status)
