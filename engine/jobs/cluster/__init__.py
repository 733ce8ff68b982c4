"""Many machines at one job file: engines as actors of a Ray cluster, fed by Ray Data."""
