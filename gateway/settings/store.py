"""Where accounts and grants are kept, as the operator says it."""

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings.fields import Model, SecretReference, StoreUrl
from gateway.settings.secrets import Secret


class Store(Model):
    url: StoreUrl = Field(
        "sqlite:///var/gateway.db",
        validate_default=True,
        description="Where accounts and grants are kept: SQLite in a file, or PostgreSQL.",
    )
    password: SecretReference | None = Field(None, description="The password of a PostgreSQL url's user.")

    @field_validator("password")
    @classmethod
    def _of_a_server(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        if password is not None and str(info.data.get("url", "")).startswith("sqlite"):
            raise ValueError("the password goes with a url of PostgreSQL; SQLite has none")
        return password

    @property
    def secret(self) -> str:
        """The password, or "". Raises SecretAbsent."""
        return "" if self.password is None else self.password.get_secret_value()
