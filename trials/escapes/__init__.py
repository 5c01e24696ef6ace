"""Ways to outlive a time limit, tried under pyinit and under what else is used for that."""
