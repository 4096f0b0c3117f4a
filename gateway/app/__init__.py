"""The composition root: settings in, running gateway out. The only place where objects meet."""
