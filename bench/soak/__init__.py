"""Half an hour of everything at once: whether answers stay right, and whether anything grows: `make soak`.

Traffic of all kinds against a gateway of two workers, while configurations are reloaded, credentials revoked and the
service behind is killed and started again. Its length and its timetable are counts of requests, so that a short run is
the same in little.
"""
