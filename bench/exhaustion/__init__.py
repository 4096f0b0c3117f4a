"""What a gateway costs, and whom it keeps waiting, while somebody tries to exhaust it: `python -m bench.exhaustion`."""
