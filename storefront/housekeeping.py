"""What the workers forget every minute: photos whose time is over, uploads that nobody used, idle rate limits."""

from datetime import timedelta

from runs.models import Artifact
from runs.registry import chore
from shops.services import forget_idle_buckets
from storefront.consent import KEPT_FOR
from storefront.endings import delete_composite
from storefront.models import CompositeRun
from storefront.uploads import forget_expired_uploads

MARGIN = timedelta(minutes=30)  # `within 24 hours` holds even when the workers rest for a while
BATCH = 200

chore(forget_expired_uploads)
chore(forget_idle_buckets)


@chore
def forget_old_pictures() -> int:
    """Delete the pictures of chains that began a day ago, as every shopper was promised; returns how many."""
    oldest = CompositeRun.objects.older_than(KEPT_FOR - MARGIN).select_related("run")[:BATCH]
    for composite in oldest:
        delete_composite(composite=composite, why=Artifact.DeletedFor.RETENTION)
    return len(oldest)
