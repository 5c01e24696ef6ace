"""Ways to outlive a time limit, tried under pyinit and under other tools."""
