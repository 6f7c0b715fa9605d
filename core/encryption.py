"""Text columns encrypted at rest, with keys that can be rotated."""

from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.db import models

from core.errors import SeeItError


class SecretUnreadable(SeeItError):
    """A stored secret cannot be read: its encryption key is no longer configured."""

    code = "secret_unreadable"


@lru_cache(maxsize=8)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS: expected one or more keys of 32 bytes in URL-safe base64, newest first"
        ) from error


def cipher() -> MultiFernet:
    """The cipher of `settings.FIELD_ENCRYPTION_KEYS`: the first key writes, any of them reads.

    Raises:
        ImproperlyConfigured: there is no key, or one of them is malformed.
    """
    return _cipher(tuple(settings.FIELD_ENCRYPTION_KEYS))


class EncryptedTextField(models.TextField):
    """Text that the database only ever sees as a Fernet token; empty text stays empty.

    Two equal texts have different tokens, so the column can be tested for emptiness but never searched.
    """

    description = "Encrypted text"

    def get_prep_value(self, value: Any) -> str | None:
        text = super().get_prep_value(value)
        return cipher().encrypt(text.encode()).decode() if text else text

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        if not value:
            return value
        try:
            return cipher().decrypt(value.encode()).decode()
        except InvalidToken as error:
            raise SecretUnreadable() from error

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name not in ("isnull", "exact"):
            raise FieldError(f"{self.name} is encrypted and cannot be searched by {lookup_name}.")
        return super().get_lookup(lookup_name)
