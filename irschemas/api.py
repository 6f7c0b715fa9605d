"""`/api/ir-schemas`: look at schemas, write them, put them in force, and try an answer."""

from typing import IO, Any
from uuid import UUID

from django.contrib.admin.models import ADDITION
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import ok
from core.errors import Invalid
from core.ids import parse_id
from core.pagination import PARAMETERS, read_page
from core.schema import enveloped, errors
from irschemas import history, strict_json
from irschemas.activation import activate_reviewed, review_activation
from irschemas.comparison import Compatibility
from irschemas.errors import BodyTooLarge, SchemaNotFound
from irschemas.models import IRSchema
from irschemas.services import create_schema, edit_schema, get_schema, validate_json
from irschemas.targets import target_of_prompt
from shops.authentication import StaffOrMonitorKey, require_permission, throttle_caller

READS, WRITES, TRIALS = 240, 60, 120  # a minute, for each person or key
MAX_BODY = 4 * 2**20
VIEW, ADD, CHANGE = "irschemas.view_irschema", "irschemas.add_irschema", "irschemas.change_irschema"


class StrictJsonParser(BaseParser):
    """JSON without NaN, Infinity or a key that is named twice; at most 4 MiB."""

    media_type = "application/json"

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> dict[str, Any]:
        """The body, an object; nothing at all counts as an empty one.

        Raises:
            BodyTooLarge, JsonInvalid: see there.
            Invalid: JSON, and not an object.
        """
        body = stream.read(MAX_BODY + 1)
        if len(body) > MAX_BODY:
            raise BodyTooLarge()
        found = strict_json.parse(body) if body.strip() else {}
        if not isinstance(found, dict):
            raise Invalid("The body has to be a JSON object.")
        return found


class IRSchemaSerializer(serializers.Serializer):
    """One version of the schema for one target."""

    id = serializers.CharField()
    target = serializers.CharField(help_text="`stage:…`, `prompt:…` or `process:…`.")
    version = serializers.IntegerField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=IRSchema.Status.choices)
    origin = serializers.ChoiceField(choices=IRSchema.Origin.choices)
    sha256 = serializers.CharField(help_text="Of the schema's canonical JSON.")
    schema = serializers.JSONField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField(allow_null=True, source="created_by.username", default=None)
    activated_at = serializers.DateTimeField(allow_null=True)
    activated_by = serializers.CharField(allow_null=True, source="activated_by.username", default=None)


class IRSchemaPageSerializer(serializers.Serializer):
    """Versions, newest first."""

    items = IRSchemaSerializer(many=True)
    next_cursor = serializers.CharField(allow_null=True)


class NewSchemaSerializer(serializers.Serializer):
    """A new draft for exactly one target."""

    target = serializers.CharField(required=False)
    promptId = serializers.CharField(required=False, help_text="The target that the prompt's file names.")  # noqa: N815
    processId = serializers.CharField(required=False, help_text="`process:` and this name.")  # noqa: N815
    name = serializers.CharField(max_length=120)
    schema = serializers.JSONField()


class ChangedSchemaSerializer(serializers.Serializer):
    """Another text for a draft, or for the next version."""

    name = serializers.CharField(max_length=120, required=False)
    schema = serializers.JSONField()
    expected = serializers.CharField(required=False, help_text="The `sha256` that you began from.")


class ActivationSerializer(serializers.Serializer):
    """What is agreed to."""

    compatibility = serializers.ChoiceField(choices=list(Compatibility), default=Compatibility.BACKWARD)
    accept_failing = serializers.IntegerField(
        min_value=0, max_value=500, default=0, help_text="How many of the last 500 stored answers may fail."
    )
    accept_incompatible = serializers.BooleanField(default=False)
    expected = serializers.CharField(required=False, help_text="The id of the version that you saw in force.")


class TrialSerializer(serializers.Serializer):
    """An answer, and what to hold it against: a version by id, or what is in force."""

    schemaId = serializers.CharField(required=False)  # noqa: N815
    promptId = serializers.CharField(required=False)  # noqa: N815
    target = serializers.CharField(required=False)
    data = serializers.JSONField(allow_null=True)  # type: ignore[assignment]


class ProblemSerializer(serializers.Serializer):
    """One finding; nothing of the answer's content is repeated."""

    json_path = serializers.CharField()
    schema_path = serializers.CharField()
    keyword = serializers.CharField()
    expected = serializers.CharField()
    found_type = serializers.CharField()


class VerdictSerializer(serializers.Serializer):
    """Whether an answer fits."""

    schema_id = serializers.CharField()
    target = serializers.CharField()
    version = serializers.IntegerField()
    passed = serializers.BooleanField()
    error_count = serializers.IntegerField()
    errors = ProblemSerializer(many=True, help_text="The first 20.")  # type: ignore[assignment]
    notes = serializers.ListField(child=serializers.CharField())
    summary = serializers.CharField(allow_blank=True)


class ReviewSerializer(serializers.Serializer):
    """What would come of activating a version now."""

    compatibility = serializers.CharField()
    compatible = serializers.BooleanField()
    reasons = serializers.ListField(child=serializers.CharField())
    changes = serializers.ListField(child=serializers.DictField())
    revalidation = serializers.DictField()


class SchemasView(APIView):
    """A door for staff, and for programs that only look."""

    authentication_classes = [StaffOrMonitorKey]
    parser_classes = [StrictJsonParser]


class IRSchemasView(SchemasView):
    """All versions, and new ones."""

    @extend_schema(
        operation_id="ir_schemas",
        summary="Schemas of answers, newest first",
        tags=["IR schemas"],
        parameters=[
            OpenApiParameter("promptId", str, description="Those of the target that this prompt's file names."),
            OpenApiParameter("processId", str, description="Those of `process:` and this name."),
            OpenApiParameter("target", str, description="`stage:placement`"),
            OpenApiParameter("status", str, enum=IRSchema.Status.values),
            *PARAMETERS,
        ],
        responses={200: enveloped(IRSchemaPageSerializer), **errors(401, 403, 422, 429)},
    )
    def get(self, request: Request) -> Response:
        """A page of versions; `status=active` gives what is in force."""
        require_permission(request, VIEW, keys_too=True)
        throttle_caller(request, "ir-schemas", READS)
        query, found = request.query_params, IRSchema.objects.select_related("created_by", "activated_by")
        for target in _targets(query):
            found = found.for_targets([target])
        if status := query.get("status"):
            found = found.filter(status=status)
        page = read_page(found, request)
        items = IRSchemaSerializer(page.rows, many=True).data
        return ok({"items": items, "next_cursor": page.next_cursor})

    @extend_schema(
        operation_id="ir_schema_create",
        summary="Write a new draft",
        tags=["IR schemas"],
        request=NewSchemaSerializer,
        responses={201: enveloped(IRSchemaSerializer), **errors(401, 403, 409, 413, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """The next version of its target, not in force yet; a schema with problems is refused with all of them."""
        user = require_permission(request, ADD)
        throttle_caller(request, "ir-schemas-write", WRITES)
        given = _read(NewSchemaSerializer, request)
        targets = _targets(given)
        if len(targets) != 1:
            raise Invalid("Name exactly one of `target`, `promptId` and `processId`.")
        row = create_schema(target=targets[0], name=given["name"], schema=given["schema"], by=user)
        history.note(user, row, f"Wrote {row}.", ADDITION)
        return ok(IRSchemaSerializer(row).data, status=201)


class IRSchemaView(SchemasView):
    """One version."""

    @extend_schema(
        operation_id="ir_schema",
        summary="One schema",
        tags=["IR schemas"],
        responses={200: enveloped(IRSchemaSerializer), **errors(401, 403, 404, 429)},
    )
    def get(self, request: Request, schema_id: str) -> Response:
        """One version by id."""
        require_permission(request, VIEW, keys_too=True)
        throttle_caller(request, "ir-schemas", READS)
        return ok(IRSchemaSerializer(get_schema(_id(schema_id))).data)

    @extend_schema(
        operation_id="ir_schema_update",
        summary="Change a draft, or write the next version",
        tags=["IR schemas"],
        request=ChangedSchemaSerializer,
        responses={
            200: enveloped(IRSchemaSerializer),
            201: enveloped(IRSchemaSerializer),
            **errors(401, 403, 404, 409, 413, 422, 429),
        },
    )
    def put(self, request: Request, schema_id: str) -> Response:
        """A draft changes in place (200). A version that was ever in force stays, and a new draft is written (201)."""
        user = require_permission(request, CHANGE)
        throttle_caller(request, "ir-schemas-write", WRITES)
        given = _read(ChangedSchemaSerializer, request)
        before = _id(schema_id)
        row = edit_schema(
            schema_id=before,
            schema=given["schema"],
            name=given.get("name"),
            by=user,
            expected=given.get("expected"),
        )
        history.note(user, row, f"Changed {row}." if row.pk == before else f"Wrote {row}.")
        return ok(IRSchemaSerializer(row).data, status=200 if row.pk == before else 201)


class ReviewView(SchemasView):
    """What would come of activating a version."""

    @extend_schema(
        operation_id="ir_schema_review",
        summary="What would change, and which stored answers would fail",
        tags=["IR schemas"],
        parameters=[OpenApiParameter("compatibility", str, enum=list(Compatibility))],
        responses={200: enveloped(ReviewSerializer), **errors(401, 403, 404, 422, 429)},
    )
    def get(self, request: Request, schema_id: str) -> Response:
        """Compared with the version in force, and tried on the last 500 stored answers; nothing is changed."""
        require_permission(request, VIEW, keys_too=True)
        throttle_caller(request, "ir-schemas-write", WRITES)
        given = _read(ActivationSerializer, request.query_params)
        return ok(review_activation(get_schema(_id(schema_id)), given["compatibility"]).to_json())


class ActivateView(SchemasView):
    """Put a version in force."""

    @extend_schema(
        operation_id="ir_schema_activate",
        summary="Put a version in force",
        tags=["IR schemas"],
        request=ActivationSerializer,
        responses={200: enveloped(IRSchemaSerializer), **errors(401, 403, 404, 409, 422, 429)},
    )
    def post(self, request: Request, schema_id: str) -> Response:
        """After another look: what would fail has to be agreed to. An earlier version goes into force the same way."""
        user = require_permission(request, CHANGE)
        throttle_caller(request, "ir-schemas-write", WRITES)
        given = _read(ActivationSerializer, request)
        row = activate_reviewed(
            schema_id=_id(schema_id),
            by=user,
            mode=given["compatibility"],
            accept_failing=given["accept_failing"],
            accept_incompatible=given["accept_incompatible"],
            expected=_id(given["expected"]) if "expected" in given else None,
        )
        history.note(user, row, f"Activated {row}.")
        return ok(IRSchemaSerializer(row).data)


class ValidateView(SchemasView):
    """Try an answer."""

    @extend_schema(
        operation_id="ir_schema_validate",
        summary="Hold an answer against a schema",
        tags=["IR schemas"],
        request=TrialSerializer,
        responses={200: enveloped(VerdictSerializer), **errors(401, 403, 404, 413, 422, 429)},
    )
    def post(self, request: Request) -> Response:
        """All findings are counted, the first 20 told. NaN and Infinity are not JSON and are refused at the door."""
        require_permission(request, VIEW, keys_too=True)
        throttle_caller(request, "ir-schemas-validate", TRIALS)
        given = _read(TrialSerializer, request)
        named = [name for name in ("schemaId", "promptId", "target") if name in given]
        if len(named) != 1:
            raise Invalid("Name exactly one of `schemaId`, `promptId` and `target`.")
        row, verdict = validate_json(
            given["data"],
            schema_id=_id(given["schemaId"]) if "schemaId" in given else None,
            prompt=given.get("promptId"),
            target=given.get("target"),
        )
        told = {"schema_id": str(row.pk), "target": row.target, "version": row.version, **verdict.to_json()}
        return ok({**told, "summary": verdict.summary()})


def _read(serializer: type[serializers.Serializer[Any]], source: Any) -> dict[str, Any]:
    found = serializer(data=source.data if isinstance(source, Request) else source)
    found.is_valid(raise_exception=True)
    return dict(found.validated_data)


def _targets(given: Any) -> list[str]:
    """The targets that a query or a body names."""
    found = [str(given["target"])] if given.get("target") else []
    if prompt := given.get("promptId"):
        found.append(target_of_prompt(str(prompt)))
    if process := given.get("processId"):
        found.append(f"process:{process}")
    return [target.replace("\0", "") for target in found]


def _id(text: str) -> UUID:
    try:
        return parse_id(text)
    except (ValueError, OverflowError):
        raise SchemaNotFound() from None
