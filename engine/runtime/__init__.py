"""From requests to pictures: slots, batches, a loop of three verbs."""
