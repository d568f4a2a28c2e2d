"""Published checkpoints made smaller: which layers, heads and FFN units stay, how they are stored, what it costs."""
