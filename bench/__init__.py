"""What a request costs, side by side with nginx, HAProxy and Envoy: `make bench`, or `python -m bench`.

The method: CPU time (user and system) of all processes of a system divided by the requests it served, since that is
steadier than rates on a shared machine. `wrk` with 64 keep-alive connections and the upstream have one core, the
system under test has another alone. Systems take turns; a ratio is the median of the rounds' ratios.

Latencies (P5, P10) are of a load at a constant rate, each from the moment when its request was due. `--rows P8`
measures one alone, `--quick` a short round of each: to see that they work, not what they say.
"""
