"""What both backends do to record a write: row changes, attribution, cascades, row matching, retries."""
