"""What all workers together may ask of a model service: its pace, and the calls that are under way."""

from django.db import models

from core.fields import UlidPrimaryKey


class VendorPace(models.Model):
    """A service's token bucket as one instant (GCRA), and when it wants to be asked again."""

    vendor = models.CharField(max_length=63, primary_key=True)
    tat = models.DateTimeField(null=True, help_text="Theoretical arrival time: when the bucket would be full again.")
    not_before = models.DateTimeField(null=True, help_text="The service has asked for a rest until then.")
    closed_by = models.CharField(
        max_length=63, blank=True, help_text="Code of the error after which it is not asked before then at all."
    )

    def __str__(self) -> str:
        return self.vendor


class VendorSlot(models.Model):
    """One call under way. Its process renews it; of one that died it expires by itself."""

    id = UlidPrimaryKey()
    vendor = models.CharField(max_length=63)
    owner = models.CharField(max_length=127)
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["vendor", "expires_at"], name="vendorslot_vendor")]  # how many are under way

    def __str__(self) -> str:
        return f"{self.vendor} by {self.owner}"
