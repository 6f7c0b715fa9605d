"""Signed links to one picture: whoever has the link sees the picture, for ten minutes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.core import signing
from django.utils import timezone

from core.errors import NotFound
from core.ids import parse_id
from runs.models import Blob
from storefront.errors import LinkExpired
from storefront.models import CompositeRun

SALT = "storefront.result"
LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class ResultLink:
    """What stands in a link: one composite, one picture, one end."""

    composite_id: str
    blob_sha256: str
    expires_at: datetime

    @classmethod
    def to(cls, composite: CompositeRun, blob: Blob) -> "ResultLink":
        """A link to a composite's result, good from now on."""
        expires_at = (timezone.now() + LIFETIME).replace(microsecond=0)
        return cls(str(composite.pk), blob.sha256, expires_at)

    @property
    def token(self) -> str:
        """The signed form that stands in the URL."""
        return signing.dumps([self.composite_id, self.blob_sha256, int(self.expires_at.timestamp())], salt=SALT)


def open_link(token: str) -> Blob:
    """The picture that a link leads to.

    Raises:
        NotFound: not a link of ours, or the picture is gone.
        LinkExpired: its ten minutes are over.
    """
    try:
        composite_id, sha256, until = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        raise NotFound() from None
    if datetime.fromtimestamp(until, UTC) <= timezone.now():
        raise LinkExpired()
    composite = CompositeRun.objects.visible().select_related("result").filter(pk=parse_id(composite_id)).first()
    if composite is None or composite.result is None or composite.result.sha256 != sha256:
        raise NotFound()
    return composite.result
