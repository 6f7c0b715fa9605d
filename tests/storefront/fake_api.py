"""The storefront API as the contract has it, on loopback, for the widget to talk to: strict about what it is sent."""

import json
import re
import threading
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

KEY = "pk_test_0123456789"
PRODUCT = "8411001"
VISITOR = "visitor-token:signed"
REFERENCE = "7K3M-9QX2"
PHOTO_TYPES = {"image/jpeg", "image/png", "image/webp"}


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def ok(cls, data: Any, status: int = 200) -> Self:
        """Our envelope around data."""
        return cls(status, json.dumps({"ok": True, "data": data}).encode())

    @classmethod
    def error(cls, status: int, code: str, *, retryable: bool = False, retry_after: int | None = None) -> Self:
        """Our envelope around an error."""
        error = {"code": code, "message": f"server says {code}", "retryable": retryable, "request_id": "req-1"}
        headers = {"Retry-After": str(retry_after)} if retry_after else {}
        return cls(status, json.dumps({"ok": False, "error": error}).encode(), headers=headers)


@dataclass(frozen=True, slots=True)
class Request:
    """What the widget sent."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Its JSON body."""
        return json.loads(self.body) if self.body else {}


PHASES = [
    ("pending", ""),
    ("pending", "facts"),
    ("placement_generating", "placement"),
    ("placement_generating", "select"),
    ("compositing", "composite"),
]


class FakeApi:
    """Answers by the contract, notes every request and every breach of it, and can be told to answer otherwise.

    `instead["POST composites"]` queues answers given before the usual ones; `pages` are served as they are.
    """

    def __init__(self, result_jpeg: bytes, pages: dict[str, Answer] | None = None) -> None:
        self.result_jpeg = result_jpeg
        self.pages = pages or {}
        self.instead: dict[str, deque[Answer]] = {}
        self.product_status = "ready"
        self.phases = list(PHASES)
        self.run_error: dict[str, Any] | None = None
        self.dimensions_text = "213 × 91 × 84 cm"
        self.result_size = (1280, 960)
        self.placement: dict[str, Any] = {"box": {"x0": 0.3, "y0": 0.4, "x1": 0.7, "y1": 0.8}}
        self.remaining = 3
        self.max_bytes = 15 * 2**20
        self.held = threading.Event()  # cleared: runs stay in their first phase that follows
        self.held.set()
        self.requests: list[Request] = []
        self.breaches: list[str] = []
        self.uploads: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.by_key: dict[str, str] = {}

    def answer(self, request: Request) -> Answer:
        """Route one request."""
        self.requests.append(request)
        if request.path in self.pages:
            return self.pages[request.path]
        if not request.path.startswith("/proxy/v1/"):
            return Answer(404, b"not here", "text/plain")
        path = request.path.removeprefix("/proxy/v1/")
        queued = self.instead.get(f"{request.method} {re.sub(r'/.*', '', path)}")
        if queued:
            return queued.popleft()
        if request.method == "PUT":
            return self._put(request, path)
        if path.startswith("pictures/"):
            return Answer(200, self.result_jpeg, "image/jpeg")
        self._expect(request.headers.get("authorization") == f"Bearer {KEY}", "the key is missing")
        return self._route(request, path)

    def _route(self, request: Request, path: str) -> Answer:
        run = re.fullmatch(r"composites/(\w+)", path)
        act = re.fullmatch(r"composites/(\w+)/(refine|feedback)", path)
        match request.method:
            case "GET" if path.startswith("products/"):
                return Answer.ok({"status": self.product_status, "title": "Halden 3-Seater Velvet Sofa"})
            case "POST" if path == "uploads":
                return self._upload(request)
            case "POST" if path == "composites":
                return self._composite(request, {"product_id", "upload_id", "consent"}, {"tap", "visitor", "n"})
            case "POST" if act and act[2] == "refine":
                self.remaining -= 1
                return self._composite(request, set(), {"hint", "tap", "visitor", "n"})
            case "POST" if act:
                self._fields(request, {"verdict"}, {"visitor", "issue", "comment"})
                return self._mine(request, act[1]) or Answer.ok({"verdict": request.json["verdict"]})
            case "GET" if run:
                return self._mine(request, run[1]) or self._poll(run[1])
            case "DELETE" if run:
                refused = self._mine(request, run[1])
                self.runs.pop(run[1], None)
                return refused or Answer(204, b"")
        return Answer.error(404, "not_found")

    def _upload(self, request: Request) -> Answer:
        self._fields(request, {"content_type", "bytes"}, set())
        self._expect(request.json["content_type"] in PHOTO_TYPES, "an upload of an unknown type")
        upload_id = f"upload{len(self.uploads)}"
        self.uploads[upload_id] = {**request.json, "data": None, "used": False}
        slot = {
            "upload_id": upload_id,
            "url": f"/proxy/v1/put/{upload_id}",
            "method": "PUT",
            "headers": {"Content-Type": request.json["content_type"]},
            "expires_at": "2030-01-01T00:00:00Z",
            "max_bytes": self.max_bytes,
        }
        return Answer.ok(slot, 201)

    def _put(self, request: Request, path: str) -> Answer:
        upload = self.uploads[path.removeprefix("put/")]
        self._expect(upload["data"] is None, "a photo was put twice")
        self._expect(len(request.body) == upload["bytes"], "the photo is not as long as announced")
        self._expect(request.headers.get("content-type") == upload["content_type"], "the photo has another type")
        self._expect("authorization" not in request.headers, "the key went to the store of photos")
        upload["data"] = request.body
        return Answer(204, b"")

    def _composite(self, request: Request, needed: set[str], allowed: set[str]) -> Answer:
        key = request.headers.get("idempotency-key", "")
        self._expect(len(key) >= 16, "no idempotency key")
        self._fields(request, needed, allowed)
        if "upload_id" in needed:
            upload = self.uploads[request.json["upload_id"]]
            self._expect(upload["data"] is not None, "the photo was never put")
            self._expect(not upload["used"] or key in self.by_key, "an upload was used twice")
            self._expect(request.json["consent"] is True, "no consent")
            upload["used"] = True
        self._expect(request.json.get("visitor") in (None, VISITOR), "an unknown visitor")
        run_id = self.by_key.setdefault(key, f"run{len(self.by_key)}")
        self.runs.setdefault(run_id, {"phases": deque(self.phases)})
        return Answer.ok({"id": run_id, "status": "pending", "visitor": VISITOR, "poll_after_ms": 40}, 202)

    def _poll(self, run_id: str) -> Answer:
        phases = self.runs[run_id]["phases"]
        view: dict[str, Any] = {"id": run_id, "reference": REFERENCE, "message": "", "result": None, "error": None}
        if phases:
            status, stage = phases[0]
            if self.held.is_set():
                phases.popleft()
            return Answer.ok(view | {"status": status, "stage": stage})
        if self.run_error:
            return Answer.ok(view | {"status": "failed", "stage": "composite", "error": self.run_error})
        width, height = self.result_size
        result = {
            "url": f"/proxy/v1/pictures/{run_id}",
            "width": width,
            "height": height,
            "expires_at": "2030-01-01T00:00:00Z",
        }
        done = {
            "placement": self.placement,
            "dimensions_text": self.dimensions_text,
            "remaining_refinements": self.remaining,
        }
        return Answer.ok(view | done | {"status": "completed", "stage": "composite", "result": result})

    def _mine(self, request: Request, run_id: str) -> Answer | None:
        visitor = request.query.get("visitor", [None])[0] or request.json.get("visitor")
        return None if run_id in self.runs and visitor == VISITOR else Answer.error(404, "not_found")

    def _fields(self, request: Request, needed: set[str], allowed: set[str]) -> None:
        sent = set(request.json)
        self._expect(request.headers.get("content-type") == "application/json", "a body that is not JSON")
        self._expect(needed <= sent <= needed | allowed, f"{request.path}: fields {sorted(sent)}")

    def _expect(self, held: bool, breach: str) -> None:
        if not held:
            self.breaches.append(breach)

    def sent(self, method: str, path: str) -> list[Request]:
        """The requests to one address below the API."""
        return [each for each in self.requests if each.method == method and each.path == f"/proxy/v1/{path}"]


class FakeServer(ThreadingHTTPServer):
    """A FakeApi behind a loopback port of its own."""

    daemon_threads = True

    def __init__(self, api: FakeApi, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.api = api

    @property
    def url(self) -> str:
        """Its origin."""
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.api.answer(Request(self.command, parts.path, parse_qs(parts.query), headers, body))
        self.send_response(reply.status)
        for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if reply.status != 204:
            self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (http.server's names)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""
