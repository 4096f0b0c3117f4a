"""The account and admin API, below the Mycelium mount: operations, their models, the OpenAPI document of both."""
