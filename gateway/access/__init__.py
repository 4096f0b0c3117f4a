"""What a caller may do here: authentication, authorization, and the identity that an upstream is told."""
