"""Run by Alembic, on the connection that `pipeline.history.migrate` gives it."""

from alembic import context

from pipeline.history.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
