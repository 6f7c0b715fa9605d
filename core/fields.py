"""Model fields shared by every app."""

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from core.ids import Ulid, new_id, parse_id


class UlidField(models.UUIDField):
    """A `uuid` column whose Python value is a `Ulid`."""

    default_error_messages = {"invalid": "“%(value)s” is not a valid id."}

    def from_db_value(self, value: uuid.UUID | None, *_: Any) -> Ulid | None:
        return None if value is None else Ulid(int=value.int)

    def to_python(self, value: Any) -> Ulid | None:
        if value is None or isinstance(value, Ulid):
            return value
        try:
            return parse_id(value if isinstance(value, uuid.UUID) else str(value))
        except (ValueError, TypeError) as error:
            raise ValidationError(self.error_messages["invalid"], code="invalid", params={"value": value}) from error


class UlidPrimaryKey(UlidField):
    """Time-ordered primary key, made in the application so that rows can refer to each other before they are saved."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("primary_key", True)
        kwargs.setdefault("default", new_id)
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)
