"""What a request costs, side by side with nginx, HAProxy and Envoy: `make bench`, or `python -m bench`.

The method: CPU time (user and system) of all processes of a system divided by the requests it served, since that is
steadier than rates on a shared machine. `wrk` with 64 keep-alive connections and the upstream have one core, the
system under test has another alone. Systems take turns; a ratio is the median of the rounds' ratios.
"""
