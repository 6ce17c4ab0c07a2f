"""Not there yet."""

def adapt_statistics(backbone, batches):
    """Do nothing yet."""
    return 0
