from django.db import migrations


class Migration(migrations.Migration):
    """The queue of django-q2 has no index of its own for what its receivers ask."""

    dependencies = [
        ("runs", "0004_fair_claims"),
        ("django_q", "0019_alter_task_options_alter_ormq_key_alter_ormq_lock_and_more"),
    ]

    operations = [
        migrations.RunSQL(
            "CREATE INDEX runs_queue_due ON django_q_ormq (key, lock, id);"
            "ALTER TABLE django_q_ormq SET (autovacuum_vacuum_scale_factor = 0.01);",
            "DROP INDEX runs_queue_due; ALTER TABLE django_q_ormq RESET (autovacuum_vacuum_scale_factor);",
        ),
    ]
