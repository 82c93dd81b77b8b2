"""Every fault at every moment, on a simulated clock: the node, the loop and the journal as they are, beside a venue."""
