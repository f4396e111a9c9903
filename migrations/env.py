"""Alembic's way in: the caller brings the connection and holds the lock (bank.storage.migrate)."""

from alembic import context

from bank.storage.metadata import metadata

connection = context.config.attributes["connection"]
# `metadata` matters to `alembic.autogenerate` alone; a migration says by itself what it does.
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
