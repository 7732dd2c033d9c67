"""What both strategies share when they execute a plan."""
