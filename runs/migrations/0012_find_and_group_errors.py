"""Runs found by reference code and by what they failed with; failures so far get their signatures."""

from django.db import migrations, models
from django.db.models.functions import Cast, Right

from runs.signatures import error_signature

BATCH = 500


def sign_failures(apps, schema_editor):
    """A run that failed at a gate is named by the required metrics that failed in its last attempt."""
    Run, MetricResult = apps.get_model("runs", "Run"), apps.get_model("runs", "MetricResult")
    runs = Run.objects.filter(status="failed").only("error_stage", "error_code", "error_message")
    pending = []
    for run in runs.iterator(BATCH):
        failed = ()
        if run.error_code == "gate_rejected":
            last = MetricResult.objects.filter(run=run, step__node_key=run.error_stage, attempt=models.F("step__attempt"))
            failed = list(last.filter(must_pass=True, passed=False).values_list("key", flat=True))
        run.error_signature = error_signature(
            stage=run.error_stage, code=run.error_code, message=run.error_message, failed_metrics=failed
        )
        pending.append(run)
        if len(pending) == BATCH:
            Run.objects.bulk_update(pending, ["error_signature"])
            pending = []
    Run.objects.bulk_update(pending, ["error_signature"])


class Migration(migrations.Migration):
    dependencies = [("runs", "0011_costs")]

    operations = [
        migrations.AddField(
            model_name="run",
            name="error_signature",
            field=models.CharField(blank=True, help_text="The same for failures that are alike.", max_length=255),
        ),
        migrations.RunPython(sign_failures, migrations.RunPython.noop),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(
                condition=models.Q(("error_signature", ""), _negated=True),
                fields=["error_signature", "-id"],
                name="run_signature",
            ),
        ),
        migrations.AddIndex(
            model_name="run",
            index=models.Index(Right(Cast("id", models.TextField()), 9), name="run_reference"),
        ),
        migrations.AddIndex(
            model_name="metricresult",
            index=models.Index(
                condition=models.Q(("passed", False)), fields=["key", "run"], name="metricresult_failed"
            ),
        ),
    ]
