"""What `python bench/policies.py` is made of: loads, a model of a step's time, servers, a clock."""
