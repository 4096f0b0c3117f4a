"""An authenticating reverse proxy. Start reading at `pipeline.py`; `app.py` is where objects meet."""
