"""A published version never changes, whoever asks: only which one is active does."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION runs_pipelineversion_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'pipeline version % is published and never changes; publish a new one', OLD.number
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER runs_pipelineversion_frozen BEFORE UPDATE ON runs_pipelineversion FOR EACH ROW
    WHEN ((OLD.id, OLD.pipeline_id, OLD.number, OLD.dag, OLD.dag_sha256, OLD.published_at, OLD.published_by)
        IS DISTINCT FROM
        (NEW.id, NEW.pipeline_id, NEW.number, NEW.dag, NEW.dag_sha256, NEW.published_at, NEW.published_by))
    EXECUTE FUNCTION runs_pipelineversion_frozen();
"""
BACKWARD = """
DROP TRIGGER runs_pipelineversion_frozen ON runs_pipelineversion;
DROP FUNCTION runs_pipelineversion_frozen();
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0002_views")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
