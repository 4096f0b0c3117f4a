"""What operators see: metrics, logs, readiness."""
