"""Database backend: Django's own for PostgreSQL; without a `DATABASE_URL` it starts or joins the embedded server."""

from typing import Any

from django.conf import settings
from django.db.backends.postgresql import base

from config import embedded


class DatabaseWrapper(base.DatabaseWrapper):
    """Connects to the embedded server where the settings say so, and to any other server unchanged."""

    def get_connection_params(self) -> dict[str, Any]:
        if self.settings_dict.get("EMBEDDED"):
            self.settings_dict["HOST"] = str(embedded.ensure_running(settings.DATA_DIR))
        params: dict[str, Any] = super().get_connection_params()
        return params
