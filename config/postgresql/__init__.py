"""Django's PostgreSQL backend, with the embedded server brought up when a connection is first wanted."""
