"""The customer chat page: the surface that every installation has."""
