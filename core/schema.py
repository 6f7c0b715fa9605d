"""The answer envelope in the OpenAPI document: what `core.api.ok` and the exception handler really send."""

from functools import cache
from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers


class ErrorSerializer(serializers.Serializer):
    """What went wrong."""

    code = serializers.CharField(help_text="Stable; programs decide by it.")
    message = serializers.CharField(help_text="A sentence for people.")
    retryable = serializers.BooleanField()
    request_id = serializers.CharField()
    details = serializers.JSONField(required=False)


class ErrorAnswerSerializer(serializers.Serializer):
    """A bad answer."""

    ok = serializers.BooleanField(default=False)
    error = ErrorSerializer()


@cache  # the document wants one component by one name, however many views answer with it
def enveloped(serializer: type[serializers.Serializer[Any]], *, many: bool = False) -> serializers.Serializer[Any]:
    """The schema of `{"ok": true, "data": …}` around a serializer."""
    name = serializer.__name__.removesuffix("Serializer") + ("ListAnswer" if many else "Answer")
    return inline_serializer(name, {"ok": serializers.BooleanField(default=True), "data": serializer(many=many)})


def errors(*statuses: int) -> dict[int, type[ErrorAnswerSerializer]]:
    """The same error shape for each of these HTTP statuses."""
    return dict.fromkeys(statuses, ErrorAnswerSerializer)
