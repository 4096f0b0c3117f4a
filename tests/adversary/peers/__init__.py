"""The suite against our gateway and its peers, side by side: `python -m adversary.peers`, in the folder `tests`.

Each peer runs as its documentation advises for an edge that authenticates: the configurations are beside this file, and
say what advice they follow. A public prefix, everything else with a credential, the caller in x-mycelium-profile.
"""
