"""What every login API has to keep, whatever it looks like: one suite, five adapters, one gateway."""
