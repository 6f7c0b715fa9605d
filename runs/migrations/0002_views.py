"""Read-only views under the source documents' names."""

from pathlib import Path

from django.db import migrations

VIEWS = ("metrics_results_v", "execution_errors", "execution_steps", "executions", "xray_steps")


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial")]
    operations = [
        migrations.RunSQL(
            (Path(__file__).parent.parent / "views.sql").read_text(),
            "".join(f"DROP VIEW {name};" for name in VIEWS),
        )
    ]
