"""What the operator said: files read, checked and turned into values. Nothing here starts or connects anything."""
