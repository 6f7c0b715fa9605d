-- The source documents' names for the trace, read-only. `drop_ratio > 0.9` on xray_steps uses the partial index step_filter_drop.
CREATE VIEW xray_steps AS
SELECT step.id AS step_id, step.run_id, step.seq, step.name AS step_name, step.type AS step_type, step.status,
       step.pipeline_slug AS pipeline, step.environment, step.candidates_in, step.candidates_out, step.drop_ratio,
       step.confidence, step.score, step.why,
       jsonb_build_object('why', step.why, 'top_reject_reasons', step.reasons) AS why_json,
       step.started_at, step.finished_at
FROM runs_step step;

CREATE VIEW executions AS
SELECT run.id AS execution_id, run.pipeline_slug AS pipeline_name, run.environment, run.trigger, run.status,
       run.subject_type, run.subject_id, run.subject_label, run.latency_ms, run.cost_usd, run.created_at, run.started_at,
       run.finished_at AS ended_at
FROM runs_run run;

CREATE VIEW execution_steps AS
SELECT step.id AS step_id, step.run_id AS execution_id, step.seq AS step_index, step.name AS step_name,
       step.type AS step_type, step.status, payload.input AS input_payload,
       coalesce(payload.output, payload.ir) AS output_payload,
       payload.reasoning || jsonb_strip_nulls(jsonb_build_object(
           'why', nullif(step.why, ''), 'confidence', step.confidence, 'score', step.score,
           'percentage_eliminated', step.drop_ratio * 100)) AS reasoning_payload,
       step.started_at, step.finished_at AS ended_at
FROM runs_step step LEFT JOIN runs_steppayload payload ON payload.step_id = step.id;

CREATE VIEW execution_errors AS
SELECT error.id AS error_id, error.run_id AS execution_id, error.step_id, error.stage, error.attempt, error.code,
       error.message, error.retryable, error.details, error.created_at
FROM runs_runerror error;

CREATE VIEW metrics_results_v AS
SELECT metric.id, metric.run_id, run.pipeline_slug AS pipeline, run.run_group_id, metric.step_id, step.node_key,
       step.name AS step_name, metric.key AS metric_key, metric.profile_key, metric.value, metric.unit, metric.passed,
       metric.threshold, metric.must_pass, metric.details, metric.source, metric.created_at
FROM runs_metricresult metric
JOIN runs_run run ON run.id = metric.run_id
LEFT JOIN runs_step step ON step.id = metric.step_id;
