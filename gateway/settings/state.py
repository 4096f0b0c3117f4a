"""The section `state`: what the operator says about where nodes share their counts and news."""

from pydantic import Field, ValidationInfo, field_validator

from gateway.settings.fields import FilePath, Model, SecretReference, StateUrl, placed
from gateway.settings.secrets import Secret


class State(Model):
    url: StateUrl = placed(
        "memory",
        "Where nodes share limits and news: memory (not at all), redis://, rediss://, redis+sentinel://,"
        " redis+cluster:// or unix://. Without TLS to another machine only with ?tls=off.",
    )
    password: SecretReference | None = Field(
        None, validate_default=True, description="The password of Redis; the user, if any, is in the url."
    )
    ca: FilePath | None = Field(
        None, validate_default=True, description="Certificates that sign the server's, PEM; the system's by default."
    )

    @field_validator("password")
    @classmethod
    def _of_a_server(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        url = info.data.get("url")
        if url is None:
            return password
        if password is not None and url.form == "memory":
            raise ValueError("the password goes with a url of Redis, as redis://127.0.0.1:6379")
        return password

    @field_validator("ca")
    @classmethod
    def _for_tls(cls, ca: object, info: ValidationInfo) -> object:
        url = info.data.get("url")
        if ca is not None and url is not None and not url.tls:
            raise ValueError("ca is for a server with TLS: write rediss://, rediss+sentinel:// or rediss+cluster://")
        return ca
