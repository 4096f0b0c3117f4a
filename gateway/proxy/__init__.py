"""What goes to the upstream and what may come back: strip, inject, aim. Pure."""
