"""A program to look at: as a list, as a picture, what it costs, and who runs its parts."""
