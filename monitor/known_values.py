"""Which values a column holds, for filters: a loose index scan, one probe for each distinct value.

PostgreSQL wiki, "Loose indexscan": DISTINCT would read every row, this reads one row a value.
"""

from django.db import connection

LIMIT = 200


def known_values(table: str, column: str) -> list[str]:
    """Distinct values of an indexed text column, ascending. Table and column are ours, never a reader's."""
    name = connection.ops.quote_name
    sql = f"""
        WITH RECURSIVE found AS (
            (SELECT {name(column)} AS value FROM {name(table)} ORDER BY {name(column)} LIMIT 1)
            UNION ALL
            SELECT (SELECT {name(column)} FROM {name(table)} WHERE {name(column)} > found.value
                    ORDER BY {name(column)} LIMIT 1)
            FROM found WHERE found.value IS NOT NULL
        ) SELECT value FROM found WHERE value <> '' LIMIT {LIMIT}
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [row[0] for row in cursor.fetchall()]


def known_prompts() -> list[tuple[str, str]]:
    """Distinct (prompt name, version) pairs of steps."""
    sql = f"""
        WITH RECURSIVE found AS (
            (SELECT prompt_name, prompt_version FROM runs_step ORDER BY prompt_name, prompt_version LIMIT 1)
            UNION ALL
            SELECT next.prompt_name, next.prompt_version FROM found, LATERAL (
                SELECT prompt_name, prompt_version FROM runs_step
                WHERE (prompt_name, prompt_version) > (found.prompt_name, found.prompt_version)
                ORDER BY prompt_name, prompt_version LIMIT 1) AS next
        ) SELECT prompt_name, prompt_version FROM found WHERE prompt_name <> '' LIMIT {LIMIT}
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return [(row[0], row[1]) for row in cursor.fetchall()]
