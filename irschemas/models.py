"""Versioned JSON Schemas of what steps hand on, and the metrics and thresholds their work is judged by."""

from django.conf import settings
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q

from core.fields import UlidPrimaryKey
from irschemas.querysets import IRSchemaQuerySet, MetricProfileQuerySet
from irschemas.records import ActiveSchema

TARGET = r"^(stage|prompt|process):[a-z][a-z0-9_]{0,62}$"
KEY = r"^[a-z][a-z0-9_]{0,62}$"
PROFILE_KEY = r"^[a-z][a-z0-9_]*_v[0-9]+$"


class IRSchema(models.Model):
    """One version of the schema for one target; a published version never changes."""

    class Status(models.TextChoices):
        DRAFT = "draft"  # written, never used; the only status whose schema may still change
        ACTIVE = "active"  # what new answers of its target are validated against
        RETIRED = "retired"  # was active; kept because steps name it, and can be activated again

    class Origin(models.TextChoices):
        LIBRARY = "library"  # published from a file that ships with the code
        OPERATOR = "operator"  # written in the console or over the API

    TRANSITIONS = {
        Status.DRAFT: {Status.ACTIVE},
        Status.ACTIVE: {Status.RETIRED},
        Status.RETIRED: {Status.ACTIVE},
    }

    id = UlidPrimaryKey()
    target = models.CharField(
        max_length=80,
        validators=[RegexValidator(TARGET.replace("$", r"\Z"), "Write stage:, prompt: or process: and a name.")],
        help_text="What it describes: stage:placement, prompt:placement, process:import.",
    )
    version = models.PositiveIntegerField(editable=False)
    name = models.CharField(max_length=120)
    schema = models.JSONField(help_text="JSON Schema, Draft 2020-12, closed objects only.")
    sha256 = models.CharField(max_length=64, editable=False, help_text="Of the schema's canonical JSON.")
    status = models.CharField(max_length=8, choices=Status, default=Status.DRAFT, editable=False)
    origin = models.CharField(max_length=8, choices=Origin, default=Origin.OPERATOR, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )
    activated_at = models.DateTimeField(null=True, blank=True, editable=False)
    activated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    objects = IRSchemaQuerySet.as_manager()

    class Meta:
        verbose_name = "IR schema"
        ordering = ["target", "-version"]
        constraints = [
            # A step names its schema as `target v3`; that has to mean one schema. Also serves a target's history.
            models.UniqueConstraint(fields=["target", "version"], name="irschemas_irschema_target_version_unique"),
            # `active_schemas` reads by this index, and it is what makes two active versions impossible.
            models.UniqueConstraint(
                fields=["target"], condition=Q(status="active"), name="irschemas_irschema_one_active_per_target"
            ),
            # `active_schemas`, the pages and the API only know these words.
            models.CheckConstraint(
                condition=Q(status__in=["draft", "active", "retired"]), name="irschemas_irschema_status_known"
            ),
            # `sync_library` decides by it who owns a version.
            models.CheckConstraint(
                condition=Q(origin__in=["library", "operator"]), name="irschemas_irschema_origin_known"
            ),
            # The engine builds targets from node names; another spelling would never be found.
            models.CheckConstraint(condition=Q(target__regex=TARGET), name="irschemas_irschema_target_spelling"),
            # The console's history shows since when a version was in force.
            models.CheckConstraint(
                condition=Q(status="draft") | Q(activated_at__isnull=False),
                name="irschemas_irschema_published_has_activated_at",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.target} v{self.version}"

    @property
    def is_draft(self) -> bool:
        """Whether its schema may still change."""
        return self.status == self.Status.DRAFT

    @property
    def is_active(self) -> bool:
        """Whether new answers are validated against it."""
        return self.status == self.Status.ACTIVE

    def to_active(self) -> ActiveSchema:
        """The plain record that travels to workers and their children."""
        return ActiveSchema(self.pk, self.target, self.version, self.schema, self.sha256)


class MetricDefinition(models.Model):
    """What one number about a step, a picture or a page means."""

    class Direction(models.TextChoices):
        LOWER = "lower", "lower is better"  # passes at or below its threshold
        HIGHER = "higher", "higher is better"  # passes at or above its threshold
        BOOLEAN = "boolean", "yes or no"  # passes when true

    class Aggregation(models.TextChoices):
        MEAN = "mean"
        SUM = "sum"
        P95 = "p95", "95th percentile"
        SHARE = "share", "share of true"

    key = models.CharField(
        max_length=63, unique=True, validators=[RegexValidator(KEY.replace("$", r"\Z"), "Write a snake_case word.")]
    )
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    unit = models.CharField(max_length=30, blank=True)
    target = models.FloatField(
        null=True, blank=True, help_text="What we aim for; what passes is a profile's threshold."
    )
    direction = models.CharField(max_length=7, choices=Direction)
    aggregation = models.CharField(max_length=5, choices=Aggregation, default=Aggregation.MEAN)
    scope = models.CharField(max_length=30, blank=True, help_text="What it is about: step, run, composite, page.")
    evaluator = models.CharField(
        max_length=63, blank=True, help_text="Which registered evaluator computes it; empty: the engine records it."
    )
    library_sha256 = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["key"]
        constraints = [
            # `grade` knows no other direction.
            models.CheckConstraint(
                condition=Q(direction__in=["lower", "higher", "boolean"]),
                name="irschemas_metricdefinition_direction_known",
            ),
            # The quality pages roll up by it.
            models.CheckConstraint(
                condition=Q(aggregation__in=["mean", "sum", "p95", "share"]),
                name="irschemas_metricdefinition_aggregation_known",
            ),
        ]

    def __str__(self) -> str:
        return self.key


class MetricProfile(models.Model):
    """One revision of a quality gate: a named set of metrics with thresholds that a pipeline's node can name.

    A revision never changes. The newest one is in force for the runs that start after it; a run keeps the one it began
    with.
    """

    key = models.CharField(
        max_length=80,
        validators=[
            RegexValidator(PROFILE_KEY.replace("$", r"\Z"), "Write a snake_case name that ends in _v1, _v2, …")
        ],
    )
    revision = models.PositiveIntegerField(default=1, editable=False)
    description = models.TextField(blank=True)
    library_sha256 = models.CharField(
        max_length=64, blank=True, editable=False, help_text="Of the library's text that this is; empty: an operator's."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", editable=False
    )

    objects = MetricProfileQuerySet.as_manager()

    class Meta:
        ordering = ["key", "-revision"]
        constraints = [
            # Two operators who save at once cannot both write the next one. Also serves `in_force`.
            models.UniqueConstraint(fields=["key", "revision"], name="irschemas_metricprofile_key_revision_unique"),
        ]

    def __str__(self) -> str:
        return f"{self.key}, revision {self.revision}"


class MetricProfileItem(models.Model):
    """One metric of a profile: its threshold, and whether failing it fails the gate."""

    profile = models.ForeignKey(MetricProfile, on_delete=models.CASCADE, related_name="items")
    metric = models.ForeignKey(MetricDefinition, on_delete=models.PROTECT, related_name="+")
    threshold = models.FloatField(null=True, blank=True, help_text="Empty: measured, not judged.")
    must_pass = models.BooleanField(default=False)
    weight = models.FloatField(default=1.0, validators=[MinValueValidator(0.0)])

    class Meta:
        ordering = ["pk"]
        constraints = [
            # `grade` looks a metric's threshold up by its key: there may be only one. Also serves `load_profiles`.
            models.UniqueConstraint(
                fields=["profile", "metric"], name="irschemas_metricprofileitem_profile_metric_unique"
            ),
            # `grade` averages by weight; NaN passes `>= 0` in PostgreSQL, where it is greater than every number.
            models.CheckConstraint(
                condition=Q(weight__gte=0, weight__lte=1000), name="irschemas_metricprofileitem_weight_in_range"
            ),
        ]

    def __str__(self) -> str:
        return self.metric.key
