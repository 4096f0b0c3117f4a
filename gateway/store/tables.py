"""The tables, as SQLAlchemy sees them. Migrations make them; a test holds the two together.

Ids are UUIDs as text, times are seconds since the epoch (UTC, double precision), `*_enc` columns are sealed
(`store/seal.py`); which ones, and the MACs that are sealed besides, is in `store/sealed.py`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

Number = BigInteger().with_variant(Integer, "sqlite")  # of rows; SQLite's row ids are INTEGER, and of 64 bits

# one person per account, so the person's columns (user_id, names, username) stand in the account's row
account = Table(
    "account",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("num", BigInteger, nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("user_id", String(36), nullable=False, unique=True),
    Column("username", Text),
    Column("username_key", Text, unique=True),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("approved", Boolean, nullable=False),
    Column("archived", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("is_staff", Boolean, nullable=False),
    Column("is_manager", Boolean, nullable=False),
    Column("epoch", Integer, nullable=False, server_default="0"),  # grows with each change of password or factors
    Column("mfa_policy", String(16), nullable=False, server_default="inherit"),  # or required
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    CheckConstraint("kind IN ('human', 'service', 'agent')", name="kind"),
    CheckConstraint("status IN ('pending', 'active', 'disabled', 'deleted')", name="status"),
)

email = Table(
    "email",
    metadata,
    Column("id", Number, primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("is_primary", Boolean, nullable=False),
    Column("verified_at", Double),
)
# anybody may claim an address, one account may have proved it
Index(
    "uq_email_key_verified",
    email.c.key,
    unique=True,
    sqlite_where=text("verified_at IS NOT NULL"),
    postgresql_where=text("verified_at IS NOT NULL"),
)

password = Table(
    "password",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("phc", Text, nullable=False),
    Column("set_at", Double, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("failures", Integer, nullable=False, server_default="0"),  # wrong ones in a row
)

tenant = Table(
    "tenant",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", Text, nullable=False),
    Column("account_id", ForeignKey("account.id"), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

tenant_owner = Table(
    "tenant_owner",
    metadata,
    Column("tenant_id", ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("since", Double, nullable=False),
)

role = Table(
    "role",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("slug", String(64), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

role_assignment = Table(
    "role_assignment",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role_id", ForeignKey("role.id"), primary_key=True),
    Column("permission", String(8), primary_key=True),
    Column("accepted", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    CheckConstraint("permission IN ('read', 'write')", name="permission"),
)

external_identity = Table(
    "external_identity",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("issuer", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("issuer", "subject"),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", String(36), primary_key=True),
    Column("alg", String(16), nullable=False),
    Column("purpose", String(16), nullable=False),
    Column("private_enc", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("retired_at", Double),
    CheckConstraint("purpose IN ('token', 'assertion', 'mployr')", name="purpose"),
    CheckConstraint("state IN ('next', 'active', 'retiring')", name="state"),
)
# two rotations at once cannot both leave an active key
Index(
    "uq_signing_key_active",
    signing_key.c.purpose,
    unique=True,
    sqlite_where=text("state = 'active'"),
    postgresql_where=text("state = 'active'"),
)

mac_key = Table(
    "mac_key",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("secret_enc", LargeBinary, nullable=False),
    Column("created_at", Double, nullable=False),
)

# What values are sealed with, each sealed with the master key. Without rows, version 1 is the master key itself.
data_key = Table(
    "data_key",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("key_enc", LargeBinary, nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Double, nullable=False),  # when it came into this state
    CheckConstraint("state IN ('next', 'active', 'retiring')", name="state"),
)

# `grant` is a word of SQL
grant_ = Table(
    "grant_",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tenant_id", ForeignKey("tenant.id", ondelete="CASCADE"), index=True),
    Column("kind", String(16), nullable=False),
    Column("presentation", String(16), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("secret_hash", LargeBinary, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("mac_version", ForeignKey("mac_key.version", ondelete="SET NULL"), index=True),
    Column("name", Text, nullable=False),
    Column("role", String(64)),
    Column("permission", String(8)),
    Column("scopes", Text, nullable=False),  # separated by spaces, as in RFC 6749 section 3.3
    Column("aal", Integer, nullable=False),
    Column("amr", Text, nullable=False),  # separated by spaces
    Column("restricted", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("last_used_at", Double),
    Column("expires_at", Double, nullable=False),
    Column("idle", Double),  # seconds without use that end it
    Column("revoked_at", Double),
    Column("revoke_reason", Text),
    Column("deleted_at", Double),  # no list shows it any more; its digest stays taken
    Column("ip", Text),
    Column("ua", Text),
    CheckConstraint("kind IN ('session', 'api_key', 'connection', 'service')", name="kind"),
    CheckConstraint("presentation IN ('jwt', 'opaque', 'connstr')", name="presentation"),
    CheckConstraint("aal IN (1, 2)", name="aal"),
)

# a second factor; a pending one is confirmed within `expires_at`, or replaced by the next
factor = Table(
    "factor",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("secret_enc", LargeBinary, nullable=False),
    Column("last_step", BigInteger, nullable=False),  # of the last code that was accepted: only later ones are
    Column("created_at", Double, nullable=False),
    Column("confirmed_at", Double),
    Column("expires_at", Double),
    CheckConstraint("kind IN ('totp')", name="kind"),
    CheckConstraint("state IN ('pending', 'active')", name="state"),
    UniqueConstraint("account_id", "kind", "state"),
)

recovery_code = Table(
    "recovery_code",
    metadata,
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), primary_key=True),
    Column("mac", LargeBinary, primary_key=True),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double),
)

# every login on its way; account_id and address are both NULL in a decoy
challenge = Table(
    "challenge",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("purpose", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("account_id", ForeignKey("account.id", ondelete="CASCADE"), index=True),
    Column("address", Text),
    Column("address_key", Text, index=True),
    Column("grant_id", ForeignKey("grant_.id", ondelete="CASCADE"), index=True),  # that waits for a second factor
    Column("link_hash", LargeBinary, unique=True),  # of what a mail opens
    Column("client_hash", LargeBinary, unique=True),  # of what the client holds between two steps
    Column("epoch", Integer, nullable=False),  # of the account when it was begun
    Column("needs_code", Boolean, nullable=False),  # a second factor is on
    Column("draft_enc", LargeBinary),  # a TOTP secret that this very login enrols
    Column("code_mac", LargeBinary),
    Column("tries_left", Integer, nullable=False),
    Column("ip", Text),
    Column("ua", Text),
    Column("platform", Text, nullable=False),  # what a client calls itself
    Column("method", Text),  # of the second factor that approved it
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False, index=True),
    Column("decided_at", Double),
    CheckConstraint("purpose IN ('login', 'step_up', 'reset_password', 'approval', 'new_email')", name="purpose"),
    CheckConstraint("state IN ('open', 'shown', 'approved', 'denied', 'claimed', 'superseded')", name="state"),
)

# mails to be sent; the payload holds links and codes, and goes when the mail has gone
outbox = Table(
    "outbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("template", String(64), nullable=False),
    Column("payload_enc", LargeBinary),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("sent_at", Double),
    Column("failed_at", Double),
    Column("reason", Text),
)
Index(
    "ix_outbox_due_at_waiting",
    outbox.c.due_at,
    sqlite_where=text("sent_at IS NULL AND failed_at IS NULL"),
    postgresql_where=text("sent_at IS NULL AND failed_at IS NULL"),
)

telegram_bot = Table(
    "telegram_bot",
    metadata,
    Column("tenant_id", ForeignKey("tenant.id", ondelete="CASCADE"), primary_key=True),
    Column("token_enc", LargeBinary, nullable=False),
    Column("secret_enc", LargeBinary, nullable=False),
    Column("role", String(64), nullable=False),
    Column("lifetime", Double, nullable=False),  # seconds, of the connection strings that its logins get
    Column("updated_at", Double, nullable=False),
)

# whoever proves the address may take the role, once
invitation = Table(
    "invitation",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant_id", ForeignKey("tenant.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("address", Text, nullable=False),
    Column("address_key", Text, nullable=False, index=True),
    Column("role", String(64), nullable=False),
    Column("permission", String(8), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),  # of what the mail opens
    Column("invited_by", String(36), nullable=False),  # an account, which may be gone by now
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("accepted_at", Double),
    Column("accepted_by", String(36)),
    Column("revoked_at", Double),
    CheckConstraint("permission IN ('read', 'write')", name="permission"),
)

# ids come from `revocation_latest`: a poller that remembers the last one must see each later one, and none twice
revocation = Table(
    "revocation",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("at", Double, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("subject", Text, nullable=False),
    CheckConstraint("kind IN ('grant', 'account', 'keys', 'all')", name="kind"),
    sqlite_autoincrement=True,
)

# one row: the greatest id that was given out, 0 before the first
revocation_latest = Table("revocation_latest", metadata, Column("id", BigInteger, nullable=False))

# append-only. seq and mac come from whoever seals (`store.audit_seal`); a row that is not ours gets a seq below 0
audit_event = Table(
    "audit_event",
    metadata,
    Column("id", Number, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("seq", BigInteger, unique=True),
    Column("at", Double, nullable=False, index=True),
    Column("kind", String(32), nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("credential", Text, nullable=False),
    Column("account_id", String(36), index=True),  # no foreign key: a row outlives its account
    Column("subject", Text, nullable=False),
    Column("dialect", String(32), nullable=False),
    Column("ip", Text, nullable=False),
    Column("agent", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("detail", Text, nullable=False),  # a JSON object
    Column("tag", LargeBinary, nullable=False),
    Column("mac", LargeBinary),
    sqlite_autoincrement=True,
)
Index(
    "ix_audit_event_id_unsealed",
    audit_event.c.id,
    sqlite_where=text("seq IS NULL"),
    postgresql_where=text("seq IS NULL"),
)

# where the trail begins (the last row that was removed from it) and where it ends; name: start or head
audit_anchor = Table(
    "audit_anchor",
    metadata,
    Column("name", String(8), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("mac", LargeBinary, nullable=False),
    Column("at", Double, nullable=False),
    Column("version", Integer, nullable=False),  # of the data key that the tag is made with
    Column("tag", LargeBinary, nullable=False),
)
