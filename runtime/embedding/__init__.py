"""From queued records to vectors: in which space, in which batches, and who embeds them."""
