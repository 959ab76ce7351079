"""What staff can do, from any surface."""
