"""What can go wrong between us and a shop."""

from typing import ClassVar

from core.errors import SeeItError


class KeyInvalid(SeeItError):
    """This API key is not valid here."""

    code = "key_invalid"
    status = 401
    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class ShopInactive(SeeItError):
    """See It is not active in this shop."""

    code = "shop_inactive"
    status = 403


class QuotaExceeded(SeeItError):
    """This shop has used up its previews for now. Please come back later."""

    code = "quota_exceeded"
    status = 402


class Throttled(SeeItError):
    """Too many requests. Please wait a moment."""

    code = "throttled"
    status = 429
    retryable = True

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Too many requests. Please wait {retry_after_s} second{'s' if retry_after_s != 1 else ''}.")
        self.headers = {"Retry-After": str(retry_after_s)}


class NotSignedIn(SeeItError):
    """Please sign in as a member of staff, or send an API key."""

    code = "not_authenticated"
    status = 401
    headers: ClassVar = {"WWW-Authenticate": "Bearer"}


class NotAllowed(SeeItError):
    """You may not do this. Ask an administrator for the permission."""

    code = "permission_denied"
    status = 403
