"""What logins need: second factors, recovery codes, challenges, mails on their way, Telegram bots; and revocations that
are numbered in the order of commits."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("account", sa.Column("epoch", sa.Integer(), server_default="0", nullable=False))
    policy = sa.Column("mfa_policy", sa.String(length=16), server_default="inherit", nullable=False)
    op.add_column("account", policy)
    op.add_column("password", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("grant_", sa.Column("deleted_at", sa.Double(), nullable=True))
    op.add_column("grant_", sa.Column("idle", sa.Double(), nullable=True))
    create_factor()
    create_recovery_code()
    create_challenge()
    create_outbox()
    create_telegram_bot()
    create_revocation_latest()


def create_factor() -> None:
    op.create_table(
        "factor",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("secret_enc", sa.LargeBinary(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("confirmed_at", sa.Double(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('totp')", name=op.f("ck_factor_kind")),
        sa.CheckConstraint("state IN ('pending', 'active')", name=op.f("ck_factor_state")),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=op.f("fk_factor_account_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factor")),
        sa.UniqueConstraint("account_id", "kind", "state", name=op.f("uq_factor_account_id_kind_state")),
    )


def create_recovery_code() -> None:
    op.create_table(
        "recovery_code",
        sa.Column("account_id", sa.String(length=36), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("used_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_recovery_code_account_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("account_id", "mac", name=op.f("pk_recovery_code")),
    )


def create_challenge() -> None:
    op.create_table(
        "challenge",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("dialect", sa.String(length=32), nullable=False),
        sa.Column("account_id", sa.String(length=36), nullable=True),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("address_key", sa.Text(), nullable=True),
        sa.Column("grant_id", sa.String(length=36), nullable=True),
        sa.Column("link_hash", sa.LargeBinary(), nullable=True),
        sa.Column("client_hash", sa.LargeBinary(), nullable=True),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("needs_code", sa.Boolean(), nullable=False),
        sa.Column("draft_enc", sa.LargeBinary(), nullable=True),
        sa.Column("code_mac", sa.LargeBinary(), nullable=True),
        sa.Column("tries_left", sa.Integer(), nullable=False),
        sa.Column("ip", sa.Text(), nullable=True),
        sa.Column("ua", sa.Text(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("method", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
        sa.Column("decided_at", sa.Double(), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('login', 'step_up', 'reset_password', 'approval', 'new_email')",
            name=op.f("ck_challenge_purpose"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'shown', 'approved', 'denied', 'claimed', 'superseded')",
            name=op.f("ck_challenge_state"),
        ),
        sa.ForeignKeyConstraint(
            ["account_id"], ["account.id"], name=op.f("fk_challenge_account_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["grant_.id"], name=op.f("fk_challenge_grant_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_challenge")),
        sa.UniqueConstraint("link_hash", name=op.f("uq_challenge_link_hash")),
        sa.UniqueConstraint("client_hash", name=op.f("uq_challenge_client_hash")),
    )
    for column in ("account_id", "address_key", "expires_at", "grant_id"):
        op.create_index(op.f(f"ix_challenge_{column}"), "challenge", [column], unique=False)


def create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("payload_enc", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("due_at", sa.Double(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("sent_at", sa.Double(), nullable=True),
        sa.Column("failed_at", sa.Double(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    waiting = sa.text("sent_at IS NULL AND failed_at IS NULL")
    op.create_index("ix_outbox_due_at_waiting", "outbox", ["due_at"], sqlite_where=waiting, postgresql_where=waiting)


def create_telegram_bot() -> None:
    op.create_table(
        "telegram_bot",
        sa.Column("tenant_id", sa.String(length=36), nullable=False),
        sa.Column("token_enc", sa.LargeBinary(), nullable=False),
        sa.Column("secret_enc", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("lifetime", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tenant_id"], ["tenant.id"], name=op.f("fk_telegram_bot_tenant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("pk_telegram_bot")),
    )


def create_revocation_latest() -> None:
    """With the greatest id so far; on SQLite the rows that had it may be gone."""
    op.create_table("revocation_latest", sa.Column("id", sa.BigInteger(), nullable=False))
    given = "SELECT coalesce(max(id), 0) FROM revocation"
    if op.get_bind().dialect.name == "sqlite":
        given = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'revocation'), 0)"
    op.execute(f"INSERT INTO revocation_latest (id) {given}")
