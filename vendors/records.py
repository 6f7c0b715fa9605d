"""A reply as a JSON record and back: what a recording keeps, with pictures named by hash."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from vendors.base import Image, Reply, Usage


def reply_to_record(reply: Reply) -> tuple[dict[str, Any], list[Image]]:
    """A reply as JSON, and the pictures that the JSON names by SHA-256."""
    record = {
        "model": reply.model,
        "model_version": reply.model_version,
        "text": reply.text,
        "data": reply.data,
        "images": [
            {"role": image.role, "media_type": image.media_type, "sha256": image.sha256} for image in reply.images
        ],
        "usage": asdict(reply.usage),
        "finish_reason": reply.finish_reason,
        "response_id": reply.response_id,
        "request": dict(reply.request),
        "response": dict(reply.response),
        "thinking_removed": reply.thinking_removed,
        "latency_ms": reply.latency_ms,
        "cost_usd": reply.cost_usd,
        "cost_source": reply.cost_source,
    }
    return record, list(reply.images)


def reply_from_record(record: Mapping[str, Any], read: Callable[[str], bytes]) -> Reply:
    """The reply that a record was made from; `read` gives the bytes of a picture by its SHA-256."""
    values = dict(record)
    images = tuple(
        Image(item["role"], read(item["sha256"]), item["media_type"], item["sha256"]) for item in values.pop("images")
    )
    return Reply(images=images, usage=Usage(**values.pop("usage")), **values)
