"""Where accounts, grants and keys are kept. SQLAlchemy, Alembic and sqlite3 are used here and nowhere else."""
