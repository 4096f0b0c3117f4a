"""The service and the home of the tests that run real gateways."""

from e2e.conftest import service, service_folder, template

__all__ = ["service", "service_folder", "template"]
